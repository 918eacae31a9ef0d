"""The main module of a spawned worker seems to be the controller's, as tests find it in a plain run.

Libraries name a program after its ``__file__``, and whoever starts processes asks both that and ``__spec__`` what a
child has to import: ``multiprocessing.spawn.get_preparation_data``, and those that were made after its image. Nothing
of it is executed here.
"""

from __future__ import annotations

import sys
from importlib.util import spec_from_file_location


def identity() -> tuple[str, str]:
    """Return this process' main module: its file, and its name if it was found by that; else they are empty."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    name = getattr(getattr(main, "__spec__", None), "name", None)
    return str(file or ""), str(name or "")


def take_identity(file: str, name: str) -> None:
    """Have the main module say of itself what another process' says."""
    if not file:
        return  # ``python -c`` and an interactive interpreter have none, and neither has a worker by itself.
    main = sys.modules["__main__"]
    main.__file__ = file
    if name:
        main.__spec__ = spec_from_file_location(name, file)
        main.__package__ = name.rpartition(".")[0]
