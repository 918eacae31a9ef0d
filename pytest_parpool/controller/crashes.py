"""Reports for what a dead worker could not report itself."""

from __future__ import annotations

import itertools
import os

import pytest

from pytest_parpool.model.actions import ReportCrash, ReportLoss
from pytest_parpool.runtime.outputs import LastOutput

# As it stands in a frame's line; the file itself belongs to the other side.
_OWN_LOOP = os.path.join("pytest_parpool", "worker", "executor.py")
# Windows only: it waits for Ctrl-C.
_OWN_THREAD = os.path.join("pytest_parpool", "runtime", "windows", "interrupts.py")


def crash_text(action: ReportCrash, nodeid: str) -> str:
    """Return the one line that says what happened. Its beginning is pytest-xdist's, which scripts look for."""
    reason = action.exit.describe()
    if action.is_overdue:
        reason = "it did not stop within the shutdown timeout"
    return f"worker {str(action.worker)!r} crashed while running {nodeid!r} ({reason})"


def crash_report(
    item: pytest.Item, text: str, earlier_sections: list[tuple[str, str]], output: LastOutput
) -> pytest.TestReport:
    """Return the failed report of an item whose worker died.

    Args:
        item: What ran.
        text: What happened.
        earlier_sections: Of the item's last report, if one came.
        output: What the worker had written since.
    """
    sections = list(earlier_sections)
    for name, content in (("stdout", output.out), ("stderr", output.err)):
        if content:
            sections.append((f"Captured {name} until the crash", content))
    if output.stack:
        sections.append(("Python stack of the crashed worker", _readable_stack(output.stack)))
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=text,
        when="???",  # type: ignore[arg-type]  # as pytest-xdist has it: no phase is to blame
        sections=sections,
    )


def _readable_stack(stack: str) -> str:
    """Return what ``faulthandler`` wrote, without our own frames and those around them, and repeated lines folded.

    Each thread's innermost frame comes first. All that called our loop is how this worker came to be: the fork inside
    of the controller, twice.
    """
    threads = [thread for thread in stack.split("\n\n") if _OWN_THREAD not in thread]
    lines: list[str] = []
    is_ours = False
    for line, same in itertools.groupby("\n\n".join(threads).splitlines()):
        is_frame = line.startswith("  ")
        is_ours = is_frame and (is_ours or _OWN_LOOP in line)
        if is_ours:
            continue
        count = len(list(same))
        lines.append(line)
        if count > 1 and is_frame:
            lines.append(f"  ... and {count - 1} times the same")
    return "\n".join(lines)


def loss_text(action: ReportLoss, last_nodeid: str | None) -> str:
    """Return the line that says how a worker died that ran no test."""
    reason = action.exit.describe()
    after = f" after {last_nodeid!r}" if last_nodeid is not None else ""
    if action.is_overdue:
        return f"worker {str(action.worker)!r} was killed: it did not leave within the shutdown timeout{after}"
    if action.is_failure and last_nodeid is not None:
        return f"worker {str(action.worker)!r} died while tearing down{after} ({reason})"
    end = "" if action.is_failure else "; it is replaced if work is left"
    return f"worker {str(action.worker)!r} died while it ran no test{after} ({reason}){end}"


def loss_report(item: pytest.Item, text: str, output: LastOutput) -> pytest.TestReport:
    """Return the teardown error of the last item of a worker that died while tearing down."""
    report = crash_report(item, text, [], output)
    report.when = "teardown"
    return report
