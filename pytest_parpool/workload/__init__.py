"""The pool for calls: the engine that runs tests, for any other work. Knows no pytest.

* ``pool``, ``executor``, ``joblib_backend``: what users have. ``results``, ``iterators``, ``errors``: what they get.
* ``submitter``, ``feeds``: what they ask for, cut into tasks. ``calls``, ``task_maker``, ``batches``: what tasks are
  made of, and how they come to the engine.
* ``pickling``, ``unpicklable``: tasks as bytes, and what is said if they cannot be sent.
* ``engine``: what runs tasks, as an interface; ``process_engine``, ``threads``: its two kinds. ``engines`` makes one.
* ``service``: the thread that speaks to the processes, with ``task_pool``, ``task_channel`` and ``timers``; it asks
  ``policy.tasks`` what to do. ``fork_gate``: it stands still while another pool is forked.
* ``task_worker``, ``task_link``, ``output_copy``, ``spawned``: the other side, in a worker.
* ``shares``, ``waiters``: a part in the CPU budget of a run of tests, and who lends its slot.
"""
