"""The pool as a backend of joblib: ``parallel_config(backend="parpool")``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from typing import Any

from joblib._parallel_backends import (  # type: ignore[import-untyped]
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

from pytest_parpool.workload.executor import BudgetedExecutor, PoolExecutor
from pytest_parpool.workload.shares import default_processes


class ParpoolBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # joblib has no types.
    """Runs joblib's batches in a ``PoolExecutor``, which lives as long as the ``Parallel`` that uses it.

    What ``parallel_config`` is given besides joblib's own settings goes to the executor, ``retries=1`` for example.
    """

    supports_retrieve_callback = True

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many batches run side by side; joblib counts -1 as all CPUs, -2 as all but one.

        In a test "all" are the CPU slots of the run, of which those are used that are free.

        Raises:
            ValueError: If it is 0.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(default_processes() + 1 + n_jobs, 1)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Make the executor; joblib's settings for memory mapping have no meaning here."""
        count = self.effective_n_jobs(n_jobs)
        if count == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        executor = BudgetedExecutor if n_jobs < 0 else PoolExecutor
        self._executor = executor(count, **self.backend_kwargs)
        return count

    def submit(self, func: Callable[[], Any], callback: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Have a batch run."""
        future = self._executor.submit(func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """Return a batch's result, or raise its error."""
        return out.result()

    @contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Lend the slot of the test while a list of results is waited for; joblib calls this around it.

        Between the results of a generator the test computes, so that it lends nothing.
        """
        with nullcontext() if self.parallel.return_generator else self._executor.awaited():
            yield

    def terminate(self) -> None:
        """End the workers."""
        self._executor.terminate_workers()
        self._executor.shutdown()
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: FBT001, FBT002  -- joblib's
        """Kill the workers, because a batch has failed; make new ones if they will be needed."""
        self.terminate()
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel)
