"""Pytest in the controller. Never imports from ``worker``, but to hand a worker what it is to do (``run``).

* ``plugin``: what pytest calls; prepares the run once collection is over.  ``planning``: items to a plan.
* ``run``: the loop: wait, decide, perform, show.  ``showing``: what happened, told to pytest in its order.
* ``replay``: a worker's events to pytest's hooks.
* ``crashes``: reports for what a dead worker could not report.  ``ending``: how pytest is told that the run is over.
* ``signals``: Ctrl-C and friends.  ``durations``: what the last run measured.  ``terminal``: header and closing lines.
"""
