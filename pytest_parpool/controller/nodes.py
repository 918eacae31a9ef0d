"""The workers as other plugins know them: their nodes, and the hooks that tell of a node's life."""

from __future__ import annotations

import marshal
from collections.abc import Sequence

import pytest

from pytest_parpool.compat.xdist_node import Gateway, NodeManager, Spec, WorkerNode
from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import WorkerId
from pytest_parpool.model.messages import Begin


class Nodes:
    """Makes a node per process and calls pytest-xdist's hooks about it, in pytest-xdist's order.

    The first nodes are configured before anything is forked; that of a replacement when it is needed.

    Args:
        config: Pytest's.
        workers: The slots.
        testrunuid: The run's id.
        nodeids: What every worker has collected.
    """

    def __init__(
        self, config: pytest.Config, workers: Sequence[WorkerId], testrunuid: str, nodeids: Sequence[str]
    ) -> None:
        self.ids = tuple(workers)
        self._config = config
        self._nodeids = nodeids
        specs = [Spec(id=worker) for worker in workers]
        self._manager = NodeManager(config, specs, testrunuid)
        self._specs = dict(zip(workers, specs, strict=True))
        self._nodes: dict[WorkerId, WorkerNode] = {}
        self._configured: dict[WorkerId, WorkerNode] = {}

    def setup(self) -> None:
        """Configure the first nodes.

        Raises:
            pytest.UsageError: If a hook put something into ``workerinput`` that cannot travel.
        """
        self._config.hook.pytest_xdist_setupnodes(config=self._config, specs=self._manager.specs)
        for worker in self.ids:
            self._configured[worker] = self._make(worker)

    def configure(self, worker: WorkerId) -> WorkerNode:
        """Return the node for a process that is to be born."""
        node = self._configured.pop(worker, None) or self._make(worker)
        self._nodes[worker] = node
        return node

    def _make(self, worker: WorkerId) -> WorkerNode:
        gateway = Gateway(self._specs[worker])
        self._config.hook.pytest_xdist_newgateway(gateway=gateway)
        node = WorkerNode(self._manager, gateway)
        self._config.hook.pytest_configure_node(node=node)
        self.first_command(node)
        return node

    def first_command(self, node: WorkerNode) -> Begin:
        """Return the command that tells a worker who it is.

        Raises:
            pytest.UsageError: If ``node.workerinput`` holds something that cannot travel.
        """
        try:
            return Begin(marshal.dumps(node.workerinput))
        except ValueError:
            names = [name for name, value in node.workerinput.items() if not _can_travel(value)]
            raise pytest.UsageError(
                f"pytest_configure_node: node.workerinput[{names[0]!r}] of {node.gateway.id!r} is not allowed; "
                "give plain values only (text, numbers, bytes, and lists, tuples, sets or dicts of them)"
            ) from None

    def node(self, worker: WorkerId) -> WorkerNode:
        """Return the node of a slot's last process."""
        return self._nodes[worker]

    def ready(self, node: WorkerNode) -> None:
        """Tell that a process is ready to run tests."""
        self._config.hook.pytest_testnodeready(node=node)
        finished = self._config.hook.pytest_xdist_node_collection_finished
        if finished.get_hookimpls():  # A list of its own for each is only made for who asks.
            finished(node=node, ids=list(self._nodeids))

    def crashed(self, node: WorkerNode, report: pytest.TestReport) -> None:
        """Tell that a process died while it ran a test; plugins may change the report."""
        from pytest_parpool.compat.xdist_sched import CrashScheduler

        report.node = node  # type: ignore[attr-defined]
        sched = CrashScheduler(self._config)
        self._config.hook.pytest_handlecrashitem(crashitem=report.nodeid, report=report, sched=sched)

    def down(self, node: WorkerNode, exit_: Exit) -> None:
        """Tell that a process has ended."""
        error = None if hasattr(node, "workeroutput") else f"Not properly terminated: {exit_.describe()}"
        self._config.hook.pytest_testnodedown(node=node, error=error)


def _can_travel(value: object) -> bool:
    try:
        marshal.dumps(value)  # type: ignore[arg-type]  # whether it can be is the question
    except ValueError:
        return False
    return True
