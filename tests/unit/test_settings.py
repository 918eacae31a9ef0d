"""Options, ini values and errors: what may be given, what comes of it, and what is said about the rest."""

from __future__ import annotations

import pickle
import shlex
from argparse import Namespace
from collections.abc import Callable
from types import ModuleType

import pluggy
import pytest

from pytest_parpool import hookspecs
from pytest_parpool.compat import xdist_hookspecs
from pytest_parpool.errors import BadSettingError, ParpoolError, ProtocolError, WorkerError
from pytest_parpool.options import add_options, int_or_text
from pytest_parpool.settings import DIST_MODES, Settings, publish, read_settings

AUTO_COUNT = 6

INI_DEFAULTS: dict[str, object] = {
    "parpool_gc_freeze": True,
    "parpool_start_method": None,
    "parpool_maxtasksperchild": None,
    "parpool_worker_initializer": [],
    "parpool_shutdown_timeout": None,
    "parpool_native_threads_safe": [],
    "parpool_cpus": None,
    "parpool_limit_native_threads": True,
    "parpool_jobserver": False,
    "parpool_leftovers": "error",
    "parpool_rerun_hooks": [],
    "parpool_keep_hooks": [],
}


INITIALIZER_FORM = '"pkg.mod:function" or "pkg.mod:function(\'literal\', key=1)", with literals as the only arguments'


def new_parser() -> pytest.Parser:
    """Return pytest's parser with our options."""
    parser = pytest.Parser(_ispytest=True)
    add_options(parser)
    return parser


def parse(command_line: str) -> Namespace:
    """Return the options of a command line, those of pytest itself included that matter to us."""
    parser = new_parser()
    for flag, dest in [("--pdb", "usepdb"), ("--trace", "trace"), ("--collect-only", "collectonly")]:
        parser.addoption(flag, dest=dest, action="store_true", default=False)
    return parser.parse(shlex.split(command_line))


def read(
    command_line: str = "",
    ini: dict[str, object] | None = None,
    *,
    auto_count: Callable[[], int] = lambda: AUTO_COUNT,
    has_fork: bool = True,
    has_workers: bool = True,
) -> Settings:
    """Return the settings for a command line and ini values."""
    return read_settings(
        parse(command_line),
        (INI_DEFAULTS | (ini or {})).__getitem__,
        auto_count=auto_count,
        new_testrunuid=lambda: "fresh",
        has_fork=has_fork,
        has_workers=has_workers,
    )


def must_not_be_called() -> int:
    """Fail the test."""
    raise AssertionError("the CPUs were counted for nothing")


class TestDefaults:
    """Nothing given."""

    def test_dests_are_those_of_pytest_xdist(self) -> None:
        """Other plugins find the dests that they know, with the values that they know."""
        assert vars(new_parser().parse([])) == {
            "numprocesses": None,
            "maxprocesses": None,
            "dist": "no",
            "distload": False,
            "tx": [],
            "px": [],
            "maxworkerrestart": None,
            "maxschedchunk": None,
            "loadscopereorder": True,
            "testrunuid": None,
            "rsyncdir": [],
            "rsyncignore": [],
            "looponfail": False,
            "parpool_start_method": None,
            "parpool_maxtasksperchild": None,
            "parpool_worker_initializer": [],
            "parpool_shutdown_timeout": None,
            "parpool_cpus": None,
            "parpool_explain_workers": False,
            "file_or_dir": [],
        }

    def test_settings(self) -> None:
        """Without options, everything runs in this process."""
        assert read() == Settings(
            processes=0,
            dist="no",
            max_worker_restart=0,
            max_sched_chunk=None,
            loadscope_reorder=True,
            testrunuid="fresh",
            start_method="auto",
            max_tasks_per_child=None,
            initializers=(),
            shutdown_timeout=None,
            gc_freeze=True,
            native_threads_safe=(),
            leftovers="error",
            rerun_hooks=(),
            keep_hooks=(),
            explain_workers=False,
            cpus=None,
            limit_native_threads=True,
            jobserver=False,
        )

    def test_run_ids_differ(self) -> None:
        """Each run gets an id of its own."""
        first, second = (
            read_settings(parse(""), INI_DEFAULTS.__getitem__, auto_count=must_not_be_called) for _ in range(2)
        )
        assert first.testrunuid != second.testrunuid

    def test_ini_values_are_known(self) -> None:
        """Our ini values are registered, and so are pytest-xdist's, which have no effect."""
        assert set(new_parser()._inidict) == {*INI_DEFAULTS, "rsyncdirs", "rsyncignore", "looponfailroots"}


