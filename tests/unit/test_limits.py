"""Whether there are enough file descriptors, by numbers."""

from __future__ import annotations

import pytest

from pytest_parpool.errors import BadSettingError
from pytest_parpool.limits import FILES_FOR_THE_REST, FILES_PER_WORKER, check_open_files, files_needed


def test_each_worker_needs_six() -> None:
    """A worker more is a channel, two pidfds and three output files more."""
    assert files_needed(0) == FILES_FOR_THE_REST
    assert files_needed(8) - files_needed(7) == FILES_PER_WORKER == 6


@pytest.mark.parametrize(
    ("processes", "soft_limit", "already_open"),
    [
        pytest.param(1, 1024, 10, id="usual"),
        pytest.param(64, files_needed(64) + 10, 10, id="just enough"),
        pytest.param(10_000, -1, 10, id="unlimited"),
    ],
)
def test_enough(processes: int, soft_limit: int, already_open: int) -> None:
    """A limit that is high enough, or none, is nothing to talk about."""
    check_open_files(processes, soft_limit, already_open)


@pytest.mark.parametrize(
    ("processes", "soft_limit", "already_open", "problem", "advice"),
    [
        (
            64,
            256,
            10,
            "64 workers need 426 open files, but RLIMIT_NOFILE allows 256",
            "raise it with 'ulimit -n 426', or give at most -n 35",
        ),
        (
            2,
            50,
            10,
            "2 workers need 54 open files, but RLIMIT_NOFILE allows 50",
            "raise it with 'ulimit -n 54', or give at most -n 1",
        ),
        (
            2,
            20,
            10,
            "2 workers need 54 open files, but RLIMIT_NOFILE allows 20",
            "raise it with 'ulimit -n 54', or give -n 0",
        ),
    ],
)
def test_too_few(processes: int, soft_limit: int, already_open: int, problem: str, advice: str) -> None:
    """One line names the limit, the workers, the need, and both ways out."""
    with pytest.raises(BadSettingError) as caught:
        check_open_files(processes, soft_limit, already_open)
    assert str(caught.value) == f"-n/--numprocesses: {problem}; {advice}"


@pytest.mark.parametrize("soft_limit", range(50, 400, 7))
def test_advice_is_good(soft_limit: int) -> None:
    """Both ways out that the line gives lead out."""
    try:
        check_open_files(64, soft_limit, 10)
    except BadSettingError as error:
        limit = int(str(error).partition("ulimit -n ")[2].partition("'")[0])
        possible = int(str(error).rpartition("-n ")[2])
        check_open_files(64, limit, 10)
        if possible:
            check_open_files(possible, soft_limit, 10)
        with pytest.raises(BadSettingError):
            check_open_files(possible + 1, soft_limit, 10)
