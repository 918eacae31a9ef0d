"""The machinery: processes and what connects them. Knows no tests and no pytest.

* ``codec``, ``framing``: messages to bytes and back.
* ``parts``: frames with large parts, that are not copied.
* ``link``: the worker's end of its connection; ``link_ends``: what the system has of it; ``channel``: the controller's
  end.
* ``spawner``: what starts workers, as an interface; ``template``: the clean process that forks them.
* ``launcher``: starts fresh interpreters instead; ``launch``: with what; ``launched``: what these do first;
  ``exit_watch``: sees them end.
* ``windows``: all of that there; ``launchers``: which of these.
* ``lifeline``: ends workers whose controller is gone.
* ``ledger``: what of its hand a worker has claimed, so that the rest can be taken back.
* ``memory``: what processes share that are no copies of one another; ``slots``: the locks that are in such memory.
* ``forking``: the two ways to fork a process; ``native_threads``: what a fork would leave behind.
* ``quiet_forks``: no warning of threads that somebody has looked at.
* ``apart``: out of the parent's process group and terminal; ``interrupts``: what SIGINT does in a worker.
* ``sockets``: the few words of sockets that are needed.
* ``outputs``: a worker's capture files, readable after its death.
* ``report_queue``: all workers' events, read together; ``worker_process``: one worker's descriptors;
  ``process_group``: whom signals are sent to.
* ``pool``: what is asked for; ``running_pool``: the processes and their queue, as one object.
"""
