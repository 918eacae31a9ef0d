"""Makes the pool known to joblib, and loads joblib only then."""

from __future__ import annotations

from typing import Final

_NAME: Final = "parpool"


def register_joblib() -> None:
    """Make ``parallel_config(backend="parpool")`` work. Has to be called once; joblib looks nowhere by itself.

    Raises:
        ImportError: If joblib is not installed.
    """
    try:
        from joblib import register_parallel_backend  # type: ignore[import-untyped]
    except ImportError as error:
        text = 'joblib is not installed; install it with: pip install "pytest-parpool[joblib]"'
        raise ImportError(text, name="joblib") from error
    from pytest_parpool.workload.joblib_backend import ParpoolBackend

    register_parallel_backend(_NAME, ParpoolBackend)
