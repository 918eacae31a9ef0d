"""What other plugins ask pytest-xdist for is there, in the controller and in the workers."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.acceptance.runs import add_happenings, happened, notes, run

pytestmark = pytest.mark.beside_others

VARIABLES = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")


@pytest.fixture(autouse=True)
def outside_of_workers(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> None:
    """No inner run knows that these tests may run in a worker themselves."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    add_happenings(pytester)


# --- In a worker ------------------------------------------------------------------------------------------------------

ASKING = """
import json
import os

import happenings

OPTIONS = (
    "numprocesses maxprocesses dist distload tx px maxworkerrestart maxschedchunk testrunuid loadscopereorder rsyncdir"
    " looponfail usepdb"
).split()


def answers(config):
    manager = config.pluginmanager
    return {
        "workerinput": getattr(config, "workerinput", None),
        "workeroutput": getattr(config, "workeroutput", None),
        "environment": {name: value for name, value in os.environ.items() if name.startswith("PYTEST_XDIST")},
        "options": {name: getattr(config.option, name) for name in OPTIONS},
        "has xdist": manager.hasplugin("xdist"),
        "has dsession": manager.getplugin("dsession") is not None,
        "has terminal": manager.getplugin("terminalreporter") is not None,
        "base temp": str(config._tmp_path_factory.getbasetemp()) if hasattr(config, "_tmp_path_factory") else None,
    }


def note(name, config):
    happenings.note(name, json.dumps(answers(config)))
"""

ASKING_CONFTEST = """
import pytest

import asking


def pytest_configure(config):
    asking.note("configure", config)


def pytest_configure_node(node):
    node.workerinput["mine"] = [node.gateway.id, {"depth": (1, 2)}]
    asking.note("configure-node", node.config)


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        asking.note("finish", session.config)
"""

ASKING_TESTS = """
import pytest

import asking
import happenings


@pytest.mark.parametrize("number", range(2))
def test_ask(number, pytestconfig, worker_id, testrun_uid):
    asking.note("worker", pytestconfig)
    pytestconfig.workeroutput["number"] = number
    pytestconfig.pluginmanager.getplugin("terminalreporter").write_line("said in a worker")
    # One test for each of two workers.
    happenings.tell(f"worker-{number}", f"{worker_id} {testrun_uid}")
    happenings.wait_for(f"worker-{1 - number}")
"""


def answers(pytester: pytest.Pytester, name: str) -> list[dict[str, Any]]:
    """Return what was answered at one place of an inner run, in order."""
    return [json.loads(line) for line in notes(pytester, name)]


def test_who_asks_is_answered_as_by_xdist(pytester: pytest.Pytester) -> None:
    """Identity, environment, options, plugins, fixtures and directories, in the controller and in the workers."""
    pytester.makepyfile(asking=ASKING, test_ask=ASKING_TESTS)
    pytester.makeconftest(ASKING_CONFTEST)
    result = run(pytester, "-n", "8", "--testrunuid", "this-run", "--max-worker-restart", "7", "--maxprocesses", "5")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*said in a worker*")

    # It looks at who it runs in, so it is asked again in each worker.
    configured, *again = answers(pytester, "configure")
    assert {found["workerinput"]["workerid"] for found in again} == {"gw0", "gw1"}
    assert all(found["environment"]["PYTEST_XDIST_WORKER_COUNT"] == "2" for found in again)
    assert configured["options"]["numprocesses"] == 5
    assert configured["options"]["tx"] == ["popen"] * 5
    assert configured["has xdist"] is True
    # From here on the number of tests is known, and no plugin may prepare more workers than there will be.
    for found in (*answers(pytester, "configure-node"), *answers(pytester, "finish")):
        assert found["workerinput"] is found["workeroutput"] is None
        assert found["environment"] == {}
        found["options"]["maxworkerrestart"] = int(found["options"]["maxworkerrestart"])  # a text under pytest-xdist
        assert found["options"] == {
            "numprocesses": 2,
            "maxprocesses": 5,
            "dist": "load",
            "distload": False,
            "tx": ["popen", "popen"],
            "px": [],
            "maxworkerrestart": 7,
            "maxschedchunk": None,
            "testrunuid": "this-run",
            "loadscopereorder": True,
            "rsyncdir": [],
            "looponfail": False,
            "usepdb": False,
        }
        assert found["has xdist"] is found["has dsession"] is found["has terminal"] is True

    base_temp = answers(pytester, "finish")[0]["base temp"]
    workers = {found["workerinput"]["workerid"]: found for found in answers(pytester, "worker")}
    assert sorted(workers) == ["gw0", "gw1"]
    for worker, found in workers.items():
        argv = found["workerinput"].pop("mainargv")
        assert argv[-len(result_arguments) :] == result_arguments
        assert found["workerinput"] == {
            "workerid": worker,
            "workercount": 2,
            "testrunuid": "this-run",
            "mine": [worker, {"depth": [1, 2]}],
        }
        assert found["workeroutput"] == {}
        assert found["environment"] == dict(zip(VARIABLES, (worker, "2", "this-run"), strict=True))
        options = found["options"]
        assert [options[name] for name in ("numprocesses", "maxprocesses", "dist", "usepdb", "tx")] == [
            None,
            None,
            "no",
            False,
            [],
        ]
        assert found["has xdist"] is found["has terminal"] is True
        assert found["has dsession"] is False
        assert found["base temp"] == f"{base_temp}/popen-{worker}"
    fixtures = sorted(happened(pytester, f"worker-{number}") for number in (0, 1))
    assert fixtures == ["gw0 this-run", "gw1 this-run"]