class TestParsing:
    """What argparse makes of a command line."""

    @pytest.mark.parametrize(
        ("text", "value"),
        [("4", 4), (" 4 ", 4), ("-1", -1), ("auto", "auto"), ("", ""), ("1.5", "1.5"), ("9" * 5000, "9" * 5000)],
    )
    def test_int_or_text(self, text: str, value: object) -> None:
        """A number becomes an int, because plugins read it early; everything else stays as it is."""
        assert int_or_text(text) == value

    @pytest.mark.parametrize("command_line", ["-n4", "-n 4", "--numprocesses 4", "--numprocesses=4"])
    def test_spellings_of_n(self, command_line: str) -> None:
        """The number of workers can be given in every way that argparse knows."""
        assert parse(command_line).numprocesses == 4


class TestProcesses:
    """How many workers, and how items are distributed."""

    @pytest.mark.parametrize(
        ("command_line", "processes", "dist"),
        [
            ("-n 2", 2, "load"),
            ("-n 2 --dist no", 2, "load"),
            ("-n 2 --dist loadfile", 2, "loadfile"),
            ("-n 2 --dist each", 2, "each"),
            ("-n 2 -d --dist loadfile", 2, "load"),
            ("-n 0", 0, "no"),
            ("-n 0 --dist loadfile", 0, "no"),
            ("-n 0 --tx 2*popen --dist load", 0, "no"),
            ("-d", 0, "no"),
            ("--dist loadfile", 0, "no"),
            ("-n auto", AUTO_COUNT, "load"),
            ("-n logical --dist worksteal", AUTO_COUNT, "worksteal"),
            ("-n auto --maxprocesses 4", 4, "load"),
            ("-n 3 --maxprocesses 4", 3, "load"),
            ("-n 8 --maxprocesses 4", 4, "load"),
            ("--maxprocesses 4", 0, "no"),
            ("--tx popen", 0, "no"),
            ("--tx popen -d", 1, "load"),
            ("--tx popen --tx 3*popen --dist loadscope", 4, "loadscope"),
            ("--tx 3*popen --dist load --maxprocesses 2", 3, "load"),
            ("--tx 3*popen -n 2", 2, "load"),
            ("-n 0 --pdb", 0, "no"),
            ("-n auto --pdb", 0, "no"),
            ("-n logical --trace", 0, "no"),
            ("--dist load --pdb", 0, "no"),
            ("-n 2 --pdb --collect-only", 2, "load"),
        ],
    )
    def test_meaning(self, command_line: str, processes: int, dist: str) -> None:
        """Options mean what they mean to pytest-xdist."""
        settings = read(command_line)
        assert (settings.processes, settings.dist) == (processes, dist)

    @pytest.mark.parametrize("command_line", ["", "-n 2", "-n 0", "-n auto --pdb", "--dist load", "-d --tx popen"])
    def test_cpus_are_counted_only_if_asked_for(self, command_line: str) -> None:
        """Counting CPUs calls a hook and reads files, so it happens for ``auto`` and ``logical`` only."""
        read(command_line, auto_count=must_not_be_called)

    def test_cpus_are_counted_last(self) -> None:
        """A bad value anywhere is found before the CPUs are counted."""
        with pytest.raises(BadSettingError, match="--maxprocesses"):
            read("-n auto --maxprocesses 0", auto_count=must_not_be_called)

    def test_auto_may_be_none(self) -> None:
        """A hook or variable that answers 0 turns workers off."""
        settings = read("-n auto", auto_count=lambda: 0)
        assert (settings.processes, settings.dist) == (0, "no")

    @pytest.mark.parametrize("count", [-1, True, 2.5, None, "many"])
    def test_hook_answers_nonsense(self, count: object) -> None:
        """A hook's answer is checked like an option, by the hook's name."""
        with pytest.raises(BadSettingError) as caught:
            read("-n auto", auto_count=lambda: count)  # type: ignore[arg-type, return-value]  # This is the case.
        assert str(caught.value) == (
            f"hook pytest_xdist_auto_num_workers: {count!r} is not allowed; give a whole number >= 0"
        )

    def test_debugging_plugin_is_off(self) -> None:
        """Without pytest's debugging plugin there is no ``--pdb`` to be incompatible with."""
        option = parse("-n 2")
        del option.usepdb, option.trace
        settings = read_settings(option, INI_DEFAULTS.__getitem__, auto_count=must_not_be_called, has_workers=True)
        assert settings.processes == 2

    def test_no_fork(self) -> None:
        """Where nothing can be forked, that is no start method; ``auto`` is."""
        assert read("-n 2", has_fork=False).start_method == "auto"
        with pytest.raises(BadSettingError) as caught:
            read("-n 2 --start-method fork", has_fork=False)
        assert str(caught.value) == "--start-method: 'fork' is not allowed; give one of auto, spawn"

    def test_no_workers(self) -> None:
        """A platform without processes runs suites without workers, and says so if it is asked for some."""
        assert read("-n 0", has_workers=False).processes == 0
        with pytest.raises(BadSettingError) as caught:
            read("-n 2", has_workers=False)
        assert str(caught.value) == (
            "-n/--numprocesses: 2 is not allowed, because there are no workers on this platform; give -n 0"
        )


