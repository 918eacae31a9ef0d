"""What tests of the pool for calls share: functions that workers call, and how they wait for each other."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest

from pytest_parpool import Pool, PoolExecutor
from tests.sharing import DEADLINE_SECONDS, until

WAY_TOO_LONG_SECONDS = DEADLINE_SECONDS
Way = Literal["thread", "fork", "spawn"]


def open_pool(way: Way, processes: int = 2, **options: Any) -> Pool:
    """Return a pool of that kind."""
    if way == "thread":
        return Pool(processes, kind="thread", **options)
    return Pool(processes, context=way, **options)


def open_executor(way: Way, processes: int = 2, **options: Any) -> PoolExecutor:
    """Return an executor of that kind."""
    if way == "thread":
        return PoolExecutor(processes, kind="thread", **options)
    return PoolExecutor(processes, way, **options)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- Functions for workers --------------------------------------------------------------------------------------------


def square(number: int) -> int:
    """Return the square."""
    return number * number


def fail_if_odd(number: int) -> int:
    """Return an even number."""
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


def identity(value: Any) -> Any:
    """Return the very same."""
    return value


def whoami(_: object = None) -> tuple[int, str]:
    """Return the process and the thread."""
    return os.getpid(), threading.current_thread().name


def kill_self(number: int = signal.SIGKILL) -> NoReturn:
    """Die of a signal."""
    os.kill(os.getpid(), number)
    raise AssertionError("still alive")


def exit_if_three(number: int) -> int:
    """Return the number, or leave without a word."""
    if number == 3:
        os._exit(7)
    return number


def touch(path: str) -> None:
    """Say that something has happened."""
    Path(path).touch()


def wait_for(path: str) -> str:
    """Wait until something has happened; says that it waits."""
    Path(f"{path}.awaited").touch()
    until(Path(path).exists, f"{path} did not happen")
    return path


def wait_long(path: str) -> None:
    """Say that it is here, and stay."""
    Path(path).touch()
    time.sleep(WAY_TOO_LONG_SECONDS)


def crash_once(path: str) -> str:
    """Die the first time."""
    if not Path(path).exists():
        Path(path).touch()
        kill_self()
    return "survived"


def say(text: str) -> None:
    """Print a text."""
    print(text, flush=True)  # noqa: T201


def write_and_die(text: str) -> NoReturn:
    """Write to the standard error, and die."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
    kill_self(signal.SIGSEGV)


# --- What they carry --------------------------------------------------------------------------------------------------


class TwoArgumentsError(Exception):
    """Pickles, but cannot be rebuilt: its ``args`` have one member."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


def raise_two_arguments() -> NoReturn:
    """Raise it."""
    raise TwoArgumentsError("first", "second")


class Holder:
    """Holds something that cannot be pickled."""

    def __init__(self) -> None:
        self.members = {"lock": [1, threading.Lock()]}

    def method(self, _: object) -> None:
        """Do nothing."""


def make_holder() -> Holder:
    """Return what cannot be sent."""
    return Holder()


class CannotBeRebuilt:
    """Pickles, but raises when it is rebuilt."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


# --- Fixtures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can import cloudpickle."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
