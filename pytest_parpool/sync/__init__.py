"""Objects that all processes of a run share: the proxies that tests hold, and the broker's process. Knows no pytest.

Who uses them:

* ``objects``: makes the proxies. ``lock``, ``rlock``, ``rwlock``, ``semaphore``, ``condition``, ``event``, ``value``,
  ``dictionary``, ``array``, ``barrier``, ``queue``, ``once``: the proxies, one kind each; ``proxy``: what they have in
  common; ``condition_lock``: the other half of ``condition``.
* ``locking``: locks that are taken without asking, or through the broker; ``acquiring``: what they have in common with
  semaphores and reader-writer locks.
* ``party``: what a process knows: its name, its test, its connections, what it holds; ``holds``: one thing held.
* ``connections``: asks the broker; ``connection``: one way to it; ``thread_connections``: those of all threads;
  ``awaiting``: those of event loops; ``loop_watch``: how a loop hears of answers; ``lanes``: which thread or task it is
  that asks; ``service``: where the broker is, and that it is started; ``unix_service``, ``windows``: how;
  ``services``: which of these.
* ``system``: the operating system's own functions.
* ``payloads``: users' values, to what the broker keeps; ``caller``: the user's line; ``errors``.

The other end:

* ``broker_main``: where the broker's process begins; ``broker_process``: its loop, and what ``policy.broker`` decides
  is done.
* ``reception``: takes in what is asked, and sends the answers; ``peers``: one connection; ``postponed``: what is asked
  without waiting; ``poller``: waits for descriptors.
* ``party_watch``: whose end is waited for; ``deaths``: how a process has ended; ``inspection``: who may do more than
  wait.
* ``broker_memory``: the slots of the locks, and the arrays.
"""