result_arguments = ["-n", "8", "--testrunuid", "this-run", "--max-worker-restart", "7", "--maxprocesses", "5"]


def test_options_have_defaults_when_initial_conftests_load(pytester: pytest.Pytester) -> None:
    """Plugins read them there, with and without ``-n``; without it nothing else is different from plain pytest."""
    pytester.makepyfile(
        early="""
        import json

        import happenings

        def pytest_load_initial_conftests(early_config):
            found = vars(early_config.known_args_namespace)
            names = "numprocesses maxprocesses dist distload tx px maxworkerrestart maxschedchunk".split()
            names += "testrunuid loadscopereorder rsyncdir looponfail".split()
            happenings.note("options", json.dumps([found[name] for name in names]))
        """,
        test_it="""
        import os

        def test_it(pytestconfig, worker_id, testrun_uid):
            assert worker_id == "master"
            assert testrun_uid
            assert not hasattr(pytestconfig, "workerinput")
            assert not [name for name in os.environ if name.startswith("PYTEST_XDIST")]
            assert pytestconfig.pluginmanager.hasplugin("xdist")
            assert pytestconfig.pluginmanager.getplugin("dsession") is None
        """,
    )
    run(pytester, "-p", "early").assert_outcomes(passed=1)
    run(pytester, "-p", "early", "-n", "0").assert_outcomes(passed=1)
    defaults: list[Any] = [None, None, "no", False, [], [], None, None, None, True, [], False]
    assert [json.loads(line) for line in notes(pytester, "options")] == [defaults, [0, *defaults[1:]]]


def test_the_run_id_is_new_in_each_run_and_one_in_all_workers(pytester: pytest.Pytester) -> None:
    """``testrun_uid`` tells runs apart, and nothing else."""
    pytester.makepyfile(
        """
        import pytest

        import happenings

        @pytest.mark.parametrize("number", range(2))
        def test_it(number, testrun_uid):
            happenings.note("ids", testrun_uid)
        """
    )
    for _ in range(2):
        run(pytester, "-n", "2", "--maxtasksperchild", "1").assert_outcomes(passed=2)
    first, second, third, fourth = notes(pytester, "ids")
    assert first == second != third == fourth


# --- In the controller ------------------------------------------------------------------------------------------------

