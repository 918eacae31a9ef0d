"""Tells a project's own files from those of libraries, and writes a place in them as a user knows it."""

from __future__ import annotations

import os

from pytest_parpool.model.records import Record, record

# Where installers put what is not the project's. Below the standard library, or anywhere.
_PACKAGE_DIRECTORIES = frozenset({"site-packages", "dist-packages"})

_STANDARD_LIBRARY = os.path.dirname(os.path.realpath(os.__file__)) + os.sep
# As files of the standard library are named, which need not be its real path.
_STANDARD_LIBRARY_AS_NAMED = os.path.dirname(os.__file__) + os.sep

OWN_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@record
class CodePlaces(Record):
    """What is the project's, for one run.

    Attributes:
        root: Pytest's ``rootpath``. The project's files may be outside of it, and libraries inside.
        libraries: Directories that libraries were installed to under another name than the usual ones, each with a
            separator at its end.
    """

    root: str
    libraries: tuple[str, ...] = ()

    @classmethod
    def of(cls, root: str, search_path: list[str]) -> CodePlaces:
        """Return them, with those directories of a search path as libraries that installers have written to."""
        return cls(root, tuple(path + os.sep for path in search_path if path and _is_installed_to(path)))

    def is_project(self, filename: str) -> bool:
        """Return whether a file is the project's: tests are, also those that come with an installed package.

        What has no file, as code in ``exec`` and the frozen part of the standard library, is nobody's.
        """
        if filename.startswith(("<", OWN_PACKAGE)):
            return False
        return _is_test_file(filename) or not (is_standard_library(filename) or self._is_installed(filename))

    def show(self, filename: str, line: int) -> str:
        """Return a place as ``file:line``, relative to the root if it is below."""
        return f"{filename.removeprefix(self.root.rstrip(os.sep) + os.sep)}:{line}"

    def _is_installed(self, filename: str) -> bool:
        return filename.startswith(self.libraries) or not _PACKAGE_DIRECTORIES.isdisjoint(filename.split(os.sep))


def is_standard_library(filename: str) -> bool:
    """Return whether a file, by its name in code, came with Python."""
    if not filename.startswith(("<frozen ", _STANDARD_LIBRARY, _STANDARD_LIBRARY_AS_NAMED)):
        return False
    return _PACKAGE_DIRECTORIES.isdisjoint(filename.split(os.sep))


def _is_test_file(filename: str) -> bool:
    # ``pytest --pyargs`` runs tests where they are installed. By pytest's default names: a library's own module that is
    # named so, and looks at a worker's identity, does it for tests.
    name = os.path.basename(filename)
    return name == "conftest.py" or name.startswith("test_") or name.endswith("_test.py")


def _is_installed_to(path: str) -> bool:
    # Such as that of ``pip install --target``. Only installed packages have a ``.dist-info``; a project that is
    # developed has it elsewhere.
    try:
        return any(name.endswith(".dist-info") for name in os.listdir(path))
    except OSError:  # Not there, or a zip file.
        return False
