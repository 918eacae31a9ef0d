"""Dictionaries: what real processes see of them."""

from __future__ import annotations

import contextlib
import enum
import pickle
import threading
from collections.abc import MutableMapping
from typing import Any

import pytest

from pytest_parpool.sync.dictionary import Dict
from pytest_parpool.sync.errors import UnpicklableError
from pytest_parpool.sync.objects import SharedObjects
from tests.sharing import Child


class Colour(enum.IntEnum):
    """A number that is more than a number."""

    RED = 1


@pytest.fixture
def shared(objects: SharedObjects) -> Dict:
    """A dictionary."""
    return objects.dict("config")


def test_it_is_a_mapping(shared: Dict) -> None:
    """Everything that is done to a ``dict`` does the same."""
    plain: dict[Any, Any] = {}
    target: MutableMapping[Any, Any]
    for target in (shared, plain):
        target["a"] = 1
        target["b"] = [1, {"x": (2,)}]
        target.update({"c": None, "d": 2.5}, e=b"\x00")
        target.update([("f", "g")])
        target.update()
        assert target.setdefault("a", 5) == 1
        assert target.setdefault("h", 5) == 5
        assert target.setdefault("i") is None
        assert target.pop("h") == 5
        assert target.pop("h", 7) == 7
        assert target.get("no") is None
        assert target.get("no", 3) == 3
        assert target.get("b") == [1, {"x": (2,)}]
        with pytest.raises(KeyError, match="no"):
            target["no"]
        with pytest.raises(KeyError, match="no"):
            target.pop("no")
        with pytest.raises(KeyError, match="no"):
            del target["no"]
        del target["d"]
        assert "a" in target
        assert "d" not in target
        assert target.popitem() == ("i", None)
    assert list(shared) == list(plain)
    assert list(reversed(shared)) == list(reversed(plain))
    assert shared.copy() == dict(shared) == plain
    assert list(shared.items()) == list(plain.items())
    assert list(shared.values()) == list(plain.values())
    assert shared.keys() == plain.keys()
    assert ("a", 1) in shared.items()
    assert len(shared) == len(shared.items()) == len(plain)
    shared.clear()
    assert not shared
    assert shared.copy() == {}
    with pytest.raises(KeyError):
        shared.popitem()


def test_values_are_copies(shared: Dict) -> None:
    """What somebody does to a value is seen when it is put there again."""
    shared["a"] = []
    shared["a"].append(1)
    assert shared["a"] == []


def test_it_may_change_while_it_is_gone_over(shared: Dict) -> None:
    """What is gone over is what was there at first."""
    shared.update(a=1, b=2)
    for key, value in shared.items():
        shared[key * 2] = value
        del shared[key]
    for key in shared:
        shared.clear()
        assert key in {"aa", "bb"}


@pytest.mark.parametrize(
    "key", ["a", 1, -(2**100), 1.5, True, None, b"x", (), ("a", 1, (None, b"", 2.5)), "\udce4\U0001f600"]
)
def test_keys(shared: Dict, key: Any) -> None:
    """Plain values, and tuples of them, come back as they were."""
    shared[key] = 1
    assert shared[key] == 1
    ((again, _),) = Child(lambda: list(shared.items())).result()
    assert again == key
    assert type(again) is type(key)


def test_keys_are_equal_as_in_python(shared: Dict) -> None:
    """One key is another if they are equal, and have the same hash."""
    shared[1] = "one"
    shared[True] = "true"
    shared[1.0] = "float"
    assert list(shared.items()) == [(1, "float")]


@pytest.mark.parametrize("key", [[1], ("a", [1]), {"a": 1}, frozenset(), object, Colour.RED, ("a", Colour.RED)])
def test_other_keys_are_refused(shared: Dict, key: Any) -> None:
    """The message names the key; nothing was sent."""
    uses = (
        lambda: shared[key],
        lambda: shared.__setitem__(key, 1),
        lambda: shared.__delitem__(key),
        lambda: key in shared,
        lambda: shared.get(key),
        lambda: shared.setdefault(key),
        lambda: shared.pop(key, None),
    )
    for use in uses:
        with pytest.raises(TypeError, match="cannot be a key of dict 'config'") as caught:
            use()
        assert repr(key) in str(caught.value)


def test_values_that_cannot_be_sent(shared: Dict) -> None:
    """They are named, with the dictionary; of many values none is put there."""
    with pytest.raises(UnpicklableError, match=r"'lock'.*dict 'config'"):
        shared["a"] = threading.Lock()
    with pytest.raises(UnpicklableError):
        shared.update(b=1, c=threading.Lock())
    with pytest.raises(UnpicklableError):
        shared.setdefault("d", threading.Lock())
    assert not shared


def test_one_of_many_sets_the_default(objects: SharedObjects, shared: Dict) -> None:
    """Of eight processes that come at once, all get what the first one has put there."""
    barrier = objects.barrier("start", 8)

    def set_default(number: int) -> Any:
        barrier.wait(60)
        return shared.setdefault("port", number)

    children = [Child(lambda number=number: set_default(number)) for number in range(8)]  # type: ignore[misc]
    assert {child.result() for child in children} == {shared["port"]}


def test_nobody_gets_the_same_item(shared: Dict) -> None:
    """What is taken out is taken out once."""
    shared.update({number: str(number) for number in range(40)})

    def take() -> list[Any]:
        taken: list[Any] = []
        with contextlib.suppress(KeyError):  # It is empty at last.
            while True:
                taken.append(shared.popitem())
        return taken

    taken = [pair for child in [Child(take) for _ in range(3)] for pair in child.result()]
    assert sorted(taken) == [(number, str(number)) for number in range(40)]


def test_its_lock(objects: SharedObjects, shared: Dict) -> None:
    """What takes more than one step is done under its lock, which is no other object's."""

    def count() -> None:
        for _ in range(50):
            with shared.get_lock(), shared.get_lock():
                shared["n"] = shared.get("n", 0) + 1

    with objects.lock("config"), objects.value("config").get_lock():
        for child in [Child(count) for _ in range(4)]:
            child.result()
    assert shared["n"] == 200


def test_equal_is_who_is_the_same_object(objects: SharedObjects, shared: Dict) -> None:
    """As all proxies, they are equal by name, and can be pickled, and put into sets."""
    assert shared == objects.dict("config")
    assert shared != objects.dict("other")
    assert shared != {}
    assert len({shared, objects.dict("config")}) == 1
    again = pickle.loads(pickle.dumps(shared))
    assert again == shared
    shared["a"] = 1
    assert again["a"] == 1
    assert repr(shared) == "<Dict 'config'>"
