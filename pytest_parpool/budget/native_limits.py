"""On how many threads native libraries may compute in a worker, and which environment variables tell them.

Without them, each worker computes on as many threads as the machine has CPUs, and N workers on N times as many as can
run. Nothing is read or set here.
"""

from __future__ import annotations

from collections.abc import Mapping

# Each variable, and those in whose place a library would read it: what the user said there must not be overruled by
# the more special or the more general name. NUMEXPR_MAX_THREADS, the other name that numexpr knows, is no default but
# a wall: a test that calls numexpr.set_num_threads(2) would fail with workers and pass without.
VARIABLES: dict[str, tuple[str, ...]] = {
    "OMP_NUM_THREADS": (),
    "OPENBLAS_NUM_THREADS": ("GOTO_NUM_THREADS", "OMP_NUM_THREADS"),
    "MKL_NUM_THREADS": ("OMP_NUM_THREADS",),
    "NUMEXPR_NUM_THREADS": ("OMP_NUM_THREADS",),
    "LOKY_MAX_CPU_COUNT": (),
}


def threads_each(slots: int, workers: int) -> int:
    """Return on how many threads a library may compute in each worker, at least 1."""
    return max(1, slots // workers)


def variables_to_set(environ: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return the variables that the user left to us, with their values.

    One that is there counts as the user's, also if it is empty.

    Args:
        environ: ``os.environ`` as the user gave it.
        threads: On how many a library may compute.
    """
    values = {
        name: str(threads)
        for name, others in VARIABLES.items()
        if name not in environ and not any(other in environ for other in others)
    }
    most = environ.get("NUMEXPR_MAX_THREADS", "")
    if most.isdecimal() and "NUMEXPR_NUM_THREADS" in values:
        # What numexpr would take without us. By our OMP_NUM_THREADS it would take fewer, or complain of too many.
        values["NUMEXPR_NUM_THREADS"] = most
    return values


def header_line(threads: int, names: tuple[str, ...]) -> str:
    """Return what is said with ``-v``."""
    return f"parpool: native libraries use {threads} thread{'s' if threads != 1 else ''} each ({', '.join(names)})"
