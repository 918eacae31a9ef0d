"""Forks spawned workers: each from the interpreter that has imported pytest and nothing else, like its run.

Most of what such a worker costs is that import, as it is for a run (``forker``). But it has to be a child of its
controller, which no process can give it that has been there before the controller. A child of the controller can: the
flag CLONE_PARENT of clone(2) makes a sibling. That child, the nursery, is forked before the run has begun.

What production code does begins with the code that it has given to the interpreter, and with the descriptors,
variables and signals that were to be inherited. The seed of hashes alone is that of the run. Where the system does not
allow all this, and for workers whose interpreter would begin otherwise, interpreters are started as always.

This is imported by ``forker``, which forgets it, and what comes with it: a run has no modules but those of pytest.
"""

import array
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

# What says that an interpreter is started to be a worker.
_BOOTSTRAP = "from pytest_parpool.runtime.launched import live"
# What an interpreter reads at its start, or the C library does, but for what a worker takes from its order.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "COVERAGE_PROCESS_", "LD_", "MALLOC_")
_TAKEN_LATER = {"PYTHONHASHSEED", "PYTHONPATH"}

_MESSAGE_BYTES = 1 << 17  # Several times the size of a usual environment; a socket takes it as a whole.
_DESCRIPTORS = 32  # At most; a worker gets seven.
_SPARE_FD = 500  # Beyond what anybody has: numbers below are as they would be without us.

_CLONE_NUMBERS = {"x86_64": 56, "aarch64": 220}
# CLONE_PARENT, and CLONE_CHILD_CLEARTID and CLONE_CHILD_SETTID as in the C library's own fork.
_CLONE_FLAGS = 0x00008000 | 0x00200000 | 0x01000000 | signal.SIGCHLD
_PR_GET_TID_ADDRESS = 40


def open_nursery() -> dict[str, Any] | None:
    """Start the nursery. Returns None in the run, whose workers it will fork, and in each of those what it is to be."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        _take_workers_from(socket.socket(fileno=fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, _SPARE_FD)))
        ours.close()
        return None
    ours.close()
    os.setsid()  # What is sent to the run's group is not for us.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    worker, fds = _nurse(theirs)
    _take_descriptors(worker["fds"], fds)
    return worker


def be_worker(worker: Mapping[str, Any]) -> None:
    """Do what an interpreter does that is started with ``-c``."""
    os.setsid()
    os.chdir(worker["directory"])
    os.environ.clear()
    os.environ.update(worker["environment"])
    code, *arguments = worker["command"][1:]
    sys.argv[:] = ["-c", *arguments]
    sys.orig_argv[1:] = worker["command"]
    sys.path[:0] = ["", *filter(None, worker["environment"].get("PYTHONPATH", "").split(os.pathsep))]
    signal.pthread_sigmask(signal.SIG_SETMASK, worker["mask"])
    main = type(sys)("__main__")
    sys.modules["__main__"] = main
    exec(code, vars(main))


# --- In the run -------------------------------------------------------------------------------------------------------


def _take_workers_from(nursery: socket.socket) -> None:
    """Have ``subprocess`` ask the nursery for workers whose interpreter would begin like this one."""
    start_whole = subprocess.Popen._execute_child  # type: ignore[attr-defined]  # all ways to start a process end there
    at_start = _read_at_start(os.environ)

    def execute_child(process: Any, command: Any, *how: Any) -> None:
        pass_fds, directory, environment, pipes = how[3], how[4], how[5], how[9:15]
        is_worker = list(command[:2]) == [sys.executable, "-c"] and _BOOTSTRAP in command[2]
        if is_worker and _read_at_start(environment) == at_start:
            stdin, _, _, stdout, _, stderr = pipes
            fds = {0: stdin, 1: max(stdout, 1), 2: max(stderr, 2), **{fd: fd for fd in pass_fds}}
            pid = _ask(nursery, [*command[1:]], directory, environment, fds)
            if pid > 0:
                process.pid = pid
                process._child_created = True
                process._close_pipe_fds(*pipes)
                return
        start_whole(process, command, *how)

    subprocess.Popen._execute_child = execute_child  # type: ignore[attr-defined]


def _ask(
    nursery: socket.socket, command: list[str], directory: str, environment: dict[str, str], fds: dict[int, int]
) -> int:
    """Return the id of a new worker, our child; 0 if there is none to be had."""
    mask = [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
    worker = {"command": command, "directory": directory, "environment": environment, "fds": [*fds], "mask": mask}
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds.values()))
    try:
        nursery.sendmsg([json.dumps(worker).encode()], [rights])
        return int(nursery.recv(_MESSAGE_BYTES) or 0)
    except BrokenPipeError:  # It has found that the system does not allow it.
        return 0


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_AT_START) and name not in _TAKEN_LATER
    }


# --- In the nursery ---------------------------------------------------------------------------------------------------


def _nurse(requests: socket.socket) -> tuple[dict[str, Any], Sequence[int]]:
    """Fork workers until nobody is left to ask for one; return only in such a worker, with its descriptors."""
    known = set(sys.modules)
    import ctypes

    python = ctypes.pythonapi  # It keeps the interpreter's lock, and finds the C library's functions, too.
    # The C library keeps the id of this thread. Its own fork has the kernel renew it, at this address.
    address = ctypes.c_void_p()
    if os.uname().machine not in _CLONE_NUMBERS or python.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(address)):
        os._exit(0)
    rest = [address, ctypes.c_long(0)]  # The other one is for threads; their order is the architecture's.
    if os.uname().machine == "aarch64":
        rest.reverse()
    arguments = [ctypes.c_long(_CLONE_FLAGS), ctypes.c_long(0), ctypes.c_long(0), *rest]
    number = ctypes.c_long(_CLONE_NUMBERS[os.uname().machine])
    for name in set(sys.modules) - known:
        del sys.modules[name]
    while True:
        text, ancillary, _, _ = requests.recvmsg(_MESSAGE_BYTES, socket.CMSG_SPACE(_DESCRIPTORS * 4))
        if not text:
            os._exit(0)
        fds = array.array("i")
        for _, _, content in ancillary:
            fds.frombytes(content)
        python.PyOS_BeforeFork()
        pid = python.syscall(number, *arguments)
        if not pid:
            python.PyOS_AfterFork_Child()
            worker: dict[str, Any] = json.loads(text)
            return worker, fds
        python.PyOS_AfterFork_Parent()
        for fd in fds:
            os.close(fd)
        requests.send(b"%d" % pid)


def _take_descriptors(numbers: Sequence[int], fds: Sequence[int]) -> None:
    """Have these descriptors, by their numbers in the controller, and no other ones."""
    spare = [fcntl.fcntl(fd, fcntl.F_DUPFD, _SPARE_FD) for fd in fds]
    os.closerange(3, _SPARE_FD)
    for number, fd in zip(numbers, spare, strict=True):
        os.dup2(fd, number)
    os.closerange(_SPARE_FD, max(spare) + 1)
