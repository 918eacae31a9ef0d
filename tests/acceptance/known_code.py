"""Has a package's code read before runs are forked: finding and reading it is half of what importing it costs.

Each run still imports the modules, that is runs them, when and in the order that it would otherwise.

Whoever looks for modules, be it pytest's rewriting or this package's own finder, asks the finders of directories that
the interpreter remembers (``sys.path_importer_cache``). So ours are put there. A run that takes the package from
another place does not meet them.

This is imported by ``forker``, which forgets it.
"""

import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType


class _KnownLoader(SourceFileLoader):
    """Loads a module whose code has been read."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name, path)
        self._code = super().get_code(name)

    def get_code(self, fullname: str) -> CodeType | None:
        """Return it without a look at the file."""
        return self._code


class _KnownFinder(FileFinder):
    """Finds the modules of one directory: those that are known without a look at it, others as always."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory, (SourceFileLoader, SOURCE_SUFFIXES))
        self.specs: dict[str, ModuleSpec | None] = {}

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return what is known of a module, or what is found; None if there is none."""
        return self.specs.get(fullname) or super().find_spec(fullname, target)


def know_code(package: str) -> None:
    """Read all modules of an installed package but its first one, and have who imports one get what was read."""
    first = find_spec(package)
    assert first is not None
    assert first.submodule_search_locations
    (place,) = map(Path, first.submodule_search_locations)
    finders: dict[str, _KnownFinder] = {}
    for file in place.rglob("*.py"):
        is_package = file.name == "__init__.py"
        path = file.parent if is_package else file.with_suffix("")
        if path == place:
            continue
        name = ".".join((package, *path.relative_to(place).parts))
        directory = str(path.parent)
        finder = finders.setdefault(directory, _KnownFinder(directory))
        finder.specs[name] = spec_from_file_location(
            name,
            str(file),
            loader=_KnownLoader(name, str(file)),
            submodule_search_locations=[str(path)] if is_package else None,
        )
    sys.path_importer_cache.update(finders)
