"""Coverage: workers go on measuring what the controller measures, and what they measured ends up in one place.

Loaded only while ``coverage`` measures the controller; whoever started that (``coverage run``, pytest-cov, a ``.pth``
file) reports afterwards, as in a plain run.

* ``measurement``: the controller's side; gathers what workers have saved.  ``worker``: a worker's side.
* ``spawned``: how a worker begins that has inherited nothing.
* ``part``: the data that one worker records, and how it is saved so that a killed worker leaves a whole file.
* ``monitoring``: which workers are measured in a cheaper way than the controller.
* ``internals``: everything of coverage's that is private.
* ``cov_plugin``: what pytest-cov would do in a worker that it must not.  ``own_processes``: what ``concurrency =
  multiprocessing`` must not do to our processes.
"""
