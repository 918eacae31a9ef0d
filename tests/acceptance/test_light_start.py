"""What a run does not pay for: see docs/explanation/decisions/light-start.md."""

from __future__ import annotations

import pytest

from tests.acceptance.runs import run


@pytest.mark.start_method("fork")
def test_own_modules_are_not_rewritten(pytester: pytest.Pytester) -> None:
    """Pytest's assertion rewriting handles none of our modules but those that come before it can be kept away."""
    pytester.makepyfile(
        """
        import sys

        from _pytest.assertion.rewrite import AssertionRewritingHook

        def test_loaders():
            rewritten = {
                name
                for name, module in sys.modules.items()
                if name.startswith("pytest_parpool.") and isinstance(module.__spec__.loader, AssertionRewritingHook)
            }
            first = {"pytest_parpool.plugin", "pytest_parpool.compat", "pytest_parpool.compat.own_imports"}
            assert rewritten <= first
            assert "pytest_parpool.runtime.pool" in sys.modules
        """
    )
    run(pytester, "-n", "1").assert_outcomes(passed=1)


@pytest.mark.start_method("fork")
def test_a_run_without_workers_loads_neither_side(pytester: pytest.Pytester) -> None:
    """Who has the plugin installed and does not use it pays for its options only."""
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            floors = ("controller", "worker", "runtime", "policy", "wire", "sync")
            assert not [name for name in sys.modules if name.startswith(tuple(f"pytest_parpool.{f}" for f in floors))]
        """
    )
    run(pytester, "-n", "0").assert_outcomes(passed=1)
    run(pytester).assert_outcomes(passed=1)


@pytest.mark.start_method("fork")
def test_what_a_run_does_not_use_is_not_loaded(pytester: pytest.Pytester) -> None:
    """A suite that does nothing special loads one scheduler, and nothing that explains why a fork would be wrong."""
    pytester.makeconftest(
        """
        import atexit
        import pathlib
        import sys

        # In the controller: a worker runs only what is registered in it.
        atexit.register(lambda: pathlib.Path("loaded.txt").write_text(" ".join(sys.modules)))
        """
    )
    pytester.makepyfile("def test_nothing(): pass")
    run(pytester, "-n", "1", "--start-method", "auto").assert_outcomes(passed=1)
    loaded = set((pytester.path / "loaded.txt").read_text(encoding="utf-8").split())
    assert "pytest_parpool.policy.schedulers.load" in loaded
    unused = (
        "compat.code_places",
        "compat.fork_reasons",
        "compat.identity_reads",
        "compat.open_sockets",
        "compat.python_threads",
        "controller.crashes",
        "policy.schedulers.each",
        "policy.schedulers.loadfile",
        "policy.schedulers.protocol",
        "runtime.native_threads",
    )
    assert loaded.isdisjoint(f"pytest_parpool.{name}" for name in unused)
