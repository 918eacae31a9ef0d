"""The decisions: pure code that imports the vocabulary only. No clock, no file, no process, no pytest.

* ``dispatcher``: the way in, notices to actions. ``workers``: who is answered, drained, lost, stopped; ``births``:
  who is to be born; ``hands``: what a worker is given; ``pending_failures``: what may stop the run yet.
* ``slot`` and ``worker_slot``: what is known of one worker; ``lifecycle``: its states, and which may follow which.
* ``limits``: the rules of a run; ``estimates``: how long an item will take.
* ``schedulers``: which item comes next, one module for each ``--dist``.
* ``tasks``: the same for a pool that does calls: who is given which tasks, and what becomes of them.
* ``budget``: how many tasks pools inside of tests may run beside the tests.
* ``broker``: the shared objects: who gets what, and who waits for what.
"""
