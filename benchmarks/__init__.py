"""Measures this project beside plain pytest and pytest-xdist; it is part of the checkout, not of the wheel.

``python -m benchmarks`` writes the table of figures, ``python -m benchmarks.outcomes`` compares the outcome of every
node id, ``python -m benchmarks.locks`` measures locks, ``python -m benchmarks.pools`` measures pools for calls. Only
the standard library is used, and what is measured; every run of a suite is a command in a fresh process of the same
interpreter.

==================== ====================================================================
module               what it is responsible for
==================== ====================================================================
``__main__``         the command line of the figures
``rows``             what is measured: the rows of the table, with their goals
``suites``           the suites behind the rows, generated or installed
``contenders``       who is measured: the arguments that choose a runner
``commands``         one command, run to its end
``memory``           the memory of a process tree
``agreement``        whether runs did the same work, so that their times may be compared
``rounds``           the rounds of a row: who runs when, and how often
``statistics``       ratios, their median and its interval
``machine``          what the figures were measured on
``table``            the figures as Markdown
``outcomes``         the command line of the comparison of outcomes
``outcome_plugin``   the pytest plugin that records the outcome of every node id
``differences``      what differs between two records of outcomes
``targets``          the suites whose outcomes are compared
``locks``            the command line of the figures of locks
``lock_rows``        what is measured about locks, with its goals
``lock_contenders``  the locks that are measured, behind one interface
``pools``            the command line of the figures of pools
``pool_rows``        what is measured about pools, with its goals
``pool_contenders``  the pools that are measured, behind one interface
``pool_measurement`` one measurement, in a fresh process
``pool_table``       the figures of pools as Markdown
``nested``           tests that use pools, beside the same tests that do not
``cpu_time``         what something has cost, in wall time and in CPU time
==================== ====================================================================
"""
