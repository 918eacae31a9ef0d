"""What plugins do at a worker's birth and end: hooks that look at the worker's identity run again, others do not."""

from __future__ import annotations

import collections
import json
import re

import pytest

from tests.acceptance.runs import add_happenings, notes, run

TWO_TESTS = """
import pytest

import happenings


@pytest.mark.parametrize("number", range(2))
def test_meet(number, worker_id):
    # One for each of two workers.
    happenings.tell(f"test-{number}")
    happenings.wait_for(f"test-{1 - number}")
"""

# Each process writes down what is called in it.
PLUGIN = """
import happenings
import pytest


def note(config, text):
    worker = getattr(config, "workerinput", {}).get("workerid", "controller")
    happenings.note(worker, text)


class Made:
    def __init__(self, config):
        self.config = config

    def pytest_sessionstart(self):
        note(self.config, "its object: sessionstart")

    def pytest_sessionfinish(self, exitstatus):
        note(self.config, f"its object: sessionfinish {int(exitstatus)}")

    def pytest_addhooks(self, pluginmanager):
        pluginmanager.add_hookspecs(Specs)


class Specs:
    @pytest.hookspec
    def pytest_some_new_hook(self):
        pass


def pytest_configure(config):
    is_worker = hasattr(config, "workerinput")
    note(config, f"configure {'again' if is_worker else 'first'}")
    config.pluginmanager.register(Made(config), "made")
    config.add_cleanup(lambda: note(config, "cleanup"))


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session):
    note(session.config, "sessionstart")


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["said"] = "at the end"
    note(session.config, "sessionfinish")


def pytest_unconfigure(config):
    note(config, "unconfigure")


def pytest_parpool_worker_started(config):
    note(config, "worker started")


def pytest_runtest_call(item):
    happenings.note(item.config.workerinput["workerid"], "test")


def pytest_testnodedown(node, error):
    happenings.note("outputs", f"{node.gateway.id} {getattr(node, 'workeroutput', None)} {error}")
"""

# Looks at nothing.
BLIND = """
import happenings


class Made:
    def pytest_sessionstart(self):
        happenings.note("blind", "its object: sessionstart")


def pytest_configure(config):
    happenings.note("blind", "configure")
    config.pluginmanager.register(Made(), "blind made")
    config.add_cleanup(lambda: happenings.note("blind", "cleanup"))


def pytest_sessionstart(session):
    happenings.note("blind", "sessionstart")


def pytest_sessionfinish(session):
    assert session.config.pluginmanager.hasplugin("blind made")
    happenings.note("blind", "sessionfinish")


def pytest_unconfigure(config):
    happenings.note("blind", "unconfigure")
"""

WORKERS_LIFE = [
    "configure again",
    "its object: sessionstart",
    "sessionstart",
    "worker started",
    "test",
    "its object: sessionfinish 0",
    "sessionfinish",
    "unconfigure",
    "cleanup",
]


def test_hooks_that_look_at_the_worker_run_again_in_each(pytester: pytest.Pytester) -> None:
    """First workers and replacements alike: configured, started, finished, and the controller sees what they leave."""
    add_happenings(pytester)
    pytester.makepyfile(
        plug=PLUGIN, blind=BLIND, test_it="import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_it(n): pass"
    )
    run(pytester, "-p", "plug", "-p", "blind", "-n", "2", "--maxtasksperchild", "1").assert_outcomes(passed=4)
    lines = notes(pytester, "gw0") + notes(pytester, "gw1")
    # One that was born when the last test was given away has none to run.
    idle_life = [line for line in WORKERS_LIFE if line != "test"]
    lives = 0
    while lines:
        life = WORKERS_LIFE if lines[: len(WORKERS_LIFE)] == WORKERS_LIFE else idle_life
        assert lines[: len(life)] == life
        del lines[: len(life)]
        lives += 1
    assert lives >= 4
    assert notes(pytester, "controller") == [
        "configure first",
        "its object: sessionstart",
        "sessionstart",
        "its object: sessionfinish 0",
        "sessionfinish",
        "unconfigure",
        "cleanup",
    ]
    outputs = [line.partition(" ")[2] for line in notes(pytester, "outputs")]
    assert outputs == ["{'said': 'at the end'} None"] * lives