NODES_CONFTEST = """
import json

import pytest

import happenings

NODES = {}


def note(name, node=None):
    happenings.note("hooks", f"{name} {node.gateway.id}" if node is not None else name)


def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):
        note("sessionstart")


def pytest_collection_finish(session):
    if not hasattr(session.config, "workerinput"):
        note("collection_finish")


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        note("sessionfinish")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session):
    result = yield
    if not hasattr(session.config, "workerinput"):
        note("loop over")
    return result


def pytest_xdist_setupnodes(config, specs):
    note(f"setupnodes {[spec.id for spec in specs]} {config.option.dist}")


def pytest_xdist_newgateway(gateway):
    happenings.note("hooks", f"newgateway {gateway.id}")


def pytest_configure_node(node):
    note("configure_node", node)
    assert node not in NODES  # Nodes are hashable, and there is one for each process.
    NODES[node] = node.gateway.id
    assert not hasattr(node, "workeroutput")


def pytest_testnodeready(node):
    note("testnodeready", node)
    info = node.gateway._rinfo()
    happenings.note("nodes", json.dumps({
        "known": NODES[node],
        "config": node.config.pluginmanager.getplugin("dsession") is not None,
        "spec": [node.gateway.spec.id, node.gateway.spec.popen, str(node.gateway.spec)],
        "rinfo": [info.platform, list(info.version_info), info.executable, info.cwd],
        "workerinput": sorted(node.workerinput),
        "workerinfo": sorted(node.workerinfo),
        "id": node.workerinfo["id"],
        "roots": node.nodemanager.roots,
    }))


def pytest_xdist_node_collection_finished(node, ids):
    note(f"node_collection_finished {len(ids)}", node)


def pytest_handlecrashitem(crashitem, report):
    report.sections.append(("Said by a plugin", "about the crash"))
    note(f"handlecrashitem {crashitem} {report.when}")


def pytest_testnodedown(node, error):
    note(f"testnodedown {getattr(node, 'workeroutput', None)} {error}", node)
"""


def test_hooks_come_in_xdists_order(pytester: pytest.Pytester) -> None:
    """All nodes are configured before one is ready; a replacement's is, when its predecessor's end was told."""
    pytester.makeconftest(NODES_CONFTEST)
    pytester.makepyfile(
        """
        import os

        def test_crash(pytestconfig):
            os._exit(3)

        def test_rest(pytestconfig):
            pytestconfig.workeroutput["done"] = 1
        """
    )
    result = run(pytester, "-n", "1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Said by a plugin*", "about the crash"])
    assert notes(pytester, "hooks") == [
        "sessionstart",
        "collection_finish",
        "setupnodes ['gw0'] load",
        "newgateway gw0",
        "configure_node gw0",
        "testnodeready gw0",
        "node_collection_finished 2 gw0",
        "testnodedown None Not properly terminated: exit code 3 gw0",
        "handlecrashitem test_hooks_come_in_xdists_order.py::test_crash ???",
        "newgateway gw0",
        "configure_node gw0",
        "testnodeready gw0",
        "node_collection_finished 2 gw0",
        "testnodedown {'done': 1} None gw0",
        "loop over",
        "sessionfinish",
    ]
    for line in notes(pytester, "nodes"):
        node = json.loads(line)
        assert node["known"] == node["id"] == "gw0"
        assert node["config"] is True
        assert node["spec"] == ["gw0", True, "popen"]
        assert node["rinfo"] == [sys.platform, list(sys.version_info), sys.executable, str(pytester.path)]
        assert node["workerinput"] == ["mainargv", "testrunuid", "workercount", "workerid"]
        assert node["workerinfo"] == sorted(
            ["id", "sysplatform", "platform", "version", "version_info", "executable", "cwd", "spec"]
        )
        assert node["roots"] == []


def test_all_nodes_are_configured_before_one_is_ready(pytester: pytest.Pytester) -> None:
    """With several workers, and also when they are replaced on purpose."""
    pytester.makeconftest(NODES_CONFTEST)
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n): pass")
    run(pytester, "-n", "3", "--maxtasksperchild", "1").assert_outcomes(passed=6)
    hooks = notes(pytester, "hooks")
    assert hooks[2:9] == [
        "setupnodes ['gw0', 'gw1', 'gw2'] load",
        *[f"{hook} gw{number}" for number in range(3) for hook in ("newgateway", "configure_node")],
    ]
    assert hooks[-2:] == ["loop over", "sessionfinish"]
    life = ["newgateway", "configure_node", "testnodeready", "node_collection_finished", "testnodedown"]
    for worker in ("gw0", "gw1", "gw2"):
        own = [line.split()[0] for line in hooks if line.endswith(f" {worker}")]
        assert own == life * (len(own) // len(life))


@pytest.mark.parametrize(
    ("value", "is_allowed"),
    [("[1, 2.5, None, True, b'x', {'a': ('b', {3})}]", True), ("object()", False), ("[{'deep': Exception()}]", False)],
)
def test_workerinput_takes_plain_values(pytester: pytest.Pytester, value: str, is_allowed: bool) -> None:
    """They arrive as they are; for anything else one line names the hook, the key and what is allowed."""
    pytester.makeconftest(f"def pytest_configure_node(node): node.workerinput['mine'] = {value}")
    pytester.makepyfile(f"def test_it(pytestconfig): assert pytestconfig.workerinput['mine'] == {value}")
    result = run(pytester, "-n", "1")
    if is_allowed:
        result.assert_outcomes(passed=1)
    else:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["ERROR: pytest_configure_node: node.workerinput[[]'mine'] of 'gw0' is not allowed;*"]
        )


