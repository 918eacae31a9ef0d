"""A measurement goes on by ``sys.monitoring``, and goes back to tracing for whoever changes the context."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from coverage import Coverage

from pytest_parpool.coverage import internals

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="the interpreter has no sys.monitoring")

SOURCE = """\
def one():
    return 1

def two():
    yield 1
    yield 2
"""


@pytest.fixture
def measured(tmp_path: Path) -> ModuleType:
    """A module, whose own lines nobody has measured."""
    module = ModuleType("measured")
    module.__file__ = str(tmp_path / "measured.py")
    Path(module.__file__).write_text(SOURCE)
    exec(compile(SOURCE, module.__file__, "exec"), vars(module))
    return module


@pytest.fixture
def cov(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coverage]:
    """A coverage that traces the module."""
    monkeypatch.setenv("COVERAGE_CORE", "ctrace")
    found = Coverage(data_file=tmp_path / "measured.db", include=[f"{tmp_path}/*"], config_file=False)
    found.start()
    yield found
    found.stop()


def lines(cov: Coverage) -> list[int]:
    """Return the lines that were measured up to now."""
    internals.flush(cov)
    data = internals.data_of(cov)
    [name] = data.measured_files() or [""]
    return sorted(data.lines(name) or ())


def contexts(cov: Coverage) -> dict[int, list[str]]:
    """Return which contexts have run each line up to now."""
    internals.flush(cov)
    data = internals.data_of(cov)
    [name] = data.measured_files()
    return {line: sorted(names) for line, names in data.contexts_by_lineno(name).items()}


def test_lines_are_recorded_without_tracing(cov: Coverage, measured: ModuleType) -> None:
    """No line is traced any more, and each is there; saved ones do not have to be seen again."""
    internals.monitor(cov)
    assert sys.gettrace() is None
    measured.one()
    assert lines(cov) == [2]
    measured.one()
    assert list(measured.two()) == [1, 2]
    assert lines(cov) == [2, 5, 6]


def test_what_was_traced_is_the_parents(cov: Coverage, measured: ModuleType) -> None:
    """Whoever changes over has recorded what there was, or does not want it."""
    measured.one()
    internals.monitor(cov)
    assert lines(cov) == []


def test_a_generator_that_began_before_is_seen_when_it_goes_on(cov: Coverage, measured: ModuleType) -> None:
    """Tracing sees it, too; coverage's own monitoring looks at beginnings only."""
    begun = measured.two()
    next(begun)
    internals.monitor(cov)
    assert list(begun) == [2]
    assert lines(cov) == [6]


def test_interrupted_and_resumed(cov: Coverage, measured: ModuleType) -> None:
    """As by pytest-cov's ``no_cover``: what runs meanwhile is not recorded, unless it runs afterwards, too."""
    internals.monitor(cov)
    cov.stop()
    measured.one()
    list(measured.two())
    cov.start()
    measured.one()
    assert sys.gettrace() is None
    assert lines(cov) == [2]


def test_inside_of_another_measurement(cov: Coverage, measured: ModuleType, tmp_path: Path) -> None:
    """A test that measures something itself: the outer measurement rests, as it does when it traces."""
    internals.monitor(cov)
    inner = Coverage(data_file=tmp_path / "inner.db", include=[f"{tmp_path}/*"], config_file=False)
    with inner.collect():
        measured.one()
    list(measured.two())
    assert lines(inner) == [2]
    assert lines(cov) == [5, 6]


def test_who_changes_the_context_gets_tracing_back(cov: Coverage, measured: ModuleType) -> None:
    """Each line is known to every context that runs it, not only to the first."""
    internals.monitor(cov)
    measured.one()
    for context in ("first", "second"):
        cov.switch_context(context)
        measured.one()
    assert sys.gettrace() is not None
    assert contexts(cov) == {2: ["", "first", "second"]}


def test_the_context_may_change_while_nothing_is_measured(cov: Coverage, measured: ModuleType) -> None:
    """Then nothing is before it goes on."""
    internals.monitor(cov)
    collector = cov._collector  # There is no public way to change it meanwhile.
    assert collector is not None
    cov.stop()
    collector.switch_context("first")
    measured.one()
    assert sys.gettrace() is None
    cov.start()
    measured.one()
    assert contexts(cov) == {2: ["first"]}


def test_what_a_later_coverage_lacks_is_noticed(cov: Coverage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it goes on tracing."""
    found = internals.measured_by(cov, has_contexts=False)
    assert found is not None
    assert (found.chosen_core, found.tracer) == ("ctrace", "CTracer")
    monkeypatch.delattr(type(cov._collector), "_start_tracer")
    assert internals.measured_by(cov, has_contexts=False) is None
