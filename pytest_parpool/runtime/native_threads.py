"""Finds native threads that a fork would leave behind, because a worker that needs them hangs.

A fork copies the calling thread only. A library with a thread pool of its own (OpenMP, torch, CUDA) that was used
before the fork believes in the worker that its threads are there, and waits for them for ever. Python does not see
such threads: ``threading.active_count()`` is 1 while ``/proc/self/task`` has more entries. This module compares the
two counts, names the libraries from ``/proc/self/maps``, and leaves what to do about it to others.

The rule, in this order:

1. Without threads that Python did not start there is no danger, whatever is loaded.
2. OpenBLAS stops its threads before a fork and starts them again when they are needed (``pthread_atfork``). Each loaded
   OpenBLAS explains as many threads as it starts at import, one less than it uses CPUs.
3. If there are more, every loaded library of the table is named. Which of them the threads belong to cannot be told:
   a thread inherits its name from the one that started it.
4. If none is loaded, the threads are reported as unknown, except when OpenBLAS (whose number of threads a program may
   raise) or a library that the user allowed is loaded.

So a library of the table that is loaded but was never used is silent, also beside numpy. Two errors remain. It is named
wrongly when other native threads run beside it. It is missed when OpenBLAS runs fewer threads than it would start at
import (``threadpoolctl``, a build for fewer CPUs, a fork earlier in the process), and the library no more than those.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from pytest_parpool.model.records import Record, record
from pytest_parpool.runtime.thread_counts import python_thread_count

UNKNOWN = "unknown native threads"

# A Python thread that has just ended is gone for Python some microseconds before it is gone for the system; on a busy
# machine it waits for a CPU in between, and is awake as long.
SETTLE_SECONDS = 0.005
_AWAKE_SECONDS = 0.25
_LOOK_SECONDS = 0.0005

# OpenBLAS compiled for OpenMP runs on libgomp's threads and is no safer than that: Fedora's and Debian's names for it.
_OPENBLAS = ("libopenblas", "libscipy_openblas")
_OPENBLAS_ON_OPENMP = ("libopenblaso", "openblas-openmp")

# In the order in which OpenBLAS asks for them.
_OPENBLAS_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OMP_NUM_THREADS",
)


@record
class UnsafeLibrary(Record):
    """A library whose threads are not in a forked worker.

    Attributes:
        name: The name that a user may allow; ``UNKNOWN`` if no known library is loaded.
        reason: What goes wrong after a fork, to be read behind the name.
    """

    name: str
    reason: str


@record
class Runtime(Record):
    """One row of the table of native runtimes.

    Attributes:
        named: The library, with the reason to report.
        prefixes: How the names of its files begin; wheels put a hash behind (``libgomp-a34b3233.so.1.0.0``).
    """

    named: UnsafeLibrary
    prefixes: tuple[str, ...]


def _runtime(name: str, reason: str, *prefixes: str) -> Runtime:
    return Runtime(UnsafeLibrary(name, reason), prefixes)


FORK_UNSAFE_LIBRARIES: tuple[Runtime, ...] = (
    _runtime("libgomp", "GNU OpenMP, whose next parallel region in a worker waits for ever", "libgomp"),
    _runtime("libiomp5", "Intel OpenMP, whose threads are missing in a worker", "libiomp5"),
    _runtime("libomp", "LLVM OpenMP, whose threads are missing in a worker", "libomp.", "libomp-", "libomp5"),
    _runtime("libtbb", "oneTBB, whose scheduler does not support fork", "libtbb."),
    _runtime("torch", "its thread pools are missing in a worker", "libtorch_cpu", "libtorch_cuda"),
    _runtime(
        "tensorflow",
        "its thread pools are missing in a worker",
        "libtensorflow_framework",
        "libtensorflow_cc",
        "_pywrap_tensorflow",
    ),
    _runtime("jax", "its thread pools are missing in a worker", "xla_extension", "libjax_common"),
    _runtime("polars", "its thread pool is missing in a worker", "polars.", "_polars_runtime"),
    _runtime("grpc", "its threads are missing and its locks may be held in a worker", "cygrpc."),
    _runtime("CUDA", "a context made before a fork cannot be used after it", "libcuda.so", "libcudart"),
    _runtime("ROCm", "a context made before a fork cannot be used after it", "libamdhip64"),
)


def find_unsafe(
    maps_text: str,
    native_thread_count: int,
    python_thread_count: int,
    allowed: Collection[str],
    *,
    openblas_threads: int = 1,
) -> tuple[UnsafeLibrary, ...]:
    """Return what a fork would break, in the order of the table; empty if nothing is known to break.

    Args:
        maps_text: The text of ``/proc/self/maps``.
        native_thread_count: All threads of the process, the main thread included.
        python_thread_count: Those of them that Python started, the main thread included.
        allowed: Names of the table, ``UNKNOWN``, or beginnings of file names (``libmyengine``): what the user knows to
            survive a fork.
        openblas_threads: Threads that one OpenBLAS computes on, the calling one included (``openblas_threads()``).
    """
    unknown_count = native_thread_count - python_thread_count
    if unknown_count <= 0:
        return ()
    paths = _mapped_files(maps_text)
    openblas_count = sum(map(_is_openblas, paths))
    if unknown_count <= openblas_count * (openblas_threads - 1):
        return ()
    files = {os.path.basename(path) for path in paths}
    allowed_prefixes = tuple(name for name in allowed if name)
    allowed_files = {file for file in files if file.startswith(allowed_prefixes)}
    loaded = [
        runtime.named
        for runtime in FORK_UNSAFE_LIBRARIES
        if any(file.startswith(runtime.prefixes) for file in files - allowed_files)
    ]
    unsafe = tuple(library for library in loaded if library.name not in allowed)
    if unsafe:
        return unsafe
    if loaded or allowed_files or openblas_count or UNKNOWN in allowed:
        return ()
    return (UnsafeLibrary(UNKNOWN, f"{unknown_count} that Python did not start, of a library that is not known"),)


def openblas_threads(environ: Mapping[str, str], cpu_count: int) -> int:
    """Return on how many threads OpenBLAS computes by default: as its variables say, never more than CPUs."""
    for variable in _OPENBLAS_VARIABLES:
        # OMP_NUM_THREADS may be a list, one number per level of nesting; OpenBLAS reads the first, too.
        value = environ.get(variable, "").partition(",")[0].strip()
        if value.isdecimal() and int(value) > 0:
            return min(int(value), cpu_count)
    return cpu_count


def warning_line(unsafe: tuple[UnsafeLibrary, ...]) -> str:
    """Return one line that names the libraries, the reasons and the way out, without prefix or line end."""
    named = ", ".join(f"{library.name} ({library.reason})" for library in unsafe)
    return f"native threads were started before the fork and do not survive it: {named}; if tests hang, use -n 0"


def scan(
    allowed: Collection[str], *, environ: Mapping[str, str] = os.environ, proc: Path = Path("/proc/self")
) -> tuple[UnsafeLibrary, ...]:
    """Return what a fork of this process would break now; empty where there is no ``/proc`` to tell.

    Costs one directory listing when Python started all threads; else some milliseconds, and where something is unsafe
    and threads are awake, a quarter of a second.

    Args:
        allowed: As for ``find_unsafe``.
        environ: What OpenBLAS found when it was loaded, which may be more than it would find now.
        proc: The directory of this process; another one in tests.
    """
    began = time.monotonic()
    while (unsafe := _read(allowed, environ, proc)) and _may_settle(time.monotonic() - began, proc):
        time.sleep(_LOOK_SECONDS)
    return unsafe


def _may_settle(seconds: float, proc: Path) -> bool:
    """Whether one of the threads may be gone soon, after so long a wait. One of a library would sleep."""
    return seconds < SETTLE_SECONDS or (seconds < _AWAKE_SECONDS and _is_another_awake(proc))


def _is_another_awake(proc: Path) -> bool:
    this = str(threading.get_native_id())
    for task in proc.glob("task/*/stat"):
        if task.parent.name != this:
            with contextlib.suppress(OSError):  # It has just ended.
                if task.read_text(errors="replace").rpartition(")")[2].split()[:1] != ["S"]:
                    return True
    return False


def _read(allowed: Collection[str], environ: Mapping[str, str], proc: Path) -> tuple[UnsafeLibrary, ...]:
    python_threads = python_thread_count()
    try:
        native_threads = len(os.listdir(proc / "task"))
        if native_threads <= python_threads:
            return ()
        maps_text = (proc / "maps").read_text(encoding="utf-8", errors="replace")
    except OSError:  # Not Linux, or a hardened one; the fork itself does not depend on this.
        return ()
    threads = openblas_threads(environ, _cpu_count())
    return find_unsafe(maps_text, native_threads, python_threads, allowed, openblas_threads=threads)


def _cpu_count() -> int:
    # As OpenBLAS counts: the affinity mask, no cgroup quota.
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _mapped_files(maps_text: str) -> set[str]:
    # proc(5): address, permissions, offset, device, inode, and for a file its path, which may hold blanks.
    paths = {path for line in maps_text.splitlines() for path in line.split(None, 5)[5:]}
    return {path.removesuffix(" (deleted)") for path in paths if path.startswith("/")}


def _is_openblas(path: str) -> bool:
    return os.path.basename(path).startswith(_OPENBLAS) and not any(mark in path for mark in _OPENBLAS_ON_OPENMP)
