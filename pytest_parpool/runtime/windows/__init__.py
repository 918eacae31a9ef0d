"""What workers are on Windows: fresh interpreters, each in a job, which inherit nothing and are told where things are.

- ``kernel``: the words of the system that are needed.
- ``job``: a worker and what it starts, which end with the controller.
- ``launcher``: starts workers, and says how they ended.
- ``launched``: what a worker does first.
- ``shared_file``: a file to whose end all may write.
- ``interrupts``: how Ctrl-C gets to a worker, which has no part in the console's.
"""
