"""pytest-xdist is installed beside us: `-n` is ours, and can be given back."""

from __future__ import annotations

import pytest

from tests.acceptance.runs import run

pytestmark = pytest.mark.beside_others

OURS = "parpool: 2 workers (*), load"
SUITE = """
import pytest

@pytest.mark.parametrize("number", range(6))
def test_number(number, worker_id):
    assert worker_id in ("gw0", "gw1")
"""


OURS_LAST = ["-p", "xdist.plugin", "-p", "xdist.looponfail", "-p", "pytest_parpool.plugin"]
"""As if pytest had found pytest-xdist's entry points before ours; needs those not to be loaded by themselves."""


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins are loaded where ``-p`` names them, and in that order."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.mark.parametrize("options", [[], ["-p", "no:xdist"], ["-p", "no:xdist.looponfail"]], ids=" ".join)
def test_the_option_is_ours(pytester: pytest.Pytester, options: list[str]) -> None:
    """Whichever of its plugins is there: the run is ours, and the header says so."""
    pytester.makepyfile(SUITE)
    result = run(pytester, *options, "-n", "2")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines([OURS, "*pytest-xdist is installed too*-p no:parpool*"])


@pytest.mark.start_method("fork")
@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("names", [OURS_LAST, OURS_LAST[2:], OURS_LAST[:2] + OURS_LAST[4:]], ids=" ".join)
def test_the_option_is_ours_when_we_come_last(pytester: pytest.Pytester, names: list[str]) -> None:
    """Also when pytest-xdist was loaded first, or a part of it."""
    pytester.makepyfile(SUITE)
    result = run(pytester, *names, "-n", "2")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines([OURS])


@pytest.mark.start_method("fork")
@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("names", [OURS_LAST, OURS_LAST[4:]], ids=["after xdist", "alone"])
def test_a_bad_value_is_one_line(pytester: pytest.Pytester, names: list[str]) -> None:
    """Also where the option was registered by pytest-xdist, our check answers."""
    result = run(pytester, *names, "-n", "many")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: -n/--numprocesses: 'many' is not allowed*"])


@pytest.mark.start_method("fork")
def test_the_option_can_be_given_back(pytester: pytest.Pytester) -> None:
    """Without our plugin pytest-xdist is as it always was."""
    pytester.makepyfile(SUITE)
    result = run(pytester, "-p", "no:parpool", "-n", "2")
    result.assert_outcomes(passed=6)
    result.stdout.no_fnmatch_line("parpool:*")
    result.stdout.fnmatch_lines(["*2 workers*"])
