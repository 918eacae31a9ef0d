"""The command line of the comparison: plain pytest's outcome of every node id against this project's.

Plain pytest runs twice. What differs between its two runs is unstable whoever runs it: it is listed, and not counted
against anyone. Exits with 0, with 1 if anything else differs, with 2 if an argument is wrong or something is missing.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import outcome_plugin
from benchmarks.__main__ import TIMEOUT_SECONDS, check_contender, positive
from benchmarks.agreement import describe_ending
from benchmarks.commands import Run, run_command
from benchmarks.contenders import CONTENDERS, PARPOOL, PLAIN, Contender
from benchmarks.differences import Difference, Outcomes, find_differences
from benchmarks.suites import MissingSuiteError
from benchmarks.targets import Target, find_target

# A test parametrised over a set has other node ids in each process, unless hashes are the same in all of them.
_HASH_SEED = {"PYTHONHASHSEED": "0"}


@dataclasses.dataclass(frozen=True, slots=True)
class Recorded:
    """A run with the outcomes it reported; none if it ended before it could write them."""

    run: Run
    outcomes: Outcomes


class Recording:
    """Runs one suite by one contender after another and reads what the plugin recorded."""

    def __init__(self, target: Target, folder: Path, *, timeout_seconds: float, extra: Sequence[str]) -> None:
        self._target = target
        self._folder = folder
        self._timeout_seconds = timeout_seconds
        self._extra = extra
        # Alone in its folder, so that no other module of ours gets onto the suite's import path.
        shutil.copy(outcome_plugin.__file__, folder)

    def record(self, contender: Contender, processes: int = 1, *arguments: str) -> Recorded:
        """Run the suite once."""
        path = self._folder / "outcomes.json"
        path.unlink(missing_ok=True)
        plugin = ("-p", "outcome_plugin", outcome_plugin.OPTION, str(path))
        command = contender.command(processes, (*plugin, *arguments, *self._extra, *self._target.arguments))
        run = run_command(
            command,
            timeout_seconds=self._timeout_seconds,
            cwd=self._target.cwd,
            environment={
                **_HASH_SEED,
                "PYTHONPATH": os.pathsep.join((str(self._folder), *_own_path())),
            },
        )
        outcomes: Outcomes = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return Recorded(run, outcomes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the outcomes and return the exit code."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    contender = CONTENDERS[options.contender]
    check_contender(contender, parser)
    with tempfile.TemporaryDirectory(prefix="outcomes-") as name:
        suite_folder, plugin_folder = Path(name, "suite"), Path(name, "plugin")
        suite_folder.mkdir()
        plugin_folder.mkdir()
        try:
            target = find_target(options.suite, suite_folder)
        except MissingSuiteError as error:
            parser.error(str(error))
        recording = Recording(target, plugin_folder, timeout_seconds=options.timeout, extra=options.pytest_arguments)
        plain, again = recording.record(PLAIN), recording.record(PLAIN)
        if not plain.outcomes:
            parser.error(f"plain pytest reported no outcome for {options.suite!r}:\n{plain.run.output}")
        print(
            f"# {options.suite}\n\n- plain: {len(plain.outcomes):,} node ids, {describe_ending(plain.run)}", flush=True
        )
        unstable = find_differences(plain.outcomes, again.outcomes)
        _show("unstable in plain pytest", unstable)
        is_equal = True
        for method, dist, processes in itertools.product(options.start_method, options.dist, options.processes):
            how = ["--dist", dist, *(["--start-method", method] if method else [])]
            recorded = recording.record(contender, processes, *how)
            title = f"{contender.name} -n {processes} {' '.join(how)}"
            is_equal &= _is_equal(title, plain, recorded, {difference.nodeid for difference in unstable})
    return 0 if is_equal else 1


def _own_path() -> tuple[str, ...]:
    """Return what the user put on the import path, as it is."""
    return (os.environ["PYTHONPATH"],) if os.environ.get("PYTHONPATH") else ()


def _is_equal(title: str, plain: Recorded, recorded: Recorded, unstable: set[str]) -> bool:
    """Print what a run did differently from plain pytest, and return whether that is nothing."""
    print(f"- {title}: {len(recorded.outcomes):,} node ids, {describe_ending(recorded.run)}", flush=True)
    found = find_differences(plain.outcomes, recorded.outcomes)
    counted = [difference for difference in found if difference.nodeid not in unstable]
    _show("different from plain pytest", counted)
    _show("different, but unstable in plain pytest too", [one for one in found if one.nodeid in unstable])
    # An unstable test may change the exit code by itself.
    is_same_exit = recorded.run.exit_code == plain.run.exit_code or bool(unstable)
    if not is_same_exit:
        print(f"  - exit code {recorded.run.exit_code} instead of {plain.run.exit_code}")
    if not recorded.outcomes:
        print(recorded.run.output, file=sys.stderr)
    return is_same_exit and not counted


def _show(title: str, differences: Sequence[Difference]) -> None:
    if differences:
        print(f"  - {title}: {len(differences):,}")
    for one in differences:
        print(f"    - `{one.nodeid}`: {one.expected} -> {one.actual}", flush=True)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outcomes",
        description="Compare the outcome of every node id with plain pytest's.",
    )
    parser.add_argument("--suite", required=True, help="networkx, click, or a file or folder with tests")
    parser.add_argument(
        "--dist", nargs="+", default=["load", "loadfile"], metavar="MODE", help="default: load loadfile"
    )
    parser.add_argument("-n", dest="processes", nargs="+", type=positive, default=[2, 4], help="default: 2 4")
    parser.add_argument(
        "--contender",
        choices=[name for name, contender in CONTENDERS.items() if contender.plugins],
        default=PARPOOL.name,
        help="who is compared with plain pytest",
    )
    parser.add_argument(
        "--start-method", nargs="+", default=[None], metavar="METHOD", help="of workers; only this project's have some"
    )
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, help="seconds after which a run is killed")
    parser.add_argument("pytest_arguments", nargs="*", metavar="ARGUMENT", help="for pytest in every run, behind --")
    return parser


if __name__ == "__main__":
    sys.exit(main())
