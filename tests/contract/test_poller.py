"""What the broker's loop relies on when it waits for descriptors, with each way of the system to do so."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator

import pytest

from pytest_parpool.runtime.sockets import RawSocket, stream_pair
from pytest_parpool.sync.poller import Poller


@pytest.fixture(params=[way for way in ("epoll", "poll", "select") if hasattr(select, way)])
def poller(request: pytest.FixtureRequest) -> Poller:
    """Return one of each kind."""
    return Poller(request.param)


@pytest.fixture
def pairs() -> Iterator[list[tuple[RawSocket, RawSocket]]]:
    """Two pairs of connected sockets, closed at the end."""
    made = [stream_pair(), stream_pair()]
    yield made
    for pair in made:
        for sock in pair:
            sock.close()


def test_what_can_be_read_is_reacted_to(poller: Poller, pairs: list[tuple[RawSocket, RawSocket]]) -> None:
    """Only the descriptor that has something is reacted to, as long as it has."""
    seen: list[tuple[int, int]] = []
    for number, (ours, _) in enumerate(pairs):
        poller.add(ours.fileno(), lambda events, number=number: seen.append((number, events)))  # type: ignore[misc]
    pairs[1][1].send(b"x")
    poller.react(None)
    poller.react(None)
    assert seen == [(1, select.POLLIN)] * 2


def test_a_closed_end_is_reacted_to(poller: Poller, pairs: list[tuple[RawSocket, RawSocket]]) -> None:
    """The end of a connection wakes whoever waits for it."""
    seen: list[int] = []
    ours, theirs = pairs[0]
    poller.add(ours.fileno(), seen.append)
    theirs.close()
    poller.react(None)
    assert len(seen) == 1
    assert seen[0] & ~select.POLLOUT


def test_what_was_taken_out_by_a_reaction_is_left_alone(
    poller: Poller, pairs: list[tuple[RawSocket, RawSocket]]
) -> None:
    """Of two that have something at once, the first may take out, and close, the second."""
    seen: list[int] = []
    fds = [ours.fileno() for ours, _ in pairs]

    def take_out_other(me: int) -> None:
        seen.append(me)
        poller.remove(fds[1 - me])
        pairs[1 - me][0].close()

    for number, (ours, theirs) in enumerate(pairs):
        poller.add(ours.fileno(), lambda _events, number=number: take_out_other(number))  # type: ignore[misc]
        theirs.send(b"x")
    poller.react(None)
    assert len(seen) == 1


def test_room_to_write_is_looked_for_on_request(poller: Poller, pairs: list[tuple[RawSocket, RawSocket]]) -> None:
    """One looks for what one can do next: write, and nothing else, until one says otherwise."""
    seen: list[int] = []
    ours, theirs = pairs[0]
    poller.add(ours.fileno(), seen.append)
    theirs.send(b"x")
    poller.look_for(ours.fileno(), select.POLLOUT)
    poller.react(None)
    poller.look_for(ours.fileno(), select.POLLIN)
    poller.react(None)
    assert seen == [select.POLLOUT, select.POLLIN]


def test_patience_is_never_too_short(poller: Poller) -> None:
    """With nothing to be seen the wait ends after the given time, not before, however it divides into milliseconds."""
    for patience in (0.0, 0.0104, 0.0207):
        begin = time.monotonic()
        poller.react(patience)
        assert time.monotonic() - begin >= patience


def test_a_descriptor_can_be_used_anew(poller: Poller) -> None:
    """A number that was taken out and closed can come back as another file."""
    seen: list[str] = []
    for name in ("first", "second"):
        reading, writing = os.pipe()
        try:
            poller.add(reading, lambda _events, name=name: seen.append(name))  # type: ignore[misc]
            os.write(writing, b"x")
            poller.react(None)
            poller.remove(reading)
        finally:
            os.close(reading)
            os.close(writing)
    assert seen == ["first", "second"]