class TestOtherValues:
    """The rest of the settings."""

    @pytest.mark.parametrize(
        ("command_line", "ini", "name", "value"),
        [
            ("-n 3", {}, "max_worker_restart", 12),
            ("-n 3 --max-worker-restart 0", {}, "max_worker_restart", 0),
            ("-n 3 --max-worker-restart=7", {}, "max_worker_restart", 7),
            ("--maxschedchunk 1", {}, "max_sched_chunk", 1),
            ("--no-loadscope-reorder", {}, "loadscope_reorder", False),
            ("--no-loadscope-reorder --loadscope-reorder", {}, "loadscope_reorder", True),
            ("--testrunuid abc", {}, "testrunuid", "abc"),
            ("--testrunuid ''", {}, "testrunuid", "fresh"),
            ("--start-method auto", {}, "start_method", "auto"),
            ("--start-method fork", {}, "start_method", "fork"),
            ("", {"parpool_start_method": "spawn"}, "start_method", "spawn"),
            ("--start-method fork", {"parpool_start_method": "nonsense"}, "start_method", "fork"),
            ("--maxtasksperchild 9", {}, "max_tasks_per_child", 9),
            ("", {"parpool_maxtasksperchild": "10"}, "max_tasks_per_child", 10),
            ("", {"parpool_maxtasksperchild": ""}, "max_tasks_per_child", None),
            ("--maxtasksperchild 9", {"parpool_maxtasksperchild": "10"}, "max_tasks_per_child", 9),
            ("--shutdown-timeout 0.5", {}, "shutdown_timeout", 0.5),
            ("", {"parpool_shutdown_timeout": "30"}, "shutdown_timeout", 30.0),
            ("", {"parpool_gc_freeze": False}, "gc_freeze", False),
            ("", {"parpool_leftovers": "warn"}, "leftovers", "warn"),
            ("", {"parpool_leftovers": ""}, "leftovers", "error"),
            ("", {"parpool_rerun_hooks": ["html"]}, "rerun_hooks", ("html",)),
            ("", {"parpool_keep_hooks": ["html", "tests/conftest.py"]}, "keep_hooks", ("html", "tests/conftest.py")),
            ("--parpool-explain-workers", {}, "explain_workers", True),
            ("--parpool-cpus 9", {}, "cpus", 9),
            ("", {"parpool_cpus": "10"}, "cpus", 10),
            ("--parpool-cpus 9", {"parpool_cpus": "10"}, "cpus", 9),
            ("", {"parpool_limit_native_threads": False}, "limit_native_threads", False),
            ("", {"parpool_jobserver": True}, "jobserver", True),
            ("-n 3", {}, "cpu_slots", 3),
            ("-n 3 --parpool-cpus 9", {}, "cpu_slots", 9),
            ("-n 3 --parpool-cpus 1", {}, "cpu_slots", 1),
            ("", {"parpool_native_threads_safe": ["libgomp", "libfoo"]}, "native_threads_safe", ("libgomp", "libfoo")),
        ],
    )
    def test_meaning(self, command_line: str, ini: dict[str, object], name: str, value: object) -> None:
        """The command line goes before the ini file, which goes before the default."""
        assert getattr(read(command_line, ini), name) == value

    def test_initializers_of_both_places(self) -> None:
        """Initializers of the ini file come first, and each knows where it was written."""
        settings = read(
            "--worker-initializer b:c --worker-initializer 'd:e(1)'",
            {"parpool_worker_initializer": ["a:b"]},
        )
        assert [(spec.text, spec.source) for spec in settings.initializers] == [
            ("a:b", "ini option parpool_worker_initializer"),
            ("b:c", "--worker-initializer"),
            ("d:e(1)", "--worker-initializer"),
        ]


