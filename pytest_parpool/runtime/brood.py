"""The template's children: forked on request, watched, reaped, and in the end killed. All this is in its process."""

from __future__ import annotations

import contextlib
import functools
import marshal
import os
import select
from collections.abc import Callable

from pytest_parpool.model.exits import SIGKILL
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.firstborn import Foster
from pytest_parpool.runtime.forking import Child, Fork, open_pidfd
from pytest_parpool.runtime.sockets import RawSocket, send_with_fds

# Without pidfds (before Linux 5.3, elsewhere) the template looks after its children at this pace.
_REAP_SECONDS = 0.02


class Brood:
    """Those that are alive, as far as is known. What becomes of them is said to the controller; see ``template``.

    Args:
        control: Where that is said, and asked for.
        fork: Forks a child.
    """

    def __init__(self, control: RawSocket, fork: Fork) -> None:
        self._control = control
        self._fork = fork
        self._children: dict[WorkerId, Child | Foster] = {}
        self._pidfds: dict[int, WorkerId] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def __bool__(self) -> bool:
        return bool(self._children)

    def bear(self, worker: WorkerId, become: Callable[[tuple[int, ...]], None]) -> None:
        """Fork a child, and say so, or why not.

        Args:
            worker: Its slot.
            become: What it does; given the descriptors that are open here for its siblings.
        """
        try:
            child = self._fork(functools.partial(become, tuple(self._pidfds)))
        except OSError as error:
            self._say(("unborn", str(worker), f"{type(error).__name__}: {error}"), [])
            return
        pidfd = open_pidfd(child.pid)
        self.watch(worker, child, pidfd)
        self._say(("born", str(worker), child.pid), [pidfd] if pidfd >= 0 else [])

    def watch(self, worker: WorkerId, child: Child | Foster, pidfd: int) -> None:
        """Look after a child; the pidfd, if there is one, is owned from here on."""
        self._children[worker] = child
        if pidfd >= 0:
            self._pidfds[pidfd] = worker
            self._poll.register(pidfd, select.POLLIN)

    def wait(self) -> bool:
        """Wait until something is asked for or somebody may have ended; say who has. Return whether it is asked."""
        has_all_pidfds = len(self._pidfds) == len(self._children)
        ready = [fd for fd, _ in self._poll.poll(None if has_all_pidfds else _REAP_SECONDS * 1000)]
        self._reap()
        return self._control.fileno() in ready

    def end(self) -> None:
        """Kill all children, and wait for them; nothing is said."""
        for child in self._children.values():
            # It may not be the leader of its group yet, or have ended.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, SIGKILL)
            os.kill(child.pid, SIGKILL)
        for child in self._children.values():
            while child.wait(_REAP_SECONDS) is None:
                pass

    def _reap(self) -> None:
        """Say of each child that has ended how it did, once."""
        for worker, child in list(self._children.items()):
            code = child.poll()
            if code is None:
                continue
            del self._children[worker]
            for pidfd in [fd for fd, owner in self._pidfds.items() if owner == worker]:
                self._poll.unregister(pidfd)
                os.close(pidfd)
                del self._pidfds[pidfd]
            self._say(("gone" if isinstance(child, Foster) else "ended", str(worker), code), [])

    def _say(self, word: tuple[str, str, int | str], fds: list[int]) -> None:
        try:
            send_with_fds(self._control, marshal.dumps(word), fds)
        except OSError:
            os._exit(0)  # The controller is gone; the lifeline has ended the workers.
