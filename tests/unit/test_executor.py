"""When a worker asks for work, and when it waits for an answer that will come unasked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import pytest

from pytest_parpool.model.ids import ItemIndex
from pytest_parpool.model.messages import Asked, Command, Drain, Event, Recalled, Run, Wait
from pytest_parpool.runtime.codec import encode
from pytest_parpool.runtime.framing import frame
from pytest_parpool.runtime.ledger import Page
from pytest_parpool.runtime.link import WorkerLink
from pytest_parpool.runtime.link_ends import SocketEnd
from pytest_parpool.runtime.sockets import RawSocket, stream_pair
from pytest_parpool.worker.executor import Executor

if TYPE_CHECKING:
    from pytest_parpool.worker.reporter import WorkerReporter


class Session:
    """As much of one as is needed to find out what comes next."""

    items: Sequence[pytest.Item] = ()


class RecordedLink(WorkerLink):
    """A link whose controller has said certain things, and says the next when it is asked."""

    def __init__(self, sock: RawSocket, controller: RawSocket, page: Page) -> None:
        super().__init__(SocketEnd(sock), page)
        self._controller = controller
        self.answers: Iterator[Command] = iter(())
        self.asked = 0

    def post(self, event: Event) -> None:
        """Count the questions, and answer them."""
        assert isinstance(event, Asked)
        self.asked += 1
        self.hear(next(self.answers))

    def hear(self, *commands: Command) -> None:
        """Have the controller say something."""
        self._controller.send(frame(encode(commands)))


@pytest.fixture
def page() -> Page:
    """What is shared with the controller."""
    return Page.private()


@pytest.fixture
def link(page: Page) -> Iterator[RecordedLink]:
    """A worker's link."""
    ours, theirs = stream_pair()
    yield RecordedLink(theirs, ours, page)
    ours.close()
    theirs.close()


def look(link: RecordedLink) -> ItemIndex | None:
    """Return what a worker finds that has run nothing yet."""
    session = cast("pytest.Session", Session())
    return Executor(session, link, cast("WorkerReporter", None))._look_for_item()


def test_who_has_nothing_asks(link: RecordedLink) -> None:
    """And takes what it is given."""
    link.answers = iter([Run((ItemIndex(7),))])
    assert look(link) == 7
    assert link.asked == 1


def test_who_was_told_to_wait_does_not_ask(link: RecordedLink) -> None:
    """The next answer comes unasked."""
    link.hear(Wait())
    assert look(link) is None
    assert link.asked == 0


def test_who_was_given_something_while_it_waited_begins_it(link: RecordedLink) -> None:
    """Without a question."""
    link.hear(Wait(), Run((ItemIndex(7),)))
    assert look(link) == 7
    assert link.asked == 0


@pytest.mark.parametrize("answer", [Run((ItemIndex(8),)), Drain()], ids=["an item", "the end"])
def test_who_has_lost_that_again_asks(link: RecordedLink, page: Page, answer: Command) -> None:
    """What it was told before it was given something does not count any more: nobody else would speak first."""
    link.hear(Wait(), Run((ItemIndex(7),)))
    assert page.take_back(0) == 0
    link.hear(Recalled(0))
    link.answers = iter([answer])
    assert look(link) == (8 if isinstance(answer, Run) else None)
    assert link.asked == 1


def test_who_is_told_to_wait_behind_a_loss_waits(link: RecordedLink, page: Page) -> None:
    """That is an answer to what it asked since."""
    link.hear(Run((ItemIndex(7),)))
    assert page.take_back(0) == 0
    link.hear(Recalled(0), Wait())
    assert look(link) is None
    assert link.asked == 0
