"""The plan: what there is to run, as columns of plain values, one entry per item.

Columns instead of a list of objects, because a plan of 20,000 items is built before the first test may start.
"""

from __future__ import annotations

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.records import Record, record


@record(kw_only=True)
class Plan(Record):
    """The collected items in the order in which pytest would run them.

    Every column has one entry per item; an item is named by its index. Scope keys are taken from the item's parents
    (never by splitting the node id: ``::`` may stand inside a parameter) and are equal exactly for items that share
    the parent.

    Attributes:
        nodeids: Pytest's node ids, unchanged.
        files: The file an item comes from.
        modules: The innermost module-like collector; fixtures of module scope live as long as it does.
        scopes: The class of a method, else the module: the key of ``loadscope``.
        functions: The test function without its parameters; its cases tend to take equally long.
        groups: The name given by ``@pytest.mark.xdist_group``, or None.
        durations: Seconds the item took in the last run that measured it, or None.
    """

    nodeids: tuple[str, ...]
    files: tuple[str, ...]
    modules: tuple[str, ...]
    scopes: tuple[str, ...]
    functions: tuple[str, ...]
    groups: tuple[str | None, ...]
    durations: tuple[float | None, ...]

    def __len__(self) -> int:
        return len(self.nodeids)

    def indices(self) -> range:
        """Return every item's index, in order; use ``ItemIndex(i)`` on the members."""
        return range(len(self.nodeids))

    def repeated(self, times: int) -> Plan:
        """Return the plan with all its items ``times`` times over, one copy behind the other (``--dist each``)."""
        return Plan(
            nodeids=self.nodeids * times,
            files=self.files * times,
            modules=self.modules * times,
            scopes=self.scopes * times,
            functions=self.functions * times,
            groups=self.groups * times,
            durations=self.durations * times,
        )

    def nodeid(self, index: ItemIndex) -> str:
        """Return the node id of one item."""
        return self.nodeids[index]