@pytest.mark.start_method("fork")
def test_hooks_that_do_not_run_once(pytester: pytest.Pytester) -> None:
    """In the controller only, cleanups included, as in a plain run."""
    add_happenings(pytester)
    pytester.makepyfile(blind=BLIND, test_meet=TWO_TESTS)
    life = ["configure", "its object: sessionstart", "sessionstart", "sessionfinish", "unconfigure", "cleanup"]
    run(pytester, "-p", "blind", "-n", "2", "--maxtasksperchild", "1").assert_outcomes(passed=2)
    assert sorted(notes(pytester, "blind")) == sorted(life)


@pytest.mark.start_method("fork")
@pytest.mark.parametrize("name", ["blind", "blind.Made", "conftest.py", "tests/conftest.py"])
@pytest.mark.parametrize("verdict", ["rerun", "keep"])
def test_ini_settings_force_and_forbid(pytester: pytest.Pytester, name: str, verdict: str) -> None:
    """By the name of the plugin, of its module or class, or by a conftest's path."""
    add_happenings(pytester)
    source = BLIND
    if verdict == "keep":
        header = "def pytest_configure(config):\n"
        source = source.replace(header, f"{header}    hasattr(config, 'workerinput')\n")
    tests = "import happenings\ndef test_it(): pass"
    if name.endswith("conftest.py"):
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        (path.parent / "test_it.py").write_text(tests)
    else:
        pytester.makepyfile(blind=source, test_it=tests)
    pytester.makeini(f"[pytest]\npythonpath = .\nparpool_{verdict}_hooks = {name}")
    arguments = [] if name.endswith("conftest.py") else ["-p", "blind"]
    # With the directory as an argument its conftest is there from the beginning.
    result = run(pytester, *arguments, "-n", "1", "--parpool-explain-workers", *(["tests"] if "/" in name else []))
    result.assert_outcomes(passed=1)
    count = collections.Counter(notes(pytester, "blind"))
    if verdict == "keep":
        assert count["configure"] == 1 or name == "blind.Made"
    elif name == "blind.Made":
        assert count["its object: sessionstart"] == 2
        assert count["configure"] == 1
    else:
        assert count["configure"] == count["sessionstart"] == count["sessionfinish"] == count["unconfigure"] == 2
    result.stdout.fnmatch_lines([f"parpool:   *because parpool_{verdict}_hooks names it"])


@pytest.mark.start_method("fork")
def test_what_is_made_at_configure_time_lives_as_long_as_the_run(pytester: pytest.Pytester) -> None:
    """A resource that ``pytest_unconfigure`` removes is there for the last test of the last worker."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import pathlib
        import shutil

        import happenings

        def pytest_configure(config):
            config.resource = pathlib.Path("resource")
            config.resource.mkdir()

        def pytest_unconfigure(config):
            happenings.note("removals", "one")
            shutil.rmtree(config.resource)
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(20))
        def test_resource(number, pytestconfig):
            assert pytestconfig.resource.is_dir()
        """
    )
    run(pytester, "-n", "3", "--maxtasksperchild", "2").assert_outcomes(passed=20)
    assert notes(pytester, "removals") == ["one"]
    assert not (pytester.path / "resource").exists()


@pytest.mark.start_method("fork")
def test_explanation(pytester: pytest.Pytester) -> None:
    """Who is run again, what is inherited and dropped, and why; nothing is said unasked."""
    add_happenings(pytester)
    pytester.makepyfile(plug=PLUGIN, blind=BLIND, test_meet=TWO_TESTS)
    arguments = ("-p", "plug", "-p", "blind", "-n", "2")
    result = run(pytester, *arguments, "--parpool-explain-workers")
    result.assert_outcomes(passed=2)
    lines = [line for line in result.outlines if line.startswith("parpool:   ") and "pytest_cov" not in line]
    calls = "it calls 'note', which names 'workerinput'"
    nothing = "nothing in it looks at the worker's identity"
    assert sorted(lines[2:]) == sorted(
        f"parpool:   {line}"
        for line in [
            "run again: pytest_configure of 'plug', because it names 'workerinput'",
            "dropped: 'plug.Made', which was made there",
            f"run again: pytest_sessionstart of 'plug', because {calls}",
            f"run again: pytest_sessionstart of 'made', because {calls}",
            "run too: pytest_sessionfinish of 'plug', because it names 'workeroutput'",
            f"run too: pytest_sessionfinish of 'made', because {calls}",
            f"run too: pytest_unconfigure of 'plug', because {calls}",
            f"inherited: pytest_configure of 'blind', because {nothing}",
            f"inherited: pytest_sessionstart of 'blind', because {nothing}",
            f"inherited: pytest_sessionstart of 'blind made', because {nothing}",
            f"left out: pytest_sessionfinish of 'blind', because {nothing}",
            f"left out: pytest_unconfigure of 'blind', because {nothing}",
        ]
    )
    assert "run again" not in run(pytester, *arguments).stdout.str()


