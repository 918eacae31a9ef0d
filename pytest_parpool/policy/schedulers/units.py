"""Where to cut a row of work units into shares, and a share into halves."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.plan import Plan


class Units:
    """All work units in a row, with their weights and the borders at which cutting costs least.

    A unit is named by its position in the row, a stretch of neighbours is a ``range`` of positions, and position ``p``
    is also the name of the cut in front of unit ``p``. Weights are kept as sums from the row's begin, so weighing a
    stretch takes one subtraction and finding a cut one bisection, however many units there are.

    Attributes:
        members: The items of each unit, in the order in which they run; no unit is empty.
    """

    __slots__ = ("_borders", "_sums", "members")

    def __init__(
        self, members: Sequence[Sequence[ItemIndex]], weights: Iterable[float], borders: Sequence[int] = ()
    ) -> None:
        """Describe a row of units.

        Args:
            members: See the attribute.
            weights: How long each unit will take, in any unit of measure, above 0.
            borders: Positions at which to cut rather than elsewhere, ascending.
        """
        self.members = members
        self._sums = tuple(itertools.accumulate(weights, initial=0.0))
        self._borders = borders

    def weight(self, stretch: range) -> float:
        """Return the weight of all units of a stretch, 0 if it is empty."""
        return self._sums[stretch.stop] - self._sums[stretch.start]

    def shares(self, count: int) -> list[range]:
        """Cut the whole row into ``count`` stretches of like weight, none of them empty unless units are too few.

        A cut moves from its ideal place to the nearest border, but never as far as the ideal place of the cut next to
        it: that would eat a neighbour's share.
        """
        size = len(self.members)
        filled = min(count, size)
        ideal = self._ideal_cuts(filled)
        cuts = [0]
        for number in range(1, filled):
            # No border lies between the last cut and that one's ideal place: it would have been nearer.
            border = self._nearest(self._borders, self._sums[ideal[number]], cuts[-1], ideal[number + 1])
            cuts.append(ideal[number] if border is None else border)
        cuts += [size] * (count + 1 - len(cuts))
        return [range(begin, end) for begin, end in itertools.pairwise(cuts)]

    def halves(self, stretch: range) -> tuple[range, range]:
        """Cut a stretch that is not empty at the border nearest to its middle, else at its middle.

        The first half is empty if there is only one unit: there is nothing to share then.
        """
        if len(stretch) == 1:
            return stretch[:0], stretch
        low, high = stretch.start, stretch.stop
        middle = (self._sums[low] + self._sums[high]) / 2
        cut = self._nearest(self._borders, middle, low, high)
        if cut is None:
            cut = self._nearest_position(middle, low, high)
        return range(low, cut), range(cut, high)

    def _ideal_cuts(self, count: int) -> list[int]:
        """Return the ``count + 1`` cuts that make shares of like weight, both ends included, borders disregarded."""
        size = len(self.members)
        cuts = [0]
        for number in range(1, count):
            # Each share behind this cut needs one unit at least.
            high = size - (count - number) + 1
            cuts.append(self._nearest_position(self._sums[-1] * number / count, cuts[-1], high))
        return [*cuts, size]

    def _nearest_position(self, target: float, low: int, high: int) -> int:
        """Return the cut nearest to ``target``, strictly between ``low`` and ``high``; there must be one."""
        cut = self._nearest(range(len(self._sums)), target, low, high)
        assert cut is not None
        return cut

    def _nearest(self, cuts: Sequence[int], target: float, low: int, high: int) -> int | None:
        """Return that of the ascending ``cuts`` whose sum is nearest to ``target``, or None if none is in question.

        Those strictly between ``low`` and ``high`` are. The lower one wins a tie, so that an idle worker gets the
        larger half: the owner of the other one is still busy.
        """
        first = bisect.bisect_right(cuts, low)
        behind = bisect.bisect_left(cuts, high)
        place = bisect.bisect_left(cuts, target, first, behind, key=self._sums.__getitem__)
        around = cuts[max(first, place - 1) : min(behind, place + 1)]
        return min(around, key=lambda cut: abs(self._sums[cut] - target), default=None)


def single_items(plan: Plan) -> tuple[tuple[ItemIndex], ...]:
    """Return every item of the plan as a unit of its own."""
    return tuple((ItemIndex(index),) for index in plan.indices())
