"""pytest-parpool: runs tests on a pool of worker processes.

The package map, from the top floor down; imports go down only (``tox -e imports``):

* ``plugin``: the entry point that pytest loads. No logic.
* ``controller``, ``worker``: pytest on either side of the process border.
* ``compat``: what other plugins, and pytest's own private parts, expect of us.
* ``wire``: pytest's reports and warnings, to bytes and back.
* ``settings``, ``options``, ``hookspecs`` ...: what the user can say.
* ``runtime``: processes and pipes.  ``policy``: decisions, pure.
* ``model``: the vocabulary.  ``errors``: whose fault it is.
"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
