"""``workload.output_copy``: the end of what a task prints is kept, and everything goes where it went."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator

import pytest

from pytest_parpool.workload.output_copy import MOST_BYTES, OutputCopy


@pytest.fixture
def fd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An empty file."""
    fd = os.open(tmp_path_factory.mktemp("copy") / "file", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


class Output:
    """Standard output and error, copied. Made in the test itself: pytest sets its own between setup and call."""

    def __init__(self, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "stdout", self.out)
        monkeypatch.setattr(sys, "stderr", self.err)
        self.copy = OutputCopy(fd)
        self.copy.install()


def kept(fd: int) -> str:
    """Return the file's content."""
    return os.pread(fd, os.fstat(fd).st_size, 0).decode()


def test_both_streams_are_kept_and_written(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which they were written to."""
    output = Output(fd, monkeypatch)
    sys.stdout.write("one\n")
    sys.stderr.write("two\n")
    sys.stdout.writelines(["three\n", "four\n"])
    assert kept(fd) == "one\ntwo\nthree\nfour\n"
    assert output.out.getvalue() == "one\nthree\nfour\n"
    assert output.err.getvalue() == "two\n"


def test_a_task_begins_with_nothing(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the last one printed is forgotten, and the file has no hole."""
    output = Output(fd, monkeypatch)
    sys.stdout.write("the last one's\n")
    output.copy.begin()
    assert kept(fd) == ""
    sys.stdout.write("mine\n")
    assert kept(fd) == "mine\n"


def test_of_a_flood_the_end_is_kept(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In many lines and in one."""
    Output(fd, monkeypatch)
    for number in range(MOST_BYTES):
        sys.stdout.write(f"{number}\n")
    text = kept(fd)
    assert text.endswith(f"\n{MOST_BYTES - 1}\n")
    assert MOST_BYTES <= len(text) <= 2 * MOST_BYTES
    sys.stdout.write("y" * 10 * MOST_BYTES + "end\n")
    assert kept(fd).endswith("yend\n")
    assert len(kept(fd)) <= 2 * MOST_BYTES


def test_text_that_has_no_bytes_is_kept_escaped(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone surrogate is no reason to fail."""
    Output(fd, monkeypatch)
    sys.stdout.write("\udcff\n")
    assert kept(fd) == "\\udcff\n"


def test_a_closed_file_does_not_keep_from_printing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task may close every descriptor."""
    fd = os.open(tmp_path_factory.mktemp("copy") / "file", os.O_RDWR | os.O_CREAT)
    output = Output(fd, monkeypatch)
    sys.stdout.write("before\n")
    os.close(fd)
    sys.stdout.write("behind\n")
    output.copy.begin()
    sys.stdout.write("in the next\n")
    assert output.out.getvalue() == "before\nbehind\nin the next\n"
