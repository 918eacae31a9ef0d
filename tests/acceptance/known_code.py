"""Has a package's code read before runs are forked: finding and reading it is half of what importing it costs.

Each run still imports the modules, that is runs them, when and in the order that it would otherwise.

Whoever looks for modules, be it pytest's rewriting or this package's own finder, asks the finders of directories that
the interpreter remembers (``sys.path_importer_cache``). So ours are put there. A run that takes the package from
another place does not meet them.

This is imported by ``forker``, which forgets it.
"""

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import CodeType


class _KnownLoader(SourceFileLoader):
    """Loads a module whose code has been read."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name, path)
        self._code = super().get_code(name)

    def get_code(self, fullname: str) -> CodeType | None:
        """Return it without a look at the file."""
        return self._code


class _KnownFinder:
    """Finds the modules of one directory."""

    def __init__(self) -> None:
        self.specs: dict[str, ModuleSpec | None] = {}

    def find_spec(self, name: str, target: object = None) -> ModuleSpec | None:
        """Return what is known of a module; None if there is none."""
        return self.specs.get(name)


def know_code(package: str) -> None:
    """Read all modules of a package but its first one, and have who imports one get what was read.

    Raises:
        ModuleNotFoundError: If there is no such package.
    """
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"no package {package!r}", name=package)
    finders: dict[Path, _KnownFinder] = {}
    (place,) = map(Path, found.submodule_search_locations)
    for file in place.rglob("*.py"):
        is_package = file.name == "__init__.py"
        path = file.parent if is_package else file.with_suffix("")
        if path == place:
            continue
        name = ".".join((package, *path.relative_to(place).parts))
        finders.setdefault(path.parent, _KnownFinder()).specs[name] = spec_from_file_location(
            name,
            str(file),
            loader=_KnownLoader(name, str(file)),
            submodule_search_locations=[str(path)] if is_package else None,
        )
    sys.path_importer_cache.update({str(directory): finder for directory, finder in finders.items()})
