"""How a worker is born: first ones and replacements in one state, with all renewed that a fork must not share."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.acceptance import prepared
from tests.acceptance.runs import add_happenings, notes, prepare_environment, run

STATE = '''
"""Says in what state a process is, as values that can be compared."""

import atexit
import faulthandler
import gc
import locale
import logging
import os
import pathlib
import random
import re
import resource
import signal
import sys
import threading
import warnings
import zlib


def kind(path):
    """Return what a descriptor leads to, without what differs between two of the same kind."""
    if path.endswith("(deleted)"):
        return "temporary file"
    return re.sub(r"\\d+", "N", path)


def descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = kind(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass  # It was open for the listing itself.
    return found


def state(config, session, tmp_path_factory):
    option = vars(config.option)
    manager = config.pluginmanager
    terminal = manager.getplugin("terminalreporter")
    capture = manager.getplugin("capturemanager")
    root = logging.getLogger()
    open_files = descriptors()
    umask = os.umask(0)
    os.umask(umask)
    found = {
        "environment": {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"},
        "directory": os.getcwd(),
        "sys.path": sys.path,
        "sys.argv": sys.argv,
        "modules": sorted(sys.modules),
        "signal handlers": {number.name: str(signal.getsignal(number)) for number in signal.Signals},
        "blocked signals": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "timers": [signal.getitimer(timer) for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL)],
        "descriptors": sorted(open_files.values()),
        "standard descriptors": [open_files.get(name) for name in "012"],
        "standard streams": [str(type(stream)) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "original streams": [str(type(stream)) for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__)],
        "threads": [thread.name for thread in threading.enumerate()],
        "native threads": len(os.listdir("/proc/self/task")),
        # No hash(): before Python 3.12 None has another one in each interpreter.
        "random": zlib.crc32(repr(random.getstate()).encode()),
        "log handlers": [str(type(handler)) for handler in root.handlers],
        "log levels": [root.level, root.manager.disable],
        "session": [session.testsfailed, session.testscollected, session.shouldstop, session.shouldfail],
        "statistics": sorted(terminal.stats),
        "plugins": [re.sub(r"\\d+", "N", str(name)) for name, plugin in manager.list_name_plugin() if plugin],
        "hooks": {
            name: [re.sub(r"\\d+", "N", impl.plugin_name) for impl in caller.get_hookimpls()]
            for name, caller in vars(manager.hook).items()
            if not name.startswith("_")
        },
        "options": {name: repr(value) for name, value in option.items()},
        "workerinput": config.workerinput,
        "workeroutput": config.workeroutput,
        "garbage collector": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count() > 0],
        "umask": umask,
        "leads its session": os.getpid() == os.getpgrp() == os.getsid(0),
        "parent": os.getppid(),
        "atexit": atexit._ncallbacks(),
        "warning filters": [repr(entry) for entry in warnings.filters],
        "faulthandler": faulthandler.is_enabled(),
        "base temp": str(tmp_path_factory.getbasetemp()),
        "limits": [resource.getrlimit(name) for name in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)],
        "interpreter": [sys.getrecursionlimit(), sys.getswitchinterval(), str(sys.excepthook), sys.gettrace()],
        "locale": locale.setlocale(locale.LC_ALL),
        "capture": [str(capture), capture.is_globally_capturing()],
        "warnings on their way": len(config.hook.pytest_warning_recorded._call_history),
    }
    if "multiprocessing" in sys.modules:
        import multiprocessing

        process = multiprocessing.current_process()
        found["multiprocessing"] = [process.name, process.daemon, len(multiprocessing.active_children())]
    return found
'''

# Each test has a process of its own: the first two processes of the run are first workers, the next replace crashed
# ones, and all others replace workers that had run their one test. A failing test gives the controller statistics.
STATE_TESTS = """
import json
import os
import random

import pytest

import happenings
import state

random.seed(4)


