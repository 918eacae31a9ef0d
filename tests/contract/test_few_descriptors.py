"""A pool where the system has few descriptors left: there is one, or nothing is left of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sharing import DEADLINE_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# Makes pools with one descriptor more each time, which fail at one place after the other until one is enough.
SCRIPT = """
import gc
import os
import resource
import sys

from pytest_parpool import Pool, WorkerStartError


def open_files():
    # The listing itself has one open, which is gone.
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")}


def attempt(limit):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    pool = None
    try:
        pool = Pool(1)
        return str(pool.apply(abs, (-3,)))
    except OSError as error:
        return os.strerror(error.errno)
    except WorkerStartError as error:
        return str(error).rpartition("] ")[2]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if pool is not None:
            pool.terminate()
            pool.join()


if __name__ == "__main__":
    os.closerange(3, 1024)  # What others have left to us.
    if sys.argv[1] == "templates":
        # Who handles this might take the end of a child of ours, so that the template forks all workers.
        import signal

        signal.signal(signal.SIGCHLD, lambda number, frame: None)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.disable()  # What is freed must not be what closes it.
    attempt(soft)  # All is imported.
    outcomes = []
    before = open_files()
    for limit in range(max(before) + 1, max(before) + 60):
        outcomes.append(attempt(limit))
        assert open_files() == before, (limit, outcomes[-1], open_files() - before)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pass
        else:
            raise AssertionError(f"a child was left with {limit} descriptors: {outcomes[-1]}")
    print(outcomes.count("Too many open files"), outcomes.count("3"), len(outcomes), sorted(set(outcomes)))
"""


@pytest.mark.parametrize("first", ["own", "templates"])
def test_a_pool_that_cannot_be_made_leaves_nothing(tmp_path: Path, first: str) -> None:
    """Neither a descriptor nor a process, and nobody's traceback; whoever forks the first worker."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script), first],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    failed, made, all_, kinds = result.stdout.split(maxsplit=3)
    assert int(failed) >= 5
    assert int(made) >= 20
    assert int(failed) + int(made) == int(all_), kinds
