"""Objects that all processes of a run share: the proxies that tests hold, and the broker's process. Knows no pytest.

Who uses them:

* ``objects``: makes the proxies. ``lock``, ``rlock``, ``rwlock``, ``semaphore``, ``condition``, ``event``, ``value``,
  ``dictionary``, ``array``, ``barrier``, ``queue``, ``once``: the proxies, one kind each; ``proxy``: what they have in
  common.
* ``locking``: locks that are taken without asking, or through the broker.
* ``party``: what a process knows: its name, its test, its connections, what it holds; ``holds``: one thing held.
* ``connection``: one thread's way to the broker; ``awaiting``: an event loop's; ``connections``: all of them;
  ``lanes``: which thread or task it is that asks; ``service``: where the broker is, and how it is started.
* ``system``: the operating system's own functions.
* ``payloads``: users' values, to what the broker keeps; ``caller``: the user's line; ``errors``.

The other end:

* ``broker_main``: where the broker's process begins; ``broker_process``: performs what ``policy.broker`` decides.
* ``peers``: who is connected to it; ``deaths``: who has ended, and how; ``inspection``: who may do more than wait.
"""
