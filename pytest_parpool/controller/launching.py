"""What a spawned worker is told at its start: everything that a forked one would have found in its memory."""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Sequence

import pytest

from pytest_parpool.budget import membership
from pytest_parpool.compat import main_module
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.runtime.launch import Launch
from pytest_parpool.settings import Settings
from pytest_parpool.sharing import SHARING, lend
from pytest_parpool.stash import MEASUREMENT
from pytest_parpool.wire.launch_order import LaunchOrder, digest

_ENTRY = "pytest_parpool.worker.spawned:live"


def make_launch(config: pytest.Config, settings: Settings, nodeids: Sequence[str], *, is_stop_watched: bool) -> Launch:
    """Return what to start workers with.

    Args:
        config: Pytest's.
        settings: With the real number of workers.
        nodeids: What was collected here.
        is_stop_watched: Whether a failure may stop the run.
    """
    lent = lend(config)
    sharing = config.stash[SHARING]
    measurement = config.stash[MEASUREMENT].order_for_spawned() if MEASUREMENT in config.stash else None
    invocation = config.invocation_params
    # Of those that a program gave to ``pytest.main``, only those that have a name can be had in another process.
    named = [word for plugin in invocation.plugins or () if isinstance(plugin, str) for word in ("-p", plugin)]
    order = LaunchOrder(
        arguments=(*named, *map(os.fspath, invocation.args)),
        digest=digest(nodeids),
        nodeids=marshal.dumps(tuple(nodeids)),
        is_stop_watched=is_stop_watched,
        sharing_token=sharing.token,
        sharing_owner=sharing.owner_pid,
        sharing_lent=lent,
        budget=membership.lend(config),
        main=main_module.identity(),
        capture=config.option.capture,
        measurement=measurement.dumps() if measurement is not None else b"",
    )
    # Else it would begin to measure by itself, and not with what we were told.
    unset: dict[str, None] = dict.fromkeys(measurement.variables) if measurement is not None else {}

    def environment(worker: WorkerId) -> dict[str, str | None]:
        return {
            **unset,
            "PYTEST_XDIST_WORKER": worker,
            "PYTEST_XDIST_WORKER_COUNT": str(settings.processes),
            "PYTEST_XDIST_TESTRUNUID": settings.testrunuid,
        }

    return Launch(
        entry=_ENTRY,
        order=order.dumps(),
        environment=environment,
        directory=str(config.invocation_params.dir),
        path=sys.path,
        argv=sys.argv,
        is_silent=order.capture in ("fd", "sys"),
        defers_interrupts=True,
    )