class TestBadValues:
    """One line each, which names the option, the value and what is allowed."""

    @pytest.mark.parametrize(
        ("command_line", "line"),
        [
            ("-n many", "-n/--numprocesses: 'many' is not allowed; give a whole number >= 0, 'auto' or 'logical'"),
            ("-n ''", "-n/--numprocesses: '' is not allowed; give a whole number >= 0, 'auto' or 'logical'"),
            ("-n-1", "-n/--numprocesses: -1 is not allowed; give a whole number >= 0, 'auto' or 'logical'"),
            ("-n '1\n2'", "-n/--numprocesses: '1\\n2' is not allowed; give a whole number >= 0, 'auto' or 'logical'"),
            ("-n 2 --pdb", "-n/--numprocesses: 2 is not allowed together with --pdb; give -n 0 or -n auto"),
            ("-n 2 --trace", "-n/--numprocesses: 2 is not allowed together with --trace; give -n 0 or -n auto"),
            ("-d --tx 3*popen --pdb", "--tx: 3 is not allowed together with --pdb; give -n 0 or -n auto"),
            ("--maxprocesses 0", "--maxprocesses: 0 is not allowed; give a whole number >= 1"),
            ("--maxprocesses x", "--maxprocesses: 'x' is not allowed; give a whole number >= 1"),
            (
                "--dist fastest",
                f"--dist: 'fastest' is not allowed; give one of {', '.join(DIST_MODES)}",
            ),
            ("--max-worker-restart=-1", "--max-worker-restart: -1 is not allowed; give a whole number >= 0"),
            ("--maxschedchunk 0", "--maxschedchunk: 0 is not allowed; give a whole number >= 1"),
            ("--maxtasksperchild 0", "--maxtasksperchild: 0 is not allowed; give a whole number >= 1"),
            ("--parpool-cpus 0", "--parpool-cpus: 0 is not allowed; give a whole number >= 1"),
            ("--parpool-cpus all", "--parpool-cpus: 'all' is not allowed; give a whole number >= 1"),
            ("--maxtasksperchild 1.5", "--maxtasksperchild: '1.5' is not allowed; give a whole number >= 1"),
            ("--start-method forkserver", "--start-method: 'forkserver' is not allowed; give one of auto, fork, spawn"),
            ("--shutdown-timeout 0", "--shutdown-timeout: '0' is not allowed; give seconds > 0, e.g. 5 or 0.5"),
            ("--shutdown-timeout inf", "--shutdown-timeout: 'inf' is not allowed; give seconds > 0, e.g. 5 or 0.5"),
            ("--shutdown-timeout nan", "--shutdown-timeout: 'nan' is not allowed; give seconds > 0, e.g. 5 or 0.5"),
            ("--shutdown-timeout soon", "--shutdown-timeout: 'soon' is not allowed; give seconds > 0, e.g. 5 or 0.5"),
            ("--tx ssh=host", "--tx: 'ssh=host' is not allowed; give 'popen' or 'N*popen'; all workers are local"),
            ("--tx 0*popen", "--tx: '0*popen' is not allowed; give 'popen' or 'N*popen'; all workers are local"),
            ("--px id=a", "--px: 'id=a' is not allowed; proxies are not offered, all workers are local"),
            ("--rsyncdir src", "--rsyncdir: 'src' is not allowed; rsync is not offered, all workers are local"),
            ("-f", "-f/--looponfail is not offered; run the last failures again with --lf"),
            ("--looponfail", "-f/--looponfail is not offered; run the last failures again with --lf"),
            (
                "--worker-initializer nonsense",
                f"--worker-initializer: 'nonsense' is not allowed; give {INITIALIZER_FORM}",
            ),
        ],
    )
    def test_on_the_command_line(self, command_line: str, line: str) -> None:
        """A bad option is refused by us, not by argparse, whose answer has many lines."""
        with pytest.raises(BadSettingError) as caught:
            read(command_line)
        assert str(caught.value) == line

    @pytest.mark.parametrize(
        ("name", "value", "line"),
        [
            (
                "parpool_start_method",
                "forkserver",
                "ini option parpool_start_method: 'forkserver' is not allowed; give one of auto, fork, spawn",
            ),
            (
                "parpool_maxtasksperchild",
                "0",
                "ini option parpool_maxtasksperchild: '0' is not allowed; give a whole number >= 1",
            ),
            (
                "parpool_cpus",
                "1.5",
                "ini option parpool_cpus: '1.5' is not allowed; give a whole number >= 1",
            ),
            (
                "parpool_shutdown_timeout",
                "-1",
                "ini option parpool_shutdown_timeout: '-1' is not allowed; give seconds > 0, e.g. 5 or 0.5",
            ),
            (
                "parpool_worker_initializer",
                ["f"],
                f"ini option parpool_worker_initializer: 'f' is not allowed; give {INITIALIZER_FORM}",
            ),
            (
                "parpool_leftovers",
                "ignore",
                "ini option parpool_leftovers: 'ignore' is not allowed; give one of error, warn",
            ),
        ],
    )
    def test_in_the_ini_file(self, name: str, value: object, line: str) -> None:
        """A bad ini value is named as one."""
        with pytest.raises(BadSettingError) as caught:
            read("-n 2", {name: value})
        assert str(caught.value) == line

    def test_a_plugin_in_both_lists(self) -> None:
        """Hooks of a plugin cannot be forced and forbidden."""
        with pytest.raises(BadSettingError) as caught:
            read("-n 2", {"parpool_rerun_hooks": ["a", "html"], "parpool_keep_hooks": ["html"]})
        assert str(caught.value) == (
            "ini options parpool_rerun_hooks and parpool_keep_hooks: 'html' is not allowed in both; take it out of one"
        )

    @pytest.mark.parametrize("error", [ValueError, TypeError, pytest.UsageError])
    def test_pytest_refuses_the_type(self, error: type[Exception]) -> None:
        """What pytest itself says about an ini value is passed on, with the name that it may leave out."""

        def getini(name: str) -> object:
            if name == "parpool_gc_freeze":
                raise error("invalid truth value\n'maybe'")
            return INI_DEFAULTS[name]

        with pytest.raises(BadSettingError) as caught:
            read_settings(parse(""), getini, auto_count=must_not_be_called)
        assert str(caught.value) == ("ini option parpool_gc_freeze: invalid truth value 'maybe'; give true or false")