@pytest.mark.start_method("fork")
def test_without_plugins_nothing_is_scanned(pytester: pytest.Pytester) -> None:
    """Who has no plugins, or none but pytest-cov, does not pay for looking at them."""
    pytester.makepyfile("import sys\ndef test_it(): assert 'pytest_parpool.compat.aware_hooks' not in sys.modules")
    result = run(pytester, "-n", "1", "--parpool-explain-workers")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["parpool: workers run no plugin's hooks again"])


@pytest.mark.parametrize(
    ("hook", "line"),
    [
        ("pytest_configure(config)", "starting worker 'gw0' failed:"),
        ("pytest_sessionstart(session)", "starting worker 'gw0' failed:"),
        ("pytest_sessionfinish(session)", "INTERNALERROR in worker 'gw0':"),
        ("pytest_unconfigure(config)", "INTERNALERROR in worker 'gw0':"),
    ],
)
def test_a_failing_hook_ends_the_run_with_its_traceback(pytester: pytest.Pytester, hook: str, line: str) -> None:
    """Once, with exit code 3, naming the worker."""
    config = "config" if "config)" in hook else "session.config"
    pytester.makeconftest(f"def {hook}:\n    if hasattr({config}, 'workerinput'): raise ValueError('in the worker')")
    pytester.makepyfile("def test_it(): pass")
    result = run(pytester, "-n", "1")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines([f"*INTERNALERROR> {line}", "INTERNALERROR> ValueError: in the worker"])
    assert result.stdout.str().count("ValueError: in the worker\n") == 1


def test_the_end_of_a_workers_session_is_pytests(pytester: pytest.Pytester) -> None:
    """Warnings and log lines of ``pytest_sessionfinish`` arrive, and it is told whether tests have failed there."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import logging
        import warnings

        import happenings

        def pytest_sessionfinish(session, exitstatus):
            if hasattr(session.config, "workerinput"):
                warnings.warn("said at a worker's end")
                logging.getLogger("some").warning("logged at a worker's end")
                happenings.note("codes", f"{int(exitstatus)} {int(session.exitstatus)}")
        """
    )
    pytester.makepyfile(TWO_TESTS + "    assert number")
    result = run(pytester, "-n", "2", "--log-file", "all.log")
    result.assert_outcomes(passed=1, failed=1, warnings=2)
    assert sorted(notes(pytester, "codes")) == ["0 0", "1 1"]
    assert (pytester.path / "all.log").read_text().count("logged at a worker's end\n") == 2


def test_the_last_test_of_a_worker_that_was_told_to_wait(pytester: pytest.Pytester) -> None:
    """Its session fixtures are torn down inside of the run loop's wrappers, whenever it learns that it has run all."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import pytest

        import happenings

        @pytest.hookimpl(wrapper=True)
        def pytest_runtestloop(session):
            worker = getattr(session.config, "workerinput", {}).get("workerid", "controller")
            happenings.note(worker, "begin")
            try:
                return (yield)
            finally:
                happenings.note(worker, "end")
        """
    )
    pytester.makepyfile(
        """
        import pytest

        import happenings

        @pytest.fixture(scope="session", autouse=True)
        def torn_down(worker_id):
            yield
            happenings.note(worker_id, "teardown")

        def test_long():
            happenings.tell("begun long")
            # By then the other has asked for more, and stands idle.
            happenings.wait_for("finished short")

        def test_short():
            # Else it might be over before the other worker is born, and its worker take both.
            happenings.wait_for("begun long")
        """
    )
    pytester.makepyfile(
        plug="""
        import happenings

        def pytest_runtest_logfinish(nodeid):
            if nodeid.endswith("test_short"):
                happenings.tell("finished short")
        """
    )
    run(pytester, "-p", "plug", "-n", "2").assert_outcomes(passed=2)
    for worker in ("gw0", "gw1"):
        assert notes(pytester, worker) == ["begin", "teardown", "end"]