@pytest.mark.parametrize("number", range(6))
def test_state(number, request, tmp_path_factory):
    found = state.state(request.config, request.session, tmp_path_factory)
    happenings.note("states", json.dumps([os.getpid(), request.config.workerinput["workerid"], found]))
    if number < 3:
        os._exit(3)
    assert number != 4
"""

CONTROLLERS_NOISE = """
import logging
import os
import random
import threading


def pytest_testnodedown():
    # What the controller becomes during a run is nothing to a replacement.
    logging.getLogger().addHandler(logging.NullHandler())
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    os.environ["LATE"] = "yes"
    os.chdir("/")
    random.random()
    os.pipe()
"""


@pytest.mark.parametrize("load", ["", "import multiprocessing"], ids=["bare", "multiprocessing"])
def test_first_workers_and_replacements_are_born_in_the_same_state(
    pytester: pytest.Pytester, load: str, start_method: str
) -> None:
    """Field by field, after a crash and after ``--maxtasksperchild`` alike, whatever the controller has become."""
    add_happenings(pytester)
    pytester.makepyfile(state=STATE, test_it=STATE_TESTS)
    pytester.makeconftest(f"{load}\n{CONTROLLERS_NOISE}")
    result = run(pytester, "-n", "2", "--maxtasksperchild", "1")
    result.assert_outcomes(passed=2, failed=4)
    births = [json.loads(line) for line in notes(pytester, "states")]
    assert len({pid for pid, _, _ in births}) == len(births) == 6
    assert {worker for _, worker, _ in births} == {"gw0", "gw1"}
    for _, worker, found in births:
        assert found["environment"]["PYTEST_XDIST_WORKER"] == found["workerinput"]["workerid"] == worker
        assert found["base temp"].endswith(f"/popen-{worker}")
    # What bears the worker's name is told apart by nothing else.
    first, *others = [json.loads(re.sub(r"\bgw[01]\b", "gwN", json.dumps(found))) for _, _, found in births]
    for other in others:
        for field in first.keys() | other.keys():
            assert other.get(field) == first.get(field), field
    check_first_state(first)
    if start_method == "fork":
        check_forked_state(first)


def check_first_state(found: dict[str, Any]) -> None:
    """Look at those fields whose value matters by itself."""
    assert found["leads its session"] is True
    assert found["threads"] == ["MainThread"]
    assert found["native threads"] == 1
    assert found["session"] == [0, 6, False, False]
    assert found["statistics"] == []
    assert found["workeroutput"] == {}
    assert found["warnings on their way"] == 0
    assert found["blocked signals"] == []
    assert "default_int_handler" in found["signal handlers"]["SIGINT"]
    assert "LATE" not in found["environment"]
    assert found.get("multiprocessing", ["MainProcess", False, 0]) == ["MainProcess", False, 0]
    # The channel to the controller, and no other: neither a sibling's nor the template's.
    assert [kind for kind in found["descriptors"] if kind.startswith("socket")] == ["socket:[N]"]
    assert not {"dsession", "parpool-controller-loop"} & set(found["plugins"])


def check_forked_state(found: dict[str, Any]) -> None:
    """Look at what is different where everything was inherited."""
    assert found["atexit"] == 0
    assert "parpool-outermost" not in found["plugins"]


# --- Random -----------------------------------------------------------------------------------------------------------

RANDOM_TESTS = """
import random

import pytest

import happenings

SEED

@pytest.mark.parametrize("number", range(4))
def test_draw(number):
    happenings.note("draws", random.getrandbits(64))
