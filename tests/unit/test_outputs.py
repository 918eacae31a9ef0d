"""What a worker wrote can be read after its death."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import IO

import pytest

from pytest_parpool.runtime.outputs import LastOutput, OutputFiles

assert sys.platform != "win32"  # There are no workers to test, and type checkers know it.

TAIL_BYTES = 1 << 20


@pytest.fixture
def in_a_process() -> Callable[[Sequence[IO[bytes]], Callable[[], None]], OutputFiles]:
    """Return a function that has a child write and die, and returns the files as opened while it lived."""

    def run(files: Sequence[IO[bytes]], write: Callable[[], None]) -> OutputFiles:
        go_read, go_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(go_read, 1)
            write()
            os.kill(os.getpid(), signal.SIGKILL)
        fds = [file.fileno() for file in files] + [-1] * (3 - len(files))
        outputs = OutputFiles(pid, (fds[0], fds[1], fds[2]))
        os.write(go_write, b"!")
        os.waitpid(pid, 0)
        os.close(go_read)
        os.close(go_write)
        return outputs

    return run


def test_anonymous_files_outlive_the_process_that_wrote_them(
    in_a_process: Callable[[Sequence[IO[bytes]], Callable[[], None]], OutputFiles],
) -> None:
    """Each of the three is read, also what was written after they were opened and just before a SIGKILL."""
    with (
        tempfile.TemporaryFile(buffering=0) as out,
        tempfile.TemporaryFile(buffering=0) as err,
        tempfile.TemporaryFile(buffering=0) as stack,
    ):

        def write() -> None:
            for file, text in ((out, b"out"), (err, b"err"), (stack, b"stack")):
                file.write(text)

        outputs = in_a_process([out, err, stack], write)
    assert outputs.read() == LastOutput("out", "err", "stack")
    outputs.close()


def test_what_is_not_there_is_empty() -> None:
    """No file, and a process that has gone, give empty texts, not errors."""
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    for outputs in (OutputFiles(os.getpid(), (-1, -1, -1)), OutputFiles(gone, (1, 2, 0))):
        assert outputs.read() == LastOutput("", "", "")
        outputs.close()


def test_reading_moves_nothing_of_the_writers() -> None:
    """The worker goes on writing where it was, and the output may be read again."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"one ")
        outputs = OutputFiles(os.getpid(), (file.fileno(), -1, -1))
        assert outputs.read().out == "one "
        file.write(b"two")
        assert outputs.read().out == "one two"
        file.seek(0)
        file.truncate()
        assert outputs.read().out == ""
        outputs.close()


def test_of_much_output_the_end_is_kept() -> None:
    """The last mebibyte says why it died; bytes that are no text do not matter."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"begin" + b"\xff" * TAIL_BYTES + b"end")
        outputs = OutputFiles(os.getpid(), (-1, file.fileno(), -1))
        err = outputs.read().err
        outputs.close()
    assert len(err) == TAIL_BYTES
    assert err.endswith("\N{REPLACEMENT CHARACTER}end")


def test_closed_files_are_closed_once() -> None:
    """``close`` gives the descriptors back, and doing it again closes nobody else's."""
    with tempfile.TemporaryFile(buffering=0) as file:
        outputs = OutputFiles(os.getpid(), (file.fileno(), -1, -1))
        (copy, _, _) = outputs._fds
        outputs.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(copy)
        outputs.close()
