"""The command line options and ini values, as argparse and pytest need to know them.

Nothing is checked here: argparse would answer a bad value with many lines of usage, so every option takes any text and
``settings`` does the checking. Names and defaults of the options that pytest-xdist has too are pytest-xdist's, because
other plugins read them (pytest-cov as early as ``pytest_load_initial_conftests``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

_Add: TypeAlias = Callable[..., None]
"""As ``argparse.ArgumentParser.add_argument``."""


def int_or_text(text: str) -> int | str:
    """Return the whole number that ``text`` spells, or else ``text`` as it stands."""
    try:
        return int(text)
    except ValueError:
        return text


def add_options(parser: pytest.Parser, *, is_xdist_loaded: bool = False) -> None:
    """Register every option and every ini value of this plugin.

    Args:
        parser: Pytest's.
        is_xdist_loaded: Whether plugins of pytest-xdist were loaded before us. What they have registered is left as it
            is: it means the same, and pytest cannot take an option back.
    """
    theirs: Any = parser.getgroup("xdist") if is_xdist_loaded else None
    known = {option.dest for option in theirs.options} if is_xdist_loaded else set()
    group = parser.getgroup("parpool", "running tests in parallel")

    def add(*names: str, dest: str, **attributes: Any) -> None:
        if dest not in known:
            # ``addoption`` keeps lower-case short options (-n) for pytest itself.
            group._addoption(*names, dest=dest, **attributes)  # noqa: SLF001

    _add_distribution_options(add)
    _add_unoffered_options(add)
    _add_pool_options(add)
    _add_own_ini_values(parser)
    if "numprocesses" in known:
        _leave_checking_to_settings(theirs)
        return
    for name in ("rsyncdirs", "rsyncignore", "looponfailroots"):
        parser.addini(name, "Accepted without effect", type="paths")


def _leave_checking_to_settings(group: Any) -> None:
    """Have the options that pytest-xdist has registered take any text, as ours do.

    Args:
        group: An ``OptionGroup`` of pytest's; what ``attrs`` of its options returns is what argparse goes by.
    """
    for option in group.options:
        if option.dest in ("numprocesses", "maxprocesses", "maxworkerrestart", "maxschedchunk"):
            option.attrs()["type"] = int_or_text
        elif option.dest == "dist":
            option.attrs()["choices"] = None


def _add_distribution_options(add: _Add) -> None:
    """Add the options known from pytest-xdist."""
    add(
        "-n",
        "--numprocesses",
        dest="numprocesses",
        metavar="N",
        type=int_or_text,
        help="Number of workers. 0 runs all tests in this process, 'auto' takes the physical CPU cores that this "
        "process may use, 'logical' their hardware threads too. 'auto' and 'logical' mean 0 together with --pdb.",
    )
    add(
        "--maxprocesses",
        dest="maxprocesses",
        metavar="N",
        type=int_or_text,
        help="Upper limit to the number of workers, for use with -n auto",
    )
    add(
        "--dist",
        dest="dist",
        metavar="MODE",
        default="no",
        help="How tests are distributed, if there are workers (-n).\n"
        "load: contiguous shares, idle workers take over from others (default with -n).\n"
        "worksteal: the same, without regard to module borders.\n"
        "loadscope: a class or module stays on one worker.\n"
        "loadfile: a file stays on one worker.\n"
        "loadgroup: tests with the same xdist_group mark stay on one worker.\n"
        "each: every worker runs every test.\n"
        "no: all tests run in this process (default without -n).",
    )
    add(
        "-d",
        dest="distload",
        action="store_true",
        default=False,
        help="Shortcut for --dist=load",
    )
    add(
        "--tx",
        dest="tx",
        metavar="SPEC",
        action="append",
        default=[],
        help="Add workers: 'popen' for one, 'N*popen' for N. -n is the shorter way.",
    )
    add(
        "--max-worker-restart",
        dest="maxworkerrestart",
        metavar="N",
        type=int_or_text,
        help="How many crashed workers may be replaced; 0 for none. Default: four times the number of workers.",
    )
    add(
        "--maxschedchunk",
        dest="maxschedchunk",
        metavar="N",
        type=int_or_text,
        help="Maximum number of tests that a worker holds, the one that it runs included",
    )
    add(
        "--loadscope-reorder",
        dest="loadscopereorder",
        action="store_true",
        default=True,
        help="With --dist=loadscope, begin with the scopes that have the most tests (default)",
    )
    add(
        "--no-loadscope-reorder",
        dest="loadscopereorder",
        action="store_false",
        help="With --dist=loadscope, keep the scopes in the order of collection",
    )
    add(
        "--testrunuid",
        dest="testrunuid",
        metavar="TEXT",
        help="Value of the fixture 'testrun_uid', the same in all workers. Default: a new one in each run.",
    )


def _add_unoffered_options(add: _Add) -> None:
    """Add what pytest-xdist has and this plugin has not: other plugins read the dests, and users get a clear answer."""
    add("--px", dest="px", metavar="SPEC", action="append", default=[], help="Not offered")
    add("--rsyncdir", dest="rsyncdir", metavar="DIR", action="append", default=[], help="Not offered")
    add(
        "--rsyncignore",
        dest="rsyncignore",
        metavar="GLOB",
        action="append",
        default=[],
        help="Accepted without effect",
    )
    add("-f", "--looponfail", dest="looponfail", action="store_true", default=False, help="Not offered")


def _add_pool_options(add: _Add) -> None:
    """Add our own. Their dests are the names of the ini values that they override; None means "not given"."""
    add(
        "--start-method",
        dest="parpool_start_method",
        metavar="METHOD",
        help="How workers are started: 'fork' from the process that has collected; 'spawn', fresh interpreters; "
        "or 'auto' (default), which forks where that is safe",
    )
    add(
        "--maxtasksperchild",
        dest="parpool_maxtasksperchild",
        metavar="N",
        type=int_or_text,
        help="Replace a worker after it has run N tests. Default: never.",
    )
    add(
        "--worker-initializer",
        dest="parpool_worker_initializer",
        metavar="SPEC",
        action="append",
        default=[],
        help='Call a function in each new worker before its first test: "pkg.mod:function" or '
        "\"pkg.mod:function('literal', key=1)\". Can be given several times.",
    )
    add(
        "--shutdown-timeout",
        dest="parpool_shutdown_timeout",
        metavar="SECONDS",
        help="How long a worker may take to tear down and leave, before it is killed",
    )
    add(
        "--parpool-cpus",
        dest="parpool_cpus",
        metavar="N",
        type=int_or_text,
        help="CPUs that tests share with what they start: native libraries and, by ini option, make. Default: the "
        "number of workers.",
    )
    add(
        "--parpool-explain-workers",
        dest="parpool_explain_workers",
        action="store_true",
        default=False,
        help="Say which plugins' hooks are run again in workers, what they inherit or drop, and why",
    )


def _add_own_ini_values(parser: pytest.Parser) -> None:
    """Add our own ini values."""
    parser.addini("parpool_gc_freeze", "Call gc.freeze() before workers are forked", type="bool", default=True)
    parser.addini(
        "parpool_leftovers", "A test that ends with a lock: 'error' or 'warn'", type="string", default="error"
    )
    parser.addini("parpool_start_method", "Default of --start-method", type="string", default=None)
    parser.addini("parpool_maxtasksperchild", "Default of --maxtasksperchild", type="string", default=None)
    parser.addini("parpool_worker_initializer", "Called before those of --worker-initializer", type="linelist")
    parser.addini("parpool_shutdown_timeout", "Default of --shutdown-timeout", type="string", default=None)
    parser.addini("parpool_cpus", "Default of --parpool-cpus", type="string", default=None)
    parser.addini(
        "parpool_limit_native_threads",
        "Tell native libraries how many threads they may use in a worker",
        type="bool",
        default=True,
    )
    parser.addini("parpool_jobserver", "Have make, ninja and cargo share the CPUs too", type="bool", default=False)
    parser.addini("parpool_rerun_hooks", "Plugins whose hooks are run again in each worker", type="linelist")
    parser.addini("parpool_keep_hooks", "Plugins whose hooks are not run again in workers", type="linelist")
    parser.addini(
        "parpool_native_threads_safe",
        "Native libraries, and patterns of names of Python threads, that may have threads when workers are forked",
        type="linelist",
    )