"""


@pytest.mark.parametrize(
    ("seed", "count"), [pytest.param("", 4, id="unseeded"), pytest.param("random.seed(7)", 1, id="seeded")]
)
def test_unseeded_workers_draw_different_numbers_and_seeded_ones_the_same(
    pytester: pytest.Pytester, seed: str, count: int
) -> None:
    """Without a seed no two workers draw the same port; with one each begins where a plain run begins."""
    add_happenings(pytester)
    pytester.makepyfile(test_draw=RANDOM_TESTS.replace("SEED", seed))
    run(pytester, "-n", "2", "--maxtasksperchild", "1").assert_outcomes(passed=4)
    draws = notes(pytester, "draws")
    assert len(set(draws)) == count
    if count == 1:
        run(pytester, "test_draw.py::test_draw[0]").assert_outcomes(passed=1)
        assert notes(pytester, "draws")[-1] == draws[0]


@pytest.mark.start_method("fork")
@pytest.mark.parametrize(("value", "still_there"), [("true", True), ("false", False)])
def test_garbage_of_the_collection_is_left_where_it_lies(
    pytester: pytest.Pytester, value: str, still_there: bool
) -> None:
    """Freed, it would leave holes in pages that are shared."""
    pytester.makeini(f"[pytest]\nparpool_gc_freeze = {value}")
    pytester.makepyfile(
        f"""
        import gc
        import weakref

        class Thing:
            pass

        thing = Thing()
        thing.itself = thing
        garbage = weakref.ref(thing)
        del thing

        def test_garbage():
            gc.collect()
            assert (garbage() is not None) is {still_there}
        """
    )
    run(pytester, "-n", "1").assert_outcomes(passed=1)


LOOKING = """
import gc

import pytest

import happenings


class Thing:
    pass


thing = Thing()
things = [thing]


def look(name, where):
    happenings.note("found", f"{where}: {next(found(name))}")


def found(name):
    # In a generator: the call of a Python function would make it a referrer of what its variables hold.
    mine = Thing()
    if name == "get_objects":
        yield sum(kept is thing for kept in gc.get_objects())
    else:
        of_mine = gc.get_referrers(mine)
        of_thing = gc.get_referrers(thing)
        yield [sorted(type(holder).__name__ for holder in holders) for holders in (of_mine, of_thing)]


@pytest.fixture
def looking():
    return look


def pytest_terminal_summary():
    for name in ("get_referrers", "get_objects"):
        look(name, "summary")
        assert type(getattr(gc, name)) is type(len)
"""


def test_who_looks_for_objects_finds_all(pytester: pytest.Pytester) -> None:
    """In a worker, whichever function is asked first, and in the controller, Hypothesis for one when it reports."""
    add_happenings(pytester)
    pytester.makeconftest(LOOKING)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("name", ["get_objects", "get_referrers"])
        def test_look(looking, name):
            looking(name, "test")
            looking(name, "test")
        """
    )
    run(pytester).assert_outcomes(passed=2)
    plain = notes(pytester, "found")
    assert plain[0] == "test: 1"
    assert plain[-2].endswith("['dict', 'list']]")
    for arguments in (["-n", "1"], ["-n", "1", "--maxtasksperchild", "1"]):
        (pytester.path / "found.list").unlink()
        run(pytester, *arguments).assert_outcomes(passed=2)
        assert notes(pytester, "found") == plain


def test_the_garbage_collector_is_as_found_afterwards(pytester: pytest.Pytester) -> None:
    """Nothing is frozen any more, and its functions are its own."""
    pytester.makepyfile(
        test_it="def test_it(): pass",
        twice="""
        import gc

        import pytest

        for _ in range(2):
            assert pytest.main(["-n", "1"]) == 0
            assert gc.get_freeze_count() == 0
            assert {type(gc.get_objects), type(gc.get_referrers)} == {type(len)}
        """,
    )
    with pytest.MonkeyPatch.context() as patch:
        prepare_environment(patch, [])
        assert pytester.runpython(pytester.path / "twice.py").ret == 0


