"""One CPU budget: tests and what they start share the CPU slots of a run (docs/explanation/cpu-budget.md).

How many CPU slots a run has is among its settings: ``Settings.cpu_slots``.

- ``native_limits``: on how many threads native libraries may compute, and which environment variables tell them.
- ``limiting``: sets these variables before a conftest is imported, and takes them back at the end.
- ``loaded_libraries``: does the same to libraries that were loaded before that, and no longer look.
- ``sheet``: what each process of the run does with the slots, in memory that all of them see.
- ``membership``: brings the processes to one sheet.
- ``account``: what the pools of a process may run, by the rules of ``policy.budget``.
- ``makeflags``: the words by which make, ninja and cargo find a jobserver.
- ``jobserver``: the jobserver itself, a pipe with a token for each free CPU slot.
- ``jobserver_plugin``: starts it for a run, and gives it a token for each CPU slot that becomes free.
"""