def test_reports_carry_their_origin_and_every_extra(pytester: pytest.Pytester) -> None:
    """``node``, ``worker_id``, ``item_index`` and ``testrun_uid`` are there, and what plugins put into a report."""
    pytester.makeconftest(
        """
        import json

        import pytest

        import happenings

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item):
            report = yield
            report.extras = [item.name, {"number": 1}]
            return report

        def pytest_runtest_logreport(report):
            if not hasattr(report, "node"):
                return  # in a worker
            happenings.note("reports", json.dumps([
                report.nodeid, report.when, report.extras, report.item_index, report.worker_id,
                report.node.gateway.id, report.testrun_uid, report.node.workerinput["testrunuid"],
            ]))
        """
    )
    pytester.makepyfile(test_it="def test_one(): pass\ndef test_two(): assert 0")
    run(pytester, "-n", "1", "--testrunuid", "u").assert_outcomes(passed=1, failed=1)
    assert [json.loads(line) for line in notes(pytester, "reports")] == [
        [f"test_it.py::test_{name}", when, [f"test_{name}", {"number": 1}], index, "gw0", "gw0", "u", "u"]
        for index, name in enumerate(("one", "two"))
        for when in ("setup", "call", "teardown")
    ]


def test_collection_warnings_come_once(pytester: pytest.Pytester, start_method: str) -> None:
    """A warning of a module's import is the controller's; workers repeat it to nobody, whatever is registered there."""
    pytester.makeconftest(
        """
        import os

        import happenings

        class Listener:
            def pytest_warning_recorded(self, warning_message, when):
                happenings.note("heard in workers", f"{when} {warning_message.message}")

        def pytest_warning_recorded(warning_message, when):
            happenings.note(f"heard {when}", f"{warning_message.message} in {os.getpid()}")
        """
    )
    pytester.makepyfile(
        test_it="""
        import warnings

        import pytest

        from conftest import Listener

        warnings.warn("at import")

        @pytest.mark.parametrize("number", range(2))
        def test_it(number, pytestconfig):
            pytestconfig.pluginmanager.register(Listener())
            warnings.warn(f"in test {number}")
        """
    )
    result = run(pytester, "-n", "2", "--maxtasksperchild", "1")
    result.assert_outcomes(passed=2, warnings=3)
    assert sorted(notes(pytester, "heard in workers")) == ["runtest in test 0", "runtest in test 1"]
    # In the process that records it and in the controller that shows it.
    heard = sorted(note.rpartition(" in ")[0] for note in notes(pytester, "heard runtest"))
    assert heard == ["in test 0", "in test 0", "in test 1", "in test 1"]
    # Each process that collects hears it once: the controller, and spawned workers, of which there may be replacements.
    collecting = notes(pytester, "heard collect")
    assert len(collecting) == len(set(collecting))
    assert (len(collecting) == 1) is (start_method == "fork")
    assert result.stdout.str().count('warnings.warn("at import")') == 1


def test_core_plugins_that_need_the_terminal_in_workers_work(pytester: pytest.Pytester) -> None:
    """Subtests, if this pytest has them, and results of a test class's ``subTest`` are reported once."""
    pytester.makepyfile(
        """
        import unittest

        class TestCase(unittest.TestCase):
            def test_subtests(self):
                for number in range(3):
                    with self.subTest(number=number):
                        self.assertEqual(number, 0)
        """
    )
    plain = run(pytester).parseoutcomes()
    assert run(pytester, "-n", "1").parseoutcomes() == plain