@pytest.mark.parametrize(("value", "is_freed"), [("true", False), ("false", True)])
def test_cycles_are_left_at_the_end(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, value: str, is_freed: bool
) -> None:
    """The interpreter's end does not look for them; what waits for the end itself is called."""
    monkeypatch.setenv(prepared.SWITCH, "whole")  # A prepared run leaves everything.
    pytester.makeini(f"[pytest]\nparpool_gc_freeze = {value}")
    pytester.makeconftest(
        """
        import os
        import weakref

        class Thing:
            def __del__(self, write=os.write, getpid=os.getpid, controller=os.getpid()):
                if getpid() == controller and "PYTEST_XDIST_WORKER" not in self.variables:
                    write(2, b"freed;")

        thing = Thing()
        thing.itself, thing.variables = thing, dict(os.environ)
        weakref.finalize(Thing, os.write, 2, b"finalized;")
        """
    )
    pytester.makepyfile("def test_it(): pass")
    result = run(pytester, "-n", "1")
    result.assert_outcomes(passed=1)
    assert "finalized;" in result.stderr.str()
    assert ("freed;" in result.stderr.str()) is is_freed


# --- What belongs to the controller -----------------------------------------------------------------------------------


@pytest.mark.start_method("fork")
def test_exit_handlers_run_where_they_were_registered(pytester: pytest.Pytester) -> None:
    """The controller's run once, at its own end; a test's run when its worker leaves."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import atexit
        import weakref

        import happenings

        class Thing:
            pass

        thing = Thing()
        atexit.register(happenings.note, "ends", "controller")
        weakref.finalize(thing, happenings.note, "ends", "controller's object")
        """
    )
    pytester.makepyfile(
        """
        import atexit
        import weakref

        import pytest

        import happenings

        things = []

        class Thing:
            pass

        @pytest.mark.parametrize("number", range(2))
        def test_one(number):
            atexit.register(happenings.note, "ends", f"test {number}")
            things.append(Thing())
            weakref.finalize(things[-1], happenings.note, "ends", f"object of test {number}")
        """
    )
    run(pytester, "-n", "2", "--maxtasksperchild", "1").assert_outcomes(passed=2)
    assert sorted(notes(pytester, "ends")) == sorted(
        ["test 0", "object of test 0", "test 1", "object of test 1", "controller", "controller's object"]
    )


@pytest.mark.start_method("fork")
def test_no_worker_unconfigures_what_the_controller_configured(pytester: pytest.Pytester) -> None:
    """What was made in ``pytest_configure`` and is removed in ``pytest_unconfigure`` lives as long as the run."""
    add_happenings(pytester)
    pytester.makeconftest(
        """
        import os

        import happenings

        def pytest_configure(config):
            config.add_cleanup(lambda: happenings.note("ends", os.getpid()))

        def pytest_unconfigure(config):
            happenings.note("ends", os.getpid())

        def pytest_sessionfinish(session):
            happenings.note("finishes", hasattr(session.config, "workerinput"))
        """
    )
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
    run(pytester, "-n", "2", "--maxtasksperchild", "1").assert_outcomes(passed=2)
    ends = notes(pytester, "ends")
    assert len(ends) == 2
    assert len(set(ends)) == 1
    assert "False" in notes(pytester, "finishes")


def test_a_test_can_have_its_factory_make_another_base_directory(pytester: pytest.Pytester) -> None:
    """As a test of pytest's own suite does, to see which one that would be."""
    pytester.makepyfile(
        """
        def test_it(tmp_path_factory, tmp_path, monkeypatch):
            ours = tmp_path_factory.getbasetemp()
            assert ours.name == "popen-gw0"
            with monkeypatch.context() as patch:
                patch.setenv("PYTEST_DEBUG_TEMPROOT", str(tmp_path))
                patch.setattr(tmp_path_factory, "_basetemp", None)
                patch.setattr(tmp_path_factory, "_given_basetemp", None)
                assert tmp_path in tmp_path_factory.getbasetemp().parents
            assert tmp_path_factory.getbasetemp() == ours
        """
    )
    run(pytester, "-n", "1").assert_outcomes(passed=1)
