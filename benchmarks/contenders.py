"""Who is measured: the arguments that make pytest run a suite in one way or another.

Plugins are loaded by their entry points, as users have them loaded, and all but the contender's own are switched off by
name. Loading none by themselves and naming one (``-p``, ``PYTEST_PLUGINS``) would not be the same: for each name pytest
looks through the metadata of everything that is installed, and plain pytest would look not even once.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
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
        plugins: Names of its entry points; empty for plain pytest, which has no workers.
    """

    name: str
    distribution: str
    plugins: tuple[str, ...]

    def arguments(self, processes: int | str, plugins: Iterable[str] = ()) -> tuple[str, ...]:
        """Return pytest's arguments that choose this contender with so many workers.

        Args:
            processes: How many.
            plugins: Names of entry points that stay on beside the contender's own.
        """
        others = sorted(installed_plugins() - {*self.plugins, *plugins})
        switched_off = [argument for name in others for argument in ("-p", f"no:{name}")]
        workers = ("-n", str(processes)) if self.plugins else ()
        return (*COMMON_ARGUMENTS, *switched_off, *workers)

    def command(self, processes: int, suite: Iterable[str], plugins: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the whole command, for the interpreter that runs the benchmarks; see ``arguments``."""
        return (sys.executable, "-m", "pytest", *self.arguments(processes, plugins), *suite)


PLAIN = Contender("plain", "pytest", ())
XDIST = Contender("xdist", "pytest-xdist", ("xdist", "xdist.looponfail"))
PARPOOL = Contender("parpool", "pytest-parpool", ("parpool",))

CONTENDERS = {contender.name: contender for contender in (PLAIN, XDIST, PARPOOL)}


def installed_plugins() -> frozenset[str]:
    """Return the names of all plugins that pytest would load by itself."""
    return frozenset(entry.name for entry in importlib.metadata.entry_points(group="pytest11"))
