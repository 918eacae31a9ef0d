"""``sync.deaths``: that a process has ended, and how, as Linux tells it."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from pytest_parpool.sync.deaths import HAS_ENDED, describe_end, is_alive, watch

if sys.platform != "linux":
    pytest.skip("elsewhere processes are only looked at, and how they ended is not told", allow_module_level=True)


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (lambda: os._exit(0), HAS_ENDED),
        (lambda: os._exit(3), "has ended with exit code 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
        (lambda: os.kill(os.getpid(), signal.SIGRTMIN + 1), f"was killed by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_how_a_process_ended(end: object, text: str) -> None:
    """It is told while its parent has not reaped it; afterwards only that it has."""
    assert callable(end)
    pid = os.fork()
    if pid == 0:
        end()
        os._exit(99)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # It has ended, and is not reaped.
    assert describe_end(pid) == text
    os.waitpid(pid, 0)
    assert describe_end(pid) == HAS_ENDED
    assert not is_alive(pid)
    with pytest.raises(ProcessLookupError):
        watch(pid)


def test_the_living_are_alive() -> None:
    """Also those of other users."""
    assert is_alive(os.getpid())
    assert is_alive(1)
    fd = watch(os.getpid())
    assert fd is not None
    os.close(fd)
