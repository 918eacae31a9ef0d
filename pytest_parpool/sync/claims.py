"""Objects that nobody has named: whose they are, what they are called, and when they can be forgotten.

They are the run's in which they are made, or else this process's, which then has a broker of its own.

Theory of operation. An object that was named by a user stays as long as its broker. One that was not can be reached
only through the proxy that made it; when that is gone, nobody can ever ask for it again, provided that no other process
has got it. A process gets it in two ways: pickled, or by a fork. So a *claim* to it, which is shared by all proxies of
it in its process, ends with either, for good. Only if it is still valid when the last proxy goes, the broker is told to
forget the object: some time later, many of them at once, because proxies may go at any moment, also in the middle of a
request.
"""

from __future__ import annotations

import itertools

from pytest_parpool import runs
from pytest_parpool.sync.caller import find_line
from pytest_parpool.sync.party import Party, join
from pytest_parpool.sync.system import System

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_TOKEN_BYTES = 8

_numbers = itertools.count(1)
# This process's own party, by its process id: in a forked child it is still the parent's that is here.
_own: dict[int, Party] = {}


class Claim:
    """That no other process knows an object, as far as that is so; shared by all of its proxies in this process.

    Args:
        party: Where the object is.
        name: What it is called.

    Attributes:
        names: All names that the broker, or this process's table of locks, may know it by.
    """

    def __init__(self, party: Party, name: str) -> None:
        self.party = party
        self.name = name
        self.names = {name}
        party.claimed.add(name)

    def end(self) -> None:
        """Another process will know the object."""
        self.party.claimed.discard(self.name)

    def __del__(self) -> None:
        # Called at any moment, in any thread, perhaps while the party is in use: nothing is asked, and nothing locked.
        claimed = self.party.claimed
        if self.name in claimed:
            claimed.discard(self.name)
            self.party.forgettable.append(self.names)


def claim_new() -> Claim:
    """Return the claim to a new object, which is called after the line that makes it."""
    innermost = runs.innermost()
    party = _own_party() if innermost is None else innermost()
    party.forget_unclaimed()
    name = f"{find_line()} #{next(_numbers)}"
    if party.service.owner_pid != System.getpid():  # Others may make objects on the same line, and count as well.
        name += f" {System.urandom(_TOKEN_BYTES).hex()}"
    return Claim(party, name)


def _own_party() -> Party:
    pid = System.getpid()
    party = _own.get(pid)
    if party is None:
        party = join(System.urandom(_TOKEN_BYTES).hex(), pid, f"process {pid}")
        # If two threads come at once, both get what the first has entered.
        party = _own.setdefault(pid, party)
    return party
