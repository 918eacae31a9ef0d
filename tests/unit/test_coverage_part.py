"""What a worker records is saved whole, and a child of a test keeps away from it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from coverage import CoverageData

from pytest_parpool.coverage.part import PartData

assert sys.platform != "win32"  # There are no workers to test, and type checkers know it.

SOURCE = str(Path(__file__).with_name("measured.py"))


@pytest.fixture
def part(tmp_path: Path) -> PartData:
    """A worker's data, with nothing recorded yet."""
    data = PartData(str(tmp_path / ".coverage"), tmp_path / "work")
    data.target = tmp_path / "gw0-1"
    return data


def lines_in(path: Path) -> list[int]:
    """Return the lines of the one file that a data file knows."""
    data = CoverageData(str(path))
    data.read()
    return sorted(data.lines(SOURCE) or ())


def test_write_saves_what_was_recorded_so_far(part: PartData, tmp_path: Path) -> None:
    """Each time the target holds all of it."""
    part.add_lines({SOURCE: [1, 2]})
    part.write()
    assert lines_in(tmp_path / "gw0-1") == [1, 2]
    part.add_lines({SOURCE: [3]})
    assert lines_in(tmp_path / "gw0-1") == [1, 2]
    part.write()
    assert lines_in(tmp_path / "gw0-1") == [1, 2, 3]


def test_a_new_file_takes_the_place_of_the_last_one(part: PartData, tmp_path: Path) -> None:
    """Who has the last one open goes on reading a whole file."""
    part.add_lines({SOURCE: [1]})
    part.write()
    with (tmp_path / "gw0-1").open("rb") as opened:
        part.add_lines({SOURCE: list(range(1000))})
        part.write()
        assert os.fstat(opened.fileno()).st_nlink == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gw0-1", "work"]


def test_what_is_saved_already_is_not_saved_again(part: PartData, tmp_path: Path) -> None:
    """Nothing is copied if nothing was recorded meanwhile."""
    part.add_lines({SOURCE: [1]})
    part.write()
    before = (tmp_path / "gw0-1").stat().st_ino
    part.write()
    assert (tmp_path / "gw0-1").stat().st_ino == before


def test_nothing_is_saved_before_there_is_anything(part: PartData, tmp_path: Path) -> None:
    """Neither without data nor without a target is a file written."""
    part.write()
    assert list(tmp_path.iterdir()) == []
    part.target = None
    part.add_lines({SOURCE: [1]})
    part.write()
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_going_on_keeps_what_the_predecessor_saved(part: PartData, tmp_path: Path) -> None:
    """A slot's next process adds to the part of the last one."""
    part.add_lines({SOURCE: [1]})
    part.write()
    successor = PartData(str(tmp_path / ".coverage"), tmp_path / "next-work")
    assert not successor.is_begun
    successor.go_on(tmp_path / "gw0-1")
    successor.target = tmp_path / "gw0-1"
    assert successor.is_begun
    successor.add_lines({SOURCE: [2]})
    successor.write()
    assert lines_in(tmp_path / "gw0-1") == [1, 2]


def test_a_forked_child_has_a_file_of_its_own(part: PartData, tmp_path: Path) -> None:
    """What it records is found beside the run's data file, and the worker's part stays as it was."""
    part.add_lines({SOURCE: [1]})
    part.write()
    pid = os.fork()
    if pid == 0:
        try:
            part.add_lines({SOURCE: [2]})
            part.write()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert lines_in(tmp_path / "gw0-1") == [1]
    [childs] = tmp_path.glob(".coverage.*")
    assert lines_in(childs) == [2]
