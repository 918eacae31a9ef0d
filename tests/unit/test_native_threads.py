"""Which native threads a fork would leave behind, decided on texts of ``/proc/self/maps``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_parpool.runtime import native_threads
from pytest_parpool.runtime.native_threads import UNKNOWN, UnsafeLibrary, find_unsafe, openblas_threads, warning_line
from pytest_parpool.runtime.thread_counts import python_thread_count

GOMP = "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0"
GOMP_OF_WHEEL = "/venv/lib/site packages/scikit_learn.libs/libgomp-a34b3233.so.1.0.0"
LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
NUMPY_BLAS = "/venv/numpy.libs/libscipy_openblas64_-4b78795a.so"
OLD_NUMPY_BLAS = "/venv/numpy.libs/libopenblas64_p-r0-0cf96a72.3.23.dev.so"
SCIPY_BLAS = "/venv/scipy.libs/libscipy_openblas-c128ec02.so"
TORCH = "/venv/torch/lib/libtorch_cpu.so"


def maps_of(*paths: str) -> str:
    """Return ``/proc/self/maps`` with two mappings of each file, beside the interpreter, heap and anonymous memory."""
    lines = [
        "7ffd0000-7ffd1000 rw-p 00000000 00:00 0                          [heap]",
        "7f000000-7f001000 rw-p 00000000 00:00 0 ",
    ]
    for path in ("/usr/bin/python3.13", *paths):
        lines.append(f"7f0000-7f1000 r--p 00000000 fe:00 1234                       {path}")
        lines.append(f"7f1000-7f2000 r-xp 00001000 fe:00 1234                       {path}")
    return "\n".join(lines) + "\n"


def names(unsafe: tuple[UnsafeLibrary, ...]) -> list[str]:
    """Return only the names."""
    return [library.name for library in unsafe]


@pytest.mark.parametrize(
    ("paths", "native", "python", "expected"),
    [
        pytest.param([LIBC], 1, 1, [], id="one-thread"),
        pytest.param([GOMP, TORCH], 1, 1, [], id="loaded-but-never-used"),
        pytest.param([GOMP], 3, 3, [], id="all-threads-are-pythons"),
        pytest.param([GOMP], 3, 4, [], id="python-thread-not-yet-started"),
        pytest.param([GOMP], 2, 1, ["libgomp"], id="libgomp"),
        pytest.param([GOMP_OF_WHEEL], 2, 1, ["libgomp"], id="libgomp-of-a-wheel"),
        pytest.param([GOMP + " (deleted)"], 2, 1, ["libgomp"], id="libgomp-replaced-on-disk"),
        pytest.param([GOMP], 4, 3, ["libgomp"], id="one-beside-python-threads"),
        pytest.param([TORCH, GOMP], 2, 1, ["libgomp", "torch"], id="two-in-the-order-of-the-table"),
        pytest.param(["/lib/libcuda.so.1", "/lib/libcudart.so.12"], 2, 1, ["CUDA"], id="two-files-of-one-runtime"),
        pytest.param(["/v/_cython/cygrpc.cpython-313-x86_64-linux-gnu.so"], 2, 1, ["grpc"], id="grpc"),
        pytest.param(["/v/polars/polars.abi3.so"], 2, 1, ["polars"], id="polars"),
        pytest.param(["/v/_polars_runtime_32/_polars_runtime.abi3.so"], 2, 1, ["polars"], id="polars-since-1.34"),
        pytest.param(["/v/libiomp5.so"], 2, 1, ["libiomp5"], id="intel-openmp"),
        pytest.param(["/v/libomp-f1025659.so"], 2, 1, ["libomp"], id="llvm-openmp"),
        pytest.param([LIBC], 2, 1, [UNKNOWN], id="no-known-library"),
    ],
)
def test_libraries_are_named_when_there_are_native_threads(
    paths: list[str], native: int, python: int, expected: list[str]
) -> None:
    """A library of the table is a danger only beside threads that Python did not start."""
    assert names(find_unsafe(maps_of(*paths), native, python, ())) == expected


@pytest.mark.parametrize(
    ("paths", "native", "expected"),
    [
        pytest.param([NUMPY_BLAS], 4, [], id="numpy"),
        pytest.param([OLD_NUMPY_BLAS], 4, [], id="numpy-before-2"),
        pytest.param([NUMPY_BLAS, SCIPY_BLAS], 7, [], id="numpy-and-scipy"),
        pytest.param([NUMPY_BLAS], 9, [], id="more-threads-than-by-default"),
        pytest.param([NUMPY_BLAS, GOMP], 4, [], id="libgomp-unused-beside-numpy"),
        pytest.param([NUMPY_BLAS, SCIPY_BLAS, GOMP], 7, [], id="libgomp-unused-beside-scipy"),
        pytest.param([NUMPY_BLAS, GOMP], 5, ["libgomp"], id="libgomp-used-beside-numpy"),
        pytest.param(["/usr/lib64/libopenblaso-r0.3.26.so", GOMP], 4, ["libgomp"], id="fedoras-openblas-on-openmp"),
        pytest.param(
            ["/usr/lib/openblas-openmp/libopenblasp-r0.3.26.so", GOMP], 4, ["libgomp"], id="debians-openblas-on-openmp"
        ),
    ],
)
def test_openblas_explains_its_own_threads(paths: list[str], native: int, expected: list[str]) -> None:
    """Each OpenBLAS explains one thread less than the four it computes on; further ones are a known library's."""
    assert names(find_unsafe(maps_of(*paths), native, 1, (), openblas_threads=4)) == expected


