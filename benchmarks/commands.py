"""One command, run to its end in a fresh process."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.memory import PeakMemory

# What a developer or a CI job may have set, and what would change how a suite runs or what it costs.
_UNWANTED_PREFIXES = ("PYTEST_", "COV_", "COVERAGE_")
_UNWANTED = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONTRACEMALLOC",
    "PYTHONDEVMODE",
    "PYTHONWARNINGS",
    "PYTHONPROFILEIMPORTTIME",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a command ended.

    Attributes:
        seconds: Wall time from before the start of the process to its end.
        exit_code: As ``subprocess.Popen.returncode``.
        output: Standard output and standard error, in the order of writing.
        peak_bytes: Largest summed PSS of the process tree; None if it was not asked for.
        is_timed_out: Whether it was killed because it took too long.
    """

    seconds: float
    exit_code: int
    output: str
    peak_bytes: int | None
    is_timed_out: bool


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process' environment without what would change how a suite runs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_UNWANTED_PREFIXES) and name not in _UNWANTED
    }
    return {**kept, **extra}


def run_command(
    command: Sequence[str],
    *,
    timeout_seconds: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    with_memory: bool = False,
) -> Run:
    """Run a command and wait for its end.

    Each run has its own temporary files, so that none has to clean up behind another one.

    Args:
        command: Program and arguments.
        timeout_seconds: After so long it is killed.
        cwd: Where to run it; by default in an empty folder.
        environment: Variables to set beyond the cleaned environment.
        with_memory: Whether to sample the memory of the process tree, which costs a little time.
    """
    # Tests may leave files behind that cannot be removed; that is not the measurement's concern.
    owned = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
    with owned as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        temporary = folder / "tmp"
        temporary.mkdir()
        empty = folder / "cwd"
        empty.mkdir()
        # A file and not a pipe: nobody has to be woken to read while the clock runs.
        output = stack.enter_context((folder / "output").open("w+b"))
        timed_out = threading.Event()
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd or empty,
            env=clean_environment({"TMPDIR": str(temporary), **(environment or {})}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        memory = stack.enter_context(PeakMemory(process.pid)) if with_memory else None
        # wait(timeout=...) polls every 50 ms, which is too coarse for a run of 200 ms; hence the timer.
        timer = threading.Timer(timeout_seconds, _stop, args=(process, timed_out))
        try:
            timer.start()
            process.wait()
            seconds = time.perf_counter() - start
        finally:
            timer.cancel()
            if process.returncode is None:
                _kill_group(process)
                process.wait()
        output.seek(0)
        return Run(
            seconds=seconds,
            exit_code=process.returncode,
            output=output.read().decode(errors="replace"),
            peak_bytes=memory.peak_bytes if memory else None,
            is_timed_out=timed_out.is_set(),
        )


def _stop(process: subprocess.Popen[bytes], timed_out: threading.Event) -> None:
    timed_out.set()
    _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and what it started in its own session."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):  # It ended just now, which is what we want.
            os.killpg(process.pid, signal.SIGKILL)
