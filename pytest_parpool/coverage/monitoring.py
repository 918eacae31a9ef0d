"""Which workers are measured by ``sys.monitoring`` (PEP 669), because it records what tracing records for far less.

Coverage calls its ways of measuring *cores*. ``ctrace``, its default before CPython 3.14, is called for every line that
is run; ``sysmon`` has the interpreter tell of a line once. For statements both record the same lines. Branches,
contexts and plugins are beyond ``sysmon`` there, and whoever has named a core gets it.
"""

from __future__ import annotations

import sys
from typing import Final

from coverage import version_info

from pytest_parpool.model.records import Record, record

# The first versions that were compared.
OLDEST_COVERAGE: Final = (7, 15)
OLDEST_PYTHON: Final = (3, 12)

# It sees all threads. With others (greenlet, gevent) stacks are switched, for which coverage has ``ctrace`` only.
_CONCURRENCY: Final = frozenset({"thread", "multiprocessing"})


@record(kw_only=True)
class Measured(Record):
    """What a ``Coverage`` measures, and how.

    Attributes:
        chosen_core: Named by the user (``[run] core``, ``COVERAGE_CORE``), or None.
        tracer: Name of the class that does it.
        has_branches: Whether arcs are recorded.
        has_contexts: Whether the context changes from test to test, or may.
        has_plugins: Whether plugins say which lines were run.
        concurrency: As in the configuration.
    """

    chosen_core: str | None
    tracer: str
    has_branches: bool
    has_contexts: bool
    has_plugins: bool
    concurrency: tuple[str, ...]


def is_monitored(
    measured: Measured,
    *,
    python: tuple[int, ...] = sys.version_info[:2],
    coverage: tuple[int, ...] = version_info[:2],
) -> bool:
    """Whether workers are to be measured by ``sys.monitoring`` though the controller is traced."""
    return (
        python >= OLDEST_PYTHON
        and coverage >= OLDEST_COVERAGE
        and measured.chosen_core is None
        and measured.tracer == "CTracer"
        and not measured.has_branches
        and not measured.has_contexts
        and not measured.has_plugins
        and _CONCURRENCY.issuperset(measured.concurrency)
    )
