"""How our own plugin finds out that this pytest is a spawned worker: by who is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import pytest

NAME: Final = "parpool-spawned-worker"

if TYPE_CHECKING:  # A protocol takes longer to make than all else that is here.
    from typing import Protocol

    class SpawnedWorker(Protocol):
        """What is registered then."""

        def begin(self, config: pytest.Config) -> None:
            """Become the worker that the controller says, before anything is configured."""
            ...


def spawned_worker(config: pytest.Config) -> SpawnedWorker | None:
    """Return the worker that this pytest is, or None if it is none."""
    return cast("SpawnedWorker | None", config.pluginmanager.get_plugin(NAME))