@pytest.mark.parametrize(
    ("paths", "allowed", "expected"),
    [
        pytest.param([GOMP], ["libgomp"], [], id="by-name"),
        pytest.param([TORCH, GOMP], ["libgomp"], ["torch"], id="one-of-two"),
        pytest.param([TORCH], ["torch"], [], id="by-name-that-no-file-has"),
        pytest.param([TORCH], ["libtorch_cpu"], [], id="by-file-name"),
        pytest.param(["/v/libmyengine.so"], ["libmyengine"], [], id="own-library-explains-unknown-threads"),
        pytest.param(["/v/libother.so"], ["libmyengine"], [UNKNOWN], id="own-library-not-loaded"),
        pytest.param([LIBC], [UNKNOWN], [], id="unknown-threads"),
        pytest.param([GOMP], [""], ["libgomp"], id="empty-name-allows-nothing"),
    ],
)
def test_what_the_user_allows_is_not_reported(paths: list[str], allowed: list[str], expected: list[str]) -> None:
    """An allowed library is not reported, and threads without a known library are taken as its own."""
    assert names(find_unsafe(maps_of(*paths), 2, 1, allowed)) == expected


@pytest.mark.parametrize(
    ("environ", "cpus", "expected"),
    [
        pytest.param({}, 8, 8, id="all-cpus"),
        pytest.param({"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "4"}, 8, 2, id="own-variable-first"),
        pytest.param({"GOTO_NUM_THREADS": "3"}, 8, 3, id="old-name"),
        pytest.param({"OMP_NUM_THREADS": "4,2"}, 8, 4, id="list-of-levels"),
        pytest.param({"OPENBLAS_NUM_THREADS": "64"}, 8, 8, id="never-more-than-cpus"),
        pytest.param({"OPENBLAS_NUM_THREADS": "0", "OMP_NUM_THREADS": "many"}, 8, 8, id="no-numbers"),
    ],
)
def test_openblas_threads(environ: dict[str, str], cpus: int, expected: int) -> None:
    """OpenBLAS's own variables decide, then OpenMP's, then the CPUs."""
    assert openblas_threads(environ, cpus) == expected


def test_warning_line_names_libraries_reasons_and_advice() -> None:
    """Everything that the user has to know is in one line."""
    line = warning_line((UnsafeLibrary("liba", "waits for ever"), UnsafeLibrary("libb", "loses its pool")))
    assert "liba (waits for ever), libb (loses its pool)" in line
    assert line.endswith("use -n 0")
    assert "\n" not in line


def test_unknown_threads_are_counted_in_the_line() -> None:
    """Where no library can be named, the number of threads is."""
    assert f"{UNKNOWN} (3 that Python did not start" in warning_line(find_unsafe(maps_of(LIBC), 4, 1, ()))


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A process directory with one task per Python thread, and libgomp loaded."""
    for task in range(python_thread_count()):
        (tmp_path / "task" / str(task)).mkdir(parents=True)
    (tmp_path / "maps").write_text(maps_of(GOMP), encoding="utf-8")
    return tmp_path


def test_scan_is_silent_when_python_started_all_threads(proc: Path) -> None:
    """Libraries are not asked for while every task is Python's."""
    assert native_threads.scan((), proc=proc) == ()


def test_scan_finds_what_a_native_task_belongs_to(proc: Path) -> None:
    """One task more than Python started makes the loaded library a danger, unless it is allowed."""
    (proc / "task" / "native").mkdir()
    assert names(native_threads.scan((), proc=proc)) == ["libgomp"]
    assert native_threads.scan(("libgomp",), proc=proc) == ()


def test_scan_explains_threads_by_what_openblas_was_told_when_it_was_loaded(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by variables that were set later: an OpenBLAS of two threads stays one, and libgomp is not suspected."""
    monkeypatch.setattr(native_threads, "_cpu_count", lambda: 2)
    (proc / "task" / "native").mkdir()
    (proc / "maps").write_text(maps_of(GOMP, NUMPY_BLAS), encoding="utf-8")
    assert names(native_threads.scan((), environ={}, proc=proc)) == []
    assert names(native_threads.scan((), environ={"OPENBLAS_NUM_THREADS": "1"}, proc=proc)) == ["libgomp"]


class EndingThread:
    """A native thread that ends after a while, and the clock by which it does.

    Args:
        task: Its directory.
        state: Its state letter (proc(5)).
        ends_after_seconds: By that clock.
    """

    def __init__(self, task: Path, state: str, ends_after_seconds: float) -> None:
        task.mkdir()
        (task / "stat").write_text(f"7 (a) b) {state} 1 7", encoding="utf-8")
        self._task = task
        self._ends_after_seconds = ends_after_seconds
        self.now = 0.0

    def monotonic(self) -> float:
        """Stand in for ``time.monotonic``."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Stand in for ``time.sleep``."""
        self.now += seconds
        if self.now > self._ends_after_seconds and self._task.exists():
            shutil.rmtree(self._task)


@pytest.mark.parametrize(
    ("state", "ends_after_seconds", "found", "waited"),
    [
        ("R", 0.1, [], (0.1, 0.11)),  # On a busy machine an ended thread waits for a CPU.
        ("S", 0.002, [], (0.002, 0.005)),  # It waits for the interpreter's lock.
        ("S", 0.1, ["libgomp"], (0.005, 0.01)),
        ("R", 10.0, ["libgomp"], (0.2, 0.3)),
    ],
)
def test_scan_waits_for_threads_that_end(
    proc: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    ends_after_seconds: float,
    found: list[str],
    waited: tuple[float, float],
) -> None:
    """One that sleeps for more than a moment does not end; one that is awake may, for a quarter of a second."""
    thread = EndingThread(proc / "task" / "native", state, ends_after_seconds)
    monkeypatch.setattr(native_threads, "time", thread)
    assert names(native_threads.scan((), proc=proc)) == found
    assert waited[0] <= thread.now <= waited[1]


def test_scan_without_proc_finds_nothing(tmp_path: Path) -> None:
    """On a system without ``/proc`` there is nothing to tell, and no error."""
    assert native_threads.scan((), proc=tmp_path / "absent") == ()
