"""The decisions of a workload pool: which worker is given which tasks, and what becomes of them. Pure.

* ``dispatcher``: notices to actions.
* ``queue``: the tasks that wait. ``pace``: how many at once are put into a hand. ``read_ahead``: how far a stream's
  inputs are read ahead of its results.
* ``task_slot``: what is known of one worker.
"""
