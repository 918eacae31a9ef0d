"""Reports on their way: what comes out is what went in, however it travelled."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest

from pytest_parpool.wire.reports import ReportReader, ReportWriter

PHASES = ("setup", "call", "teardown")


def make_report(when: Any, **changes: Any) -> pytest.TestReport:
    """Return one as pytest makes them."""
    fields: dict[str, Any] = {
        "nodeid": "folder/test_it.py::TestIt::test_it[1]",
        "location": ("folder/test_it.py", 3, "TestIt.test_it[1]"),
        "keywords": {"test_it[1]": 1, "TestIt": 1},
        "outcome": "passed",
        "longrepr": None,
        "duration": 0.25,
        "start": 1.0,
        "stop": 1.25,
    }
    return pytest.TestReport(**{**fields, "when": when, **changes})


def shown(report: pytest.TestReport) -> dict[str, Any]:
    """Return what a plugin can see of a report, its longrepr as text."""
    return {**report._to_json(), "longrepr": str(report.longrepr)}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"user_properties": [("name", [1, 2])]},
        {"sections": [("Captured stdout call", "text")]},
        {"location": ("other.py", None, "test_it")},
        {"outcome": "failed", "longrepr": "it failed"},
    ],
    ids=["plain", "properties", "sections", "location", "failure"],
)
@pytest.mark.parametrize("at", PHASES)
def test_all_three_phases(pytestconfig: pytest.Config, changes: dict[str, Any], at: str) -> None:
    """Whichever of them is the one that differs."""
    writer = ReportWriter(pytestconfig)
    reader = ReportReader(pytestconfig, worker_id="gw1")
    for when in PHASES:
        report = make_report(when, **(changes if when == at else {}))
        data, lost = writer.dump(report)
        found = reader.load(data, item_index=7)
        assert not lost
        assert type(found) is pytest.TestReport
        assert shown(found) == {**shown(report), "worker_id": "gw1", "item_index": 7}
        assert (found.nodeid, found.when) == (report.nodeid, when)


def test_later_phases_are_short(pytestconfig: pytest.Config) -> None:
    """They travel as what is different, which is why there are pairs at all."""
    writer = ReportWriter(pytestconfig)
    first, second, _ = (writer.dump(make_report(when))[0] for when in PHASES)
    assert marshal.loads(first)[0] is False
    assert marshal.loads(second) == (True, {"when": "call", "sections": []})


def test_names_are_not_kept_once_per_item(pytestconfig: pytest.Config) -> None:
    """All reports stay until the end, and most of an item's keywords are names of what it stands in."""
    writer, reader = ReportWriter(pytestconfig), ReportReader(pytestconfig)
    found = [
        reader.load(writer.dump(make_report("setup", nodeid=f"folder/test_it.py::TestIt::test_it[{number}]"))[0])
        for number in range(2)
    ]
    assert [list(report.keywords) for report in found] == [["test_it[1]", "TestIt"]] * 2
    assert all(one is other for one, other in zip(*(report.keywords for report in found), strict=True))
    assert found[0].location[0] is found[1].location[0]


def test_keywords_need_not_be_names(pytestconfig: pytest.Config) -> None:
    """``item.keywords`` is a mapping that plugins write to."""
    report = make_report("setup", keywords={"test_it": 1, 3: 1, None: "x"})
    found = ReportReader(pytestconfig).load(ReportWriter(pytestconfig).dump(report)[0])
    assert found.keywords == {"test_it": 1, 3: 1, None: "x"}


def test_what_a_hook_changes_stays_in_its_report(pytestconfig: pytest.Config) -> None:
    """A plugin that adds to a phase's report has not added to those of the next ones."""
    writer = ReportWriter(pytestconfig)
    reader = ReportReader(pytestconfig)
    for when in PHASES:
        found: Any = reader.load(writer.dump(make_report(when))[0])
        assert found.sections == []
        assert found.user_properties == []
        assert "added" not in found.keywords
        found.sections.append(("added", "text"))
        found.user_properties.append(("added", 1))
        found.keywords["added"] = 1


class Incomparable:
    """As an array: what a comparison returns is neither true nor false."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_reports_of_an_item_that_is_over_share_their_keywords(pytestconfig: pytest.Config) -> None:
    """Each has its own while hooks may look at it; whose a hook has changed stays as it is."""
    writer, reader = ReportWriter(pytestconfig), ReportReader(pytestconfig)

    def load(when: str, **changes: Any) -> Any:
        return reader.load(writer.dump(make_report(when, **changes))[0])

    first, second, third = reports = [load(when) for when in PHASES]
    assert len({id(report.keywords) for report in reports}) == 3
    second.keywords["added"] = 1
    load("setup", nodeid="folder/test_it.py::TestIt::test_it[2]")
    assert first.keywords is third.keywords
    assert first.keywords == {"test_it[1]": 1, "TestIt": 1}
    assert second.keywords == {"test_it[1]": 1, "TestIt": 1, "added": 1}


@pytest.mark.parametrize(
    "spoil", [lambda report: report.keywords.update(TestIt=Incomparable()), lambda report: delattr(report, "keywords")]
)
def test_keywords_that_cannot_be_compared_are_left(pytestconfig: pytest.Config, spoil: Callable[[Any], object]) -> None:
    """The next item is reported all the same."""
    writer, reader = ReportWriter(pytestconfig), ReportReader(pytestconfig)
    found = reader.load(writer.dump(make_report("setup"))[0])
    spoil(found)
    kept = vars(found).get("keywords")
    assert reader.load(writer.dump(make_report("teardown"))[0]).when == "teardown"
    following = make_report("setup", nodeid="folder/test_it.py::TestIt::test_it[2]")
    assert reader.load(writer.dump(following)[0]).nodeid == following.nodeid
    assert vars(found).get("keywords") is kept


def test_a_plugin_may_rebuild_a_report_with_other_containers() -> None:
    """Any mapping and any sequence will do."""
    rebuilt: Any = make_report("setup", keywords=MappingProxyType({"test_it": 1}))
    rebuilt.sections = (("added", "text"),)
    hook = SimpleNamespace(pytest_report_from_serializable=lambda **_: rebuilt)
    reader = ReportReader(cast("pytest.Config", SimpleNamespace(hook=hook)))
    assert reader.load(marshal.dumps({})) is rebuilt
    following = reader.load(marshal.dumps((True, {"when": "call"})))
    assert (following.keywords, following.sections) == ({"test_it": 1}, [("added", "text")])


def test_a_node_id_that_is_no_plain_text(pytestconfig: pytest.Config) -> None:
    """It travels as its text."""

    class Text(str):
        __slots__ = ()

    report = make_report("setup", keywords={Text("marked"): 1})
    data, lost = ReportWriter(pytestconfig).dump(report)
    assert not lost
    assert list(ReportReader(pytestconfig).load(data).keywords) == ["marked"]