class TestPublish:
    """What other plugins read after the command line."""

    @pytest.mark.parametrize(
        ("command_line", "numprocesses", "dist", "tx"),
        [
            ("", None, "no", []),
            ("--dist load", None, "no", []),
            ("-n 0", 0, "no", []),
            ("-n auto --pdb", 0, "no", []),
            ("-n 2", 2, "load", ["popen"] * 2),
            ("-n auto --maxprocesses 3 --dist loadfile", 3, "loadfile", ["popen"] * 3),
            ("-d --tx 2*popen", None, "load", ["popen"] * 2),
        ],
    )
    def test_dests(self, command_line: str, numprocesses: int | None, dist: str, tx: list[str]) -> None:
        """The dests say how many workers there are, and how items are distributed, as pytest-xdist's do."""
        option = parse(command_line)
        publish(read(command_line), option)
        assert (option.numprocesses, option.dist, option.tx) == (numprocesses, dist, tx)

    def test_number_changes(self) -> None:
        """After collection the number may turn out smaller, down to none."""
        option = parse("-n 4")
        settings = read("-n 4")
        for processes, dist in [(4, "load"), (2, "load"), (0, "no")]:
            publish(settings.replace(processes=processes), option)
            assert (option.numprocesses, option.dist, option.tx) == (processes, dist, ["popen"] * processes)


