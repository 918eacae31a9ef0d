"""Which workers are measured by ``sys.monitoring``."""

from __future__ import annotations

import pytest

from pytest_parpool.coverage.monitoring import Measured, is_monitored

PLAIN = Measured(
    chosen_core=None,
    tracer="CTracer",
    has_branches=False,
    has_contexts=False,
    has_plugins=False,
    concurrency=("thread",),
)


def decide(measured: Measured, python: tuple[int, int] = (3, 13), coverage: tuple[int, int] = (7, 17)) -> bool:
    """Return what is decided on some interpreter with some coverage."""
    return is_monitored(measured, python=python, coverage=coverage)


@pytest.mark.parametrize("python", [(3, 12), (3, 13), (3, 14)])
@pytest.mark.parametrize("coverage", [(7, 15), (7, 17), (8, 0)])
@pytest.mark.parametrize("concurrency", [(), ("thread",), ("multiprocessing",), ("thread", "multiprocessing")])
def test_statements_are(python: tuple[int, int], coverage: tuple[int, int], concurrency: tuple[str, ...]) -> None:
    """Of statements it records what tracing records."""
    assert decide(PLAIN.replace(concurrency=concurrency), python, coverage)


@pytest.mark.parametrize(
    "change",
    [
        {"chosen_core": "ctrace"},
        {"chosen_core": "sysmon"},
        {"tracer": "SysMonitor"},
        {"tracer": "PyTracer"},
        {"has_branches": True},
        {"has_contexts": True},
        {"has_plugins": True},
        {"concurrency": ("greenlet",)},
        {"concurrency": ("thread", "gevent")},
    ],
    ids=str,
)
def test_what_it_does_not_see_is_not(change: dict[str, object]) -> None:
    """The user's core stays: where another is named, and where statements are not all."""
    assert not decide(PLAIN.replace(**change))


@pytest.mark.parametrize(("python", "coverage"), [((3, 11), (7, 17)), ((3, 13), (7, 14)), ((3, 10), (7, 4))])
def test_nothing_is_where_there_is_no_such_core(python: tuple[int, int], coverage: tuple[int, int]) -> None:
    """An interpreter without PEP 669, or a coverage whose core was not compared."""
    assert not decide(PLAIN, python, coverage)
