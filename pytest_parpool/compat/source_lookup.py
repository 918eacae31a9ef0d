"""Has ``inspect`` know the modules' files before workers are forked.

The first traceback that pytest shows asks ``inspect.getmodule`` for the module of a file. It looks through all modules
that there are, and resolves their paths: in each worker anew, where it also makes copies of a thousand shared pages
(5 MiB per worker for networkx, and 20 ms of CPU time). What it finds it keeps in a dictionary, which it asks first;
filled here it costs a fifteenth of that, since nothing but names is looked at.
"""

from __future__ import annotations

import inspect
import os
import sys
from types import ModuleType


def remember_modules() -> None:
    """Enter all modules that were imported from source as ``inspect.getmodule`` would (CPython, ``Lib/inspect.py``).

    What it has looked at itself is not entered (``_filesbymodname``), so that it looks again for what is not here, and
    follows links then. A lazy module stays lazy: its attributes are not asked for.
    """
    known: dict[str, str] | None = getattr(inspect, "modulesbyfile", None)
    if known is None:
        return
    for module in list(sys.modules.values()):
        if type(module) is ModuleType:
            attributes = module.__dict__
            file, name = attributes.get("__file__"), attributes.get("__name__")
            if isinstance(file, str) and isinstance(name, str) and file.endswith(".py") and os.path.isabs(file):
                known[os.path.normcase(os.path.abspath(file))] = name
