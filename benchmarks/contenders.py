"""Who is measured: the arguments that make pytest run a suite in one way or another.

Plugins are not loaded by themselves (``commands.clean_environment`` sees to it), so a contender is pytest and the one
plugin named here, whatever else is installed.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable

# The cache would make a run's work depend on the run before it.
COMMON_ARGUMENTS = ("-p", "no:cacheprovider", "-q")


@dataclasses.dataclass(frozen=True, slots=True)
class Contender:
    """One way to run a suite.

    Attributes:
        name: As in ``--contenders`` and in the table.
        distribution: The package that brings it, whose version is shown.
        plugin: The module that ``-p`` loads; None for plain pytest, which has no workers.
    """

    name: str
    distribution: str
    plugin: str | None

    def arguments(self, processes: int | str) -> tuple[str, ...]:
        """Return pytest's arguments that choose this contender with so many workers."""
        if self.plugin is None:
            return COMMON_ARGUMENTS
        return (*COMMON_ARGUMENTS, "-p", self.plugin, "-n", str(processes))

    def command(self, processes: int, suite: Iterable[str]) -> tuple[str, ...]:
        """Return the whole command, for the interpreter that runs the benchmarks."""
        return (sys.executable, "-m", "pytest", *self.arguments(processes), *suite)


PLAIN = Contender("plain", "pytest", None)
XDIST = Contender("xdist", "pytest-xdist", "xdist.plugin")
PARPOOL = Contender("parpool", "pytest-parpool", "pytest_parpool.plugin")

CONTENDERS = {contender.name: contender for contender in (PLAIN, XDIST, PARPOOL)}