# --- Log files --------------------------------------------------------------------------------------------------------

LOGGING_TESTS = """
import logging

import pytest

logger = logging.getLogger("some")


@pytest.fixture(scope="session", autouse=True)
def session_fixture():
    logger.info("session begins")
    yield
    logger.info("session ends")


@pytest.mark.parametrize("number", range(20))
def test_log(number):
    for part in range(3):
        # Longer than any buffer, and than what one page or pipe holds.
        logger.info(f"{number} {part} {'x' * 70_000}")
"""


@pytest.mark.parametrize("arguments", [[], ["--maxtasksperchild", "5"]], ids=["workers", "replacements"])
def test_a_log_file_has_every_line_of_every_worker(pytester: pytest.Pytester, arguments: list[str]) -> None:
    """Whole, in each worker's order, with the worker's name; those that a plain run writes."""
    pytester.makepyfile(LOGGING_TESTS)
    pytester.makeini("[pytest]\nlog_file = all.log\nlog_file_level = INFO\nlog_file_format = %(worker_id)s %(message)s")

    def lines() -> list[tuple[str, str]]:
        text = (pytester.path / "all.log").read_text()
        found = re.findall(r"^(\w+) (session begins|session ends|\d+ \d x{70000})$", text, re.MULTILINE)
        assert len(found) == text.count("\n")
        return [(worker, line.rstrip("x").rstrip()) for worker, line in found]

    run(pytester).assert_outcomes(passed=20)
    plain = lines()
    assert {worker for worker, _ in plain} == {"master"}
    run(pytester, "-n", "3", *arguments).assert_outcomes(passed=20)
    parallel = lines()
    assert sorted({line for _, line in parallel}) == sorted({line for _, line in plain})
    for worker in {worker for worker, _ in parallel}:
        own = [line for owner, line in parallel if owner == worker]
        sessions = [line for line in own if line.startswith("session")]
        assert sessions == ["session begins", "session ends"] * (len(sessions) // 2)
        items = [line for line in own if not line.startswith("session")]
        assert [int(line.split()[1]) for line in items] == [0, 1, 2] * (len(items) // 3)
        assert all(first.split()[0] == last.split()[0] for first, last in zip(items[::3], items[2::3], strict=True))


def test_every_log_format_may_name_the_worker(pytester: pytest.Pytester) -> None:
    """Reports and ``caplog`` know it too, with workers and without."""
    pytester.makepyfile(
        """
        import logging

        def test_log(caplog, worker_id):
            logging.getLogger("some").warning("logged")
            assert caplog.text == f"by {worker_id}: logged\\n"
            assert 0
        """
    )
    for arguments, worker in [([], "master"), (["-n", "1"], "gw0")]:
        result = run(pytester, "--log-format=by %(worker_id)s: %(message)s", *arguments)
        result.stdout.fnmatch_lines(["*Captured log call*", f"by {worker}: logged"])


def test_log_records_stay_as_they_are_if_no_format_asks(pytester: pytest.Pytester) -> None:
    """A record has no attribute more than in a run without this plugin."""
    pytester.makepyfile(
        """
        import logging

        def test_log(caplog):
            logging.getLogger("some").warning("logged")
            assert not hasattr(caplog.records[0], "worker_id")
        """
    )
    run(pytester, "-n", "1").assert_outcomes(passed=1)


# --- Crashes ----------------------------------------------------------------------------------------------------------


def test_plugins_that_want_to_run_a_crashed_test_again_are_told_no(pytester: pytest.Pytester) -> None:
    """They get a scheduler that knows the config and refuses, as some of pytest-xdist's do."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import json

        import happenings

        def pytest_handlecrashitem(crashitem, report, sched):
            try:
                sched.mark_test_pending(crashitem)
            except NotImplementedError as error:
                happenings.note("answers", json.dumps([str(error), sched.config.option.numprocesses]))
        """
    )
    pytester.makepyfile(test_it="import os\ndef test_crash(): os._exit(3)")
    run(pytester, "-n", "1").assert_outcomes(failed=1)
    assert [json.loads(line) for line in notes(pytester, "answers")] == [
        ["parpool: 'test_it.py::test_crash' cannot be run again after a crash", 1]
    ]
