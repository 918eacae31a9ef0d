"""How long an item will probably take: from the last run, else from its neighbours in this one."""

from __future__ import annotations

from array import array

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.plan import Plan


class Estimates:
    """Expected durations that learn while the run goes on. Made before the fork.

    The functions are numbered: their names lie in memory shared with the workers, which to look at is to copy.

    Asked and told once or twice per item, so both are a few look-ups. Cases of one parametrised function tend to take
    equally long, tests of one module less so, and those of one suite even less; a guess that is wrong is put right by
    taking back what lies behind it.
    """

    __slots__ = ("_durations", "_functions", "_last", "_modules", "_of_function", "_of_module")

    def __init__(self, plan: Plan) -> None:
        """Begin with what the plan knows."""
        self._durations = plan.durations
        self._modules = plan.modules
        numbers: dict[str, int] = {}
        self._functions = array("L", (numbers.setdefault(name, len(numbers)) for name in plan.functions))
        self._of_function: list[float | None] = [None] * len(numbers)
        self._of_module: dict[str, float] = {}
        self._last: float | None = None

    def expected(self, index: ItemIndex) -> float | None:
        """Return the seconds an item will probably take, or None if nothing was measured.

        The item's own duration in the last run, else that of the item of the same test function that was observed
        last, else of the same module, else of any.
        """
        seconds = self._durations[index]
        if seconds is None:
            seconds = self._of_function[self._functions[index]]
            if seconds is None:
                seconds = self._of_module.get(self._modules[index], self._last)
        return seconds

    def observe(self, index: ItemIndex, seconds: float) -> None:
        """Note what an item just took in this run."""
        self._of_function[self._functions[index]] = seconds
        self._of_module[self._modules[index]] = seconds
        self._last = seconds