class TestErrors:
    """The exceptions that all of this raises."""

    @pytest.mark.parametrize("kind", [ParpoolError, BadSettingError, WorkerError, ProtocolError])
    def test_pickling(self, kind: type[ParpoolError]) -> None:
        """An exception that crosses a process border says the same on the other side."""
        error = kind("what happened")
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind
        assert (copy.args, str(copy)) == (error.args, str(error))

    @pytest.mark.parametrize("kind", [BadSettingError, WorkerError, ProtocolError])
    def test_one_tree(self, kind: type[Exception]) -> None:
        """Everything raised on purpose can be caught by one name."""
        assert issubclass(kind, ParpoolError)

    def test_bad_setting_has_one_line(self) -> None:
        """Whatever a foreign exception says, the user gets one line."""
        assert str(BadSettingError("first\nsecond\r\nthird")) == "first second third"

    def test_protocol_error_asks_for_a_report(self) -> None:
        """What is our fault says so."""
        assert str(ProtocolError("odd")) == "odd (this is a bug in pytest-parpool, please report it)"


class TestHookspecs:
    """The hooks that users and other plugins may implement."""

    @pytest.mark.parametrize(
        ("module", "name", "arguments", "is_first_result"),
        [
            (hookspecs, "pytest_parpool_worker_started", "config worker", False),
            (hookspecs, "pytest_parpool_make_scheduler", "config plan", True),
            (xdist_hookspecs, "pytest_xdist_setupnodes", "config specs", False),
            (xdist_hookspecs, "pytest_xdist_newgateway", "gateway", False),
            (xdist_hookspecs, "pytest_xdist_rsyncstart", "source gateways", False),
            (xdist_hookspecs, "pytest_xdist_rsyncfinish", "source gateways", False),
            (xdist_hookspecs, "pytest_xdist_getremotemodule", "", True),
            (xdist_hookspecs, "pytest_configure_node", "node", False),
            (xdist_hookspecs, "pytest_testnodeready", "node", False),
            (xdist_hookspecs, "pytest_testnodedown", "node error", False),
            (xdist_hookspecs, "pytest_xdist_node_collection_finished", "node ids", False),
            (xdist_hookspecs, "pytest_xdist_make_scheduler", "config log", True),
            (xdist_hookspecs, "pytest_xdist_auto_num_workers", "config", True),
            (xdist_hookspecs, "pytest_handlecrashitem", "crashitem report sched", True),
        ],
    )
    def test_signature(self, module: ModuleType, name: str, arguments: str, is_first_result: bool) -> None:
        """A hook takes the arguments, and treats answers, as its implementations expect."""
        manager = pluggy.PluginManager("pytest")
        manager.add_hookspecs(module)
        spec = getattr(manager.hook, name).spec
        assert (spec.argnames, bool(spec.opts["firstresult"])) == (tuple(arguments.split()), is_first_result)
