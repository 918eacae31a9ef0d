"""A plan says of each collected item what it shares with others, from its parents and marks."""

from __future__ import annotations

import pytest

from pytest_parpool.controller.planning import make_plan
from pytest_parpool.model.plan import Plan


@pytest.fixture
def plan_of_suite(pytester: pytest.Pytester) -> Plan:
    """The plan of a suite with a class, parameters, groups and two files in packages of the same name."""
    pytester.makepyfile(
        test_a="""
        import pytest

        def test_plain(): pass

        class TestClass:
            def test_method(self): pass

            class TestInner:
                def test_deep(self): pass

        @pytest.mark.parametrize("value", ["x::y", "test_b.py::z"], ids=str)
        def test_cases(value): pass
        """,
        test_b="""
        import pytest

        pytestmark = pytest.mark.xdist_group("whole")

        @pytest.mark.xdist_group("b")
        @pytest.mark.xdist_group(name="a")
        def test_two_groups(): pass

        @pytest.mark.xdist_group
        def test_no_name(): pass

        def test_inherited(): pass
        """,
    )
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    return make_plan(items, {"test_a.py::test_plain": 1.5})


def test_node_ids_are_pytests(plan_of_suite: Plan) -> None:
    """They are in pytest's order and unchanged, groups or not."""
    assert plan_of_suite.nodeids == (
        "test_a.py::test_plain",
        "test_a.py::TestClass::test_method",
        "test_a.py::TestClass::TestInner::test_deep",
        "test_a.py::test_cases[x::y]",
        "test_a.py::test_cases[test_b.py::z]",
        "test_b.py::test_two_groups",
        "test_b.py::test_no_name",
        "test_b.py::test_inherited",
    )


def test_nodeids_do_not_lie_among_the_items(pytester: pytest.Pytester) -> None:
    """Who counts a reference to a string writes to its page, and that of an item's is shared with the workers."""
    pytester.makepyfile("def test_it(): pass")
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    plan = make_plan(items, {})
    assert plan.nodeids == (items[0].nodeid,)
    assert plan.nodeids[0] is not items[0].nodeid


def test_scopes_come_from_the_parents(plan_of_suite: Plan) -> None:
    """``::`` inside a parameter is no scope; a method's scope is its class, other tests' the module."""
    assert plan_of_suite.modules == ("test_a.py",) * 5 + ("test_b.py",) * 3
    assert plan_of_suite.scopes[1:3] == ("test_a.py::TestClass", "test_a.py::TestClass::TestInner")
    assert {plan_of_suite.scopes[index] for index in (0, 3, 4)} == {"test_a.py"}
    assert [file.rpartition("/")[2] for file in plan_of_suite.files] == list(plan_of_suite.modules)


def test_cases_of_one_function_have_one_key(plan_of_suite: Plan) -> None:
    """What tends to take equally long is named equally, and nothing else is."""
    functions = plan_of_suite.functions
    assert functions[3] == functions[4]
    assert len(set(functions)) == len(functions) - 1


def test_groups_come_from_marks(plan_of_suite: Plan) -> None:
    """Several marks are one group of all their names; a mark without a name is the group ``default``."""
    assert plan_of_suite.groups == (None,) * 5 + ("a_b_whole", "default_whole", "whole")


def test_known_durations_are_in_the_plan(plan_of_suite: Plan) -> None:
    """What was measured before is there, by node id; the rest is None."""
    assert plan_of_suite.durations == (1.5,) + (None,) * 7


def test_files_of_one_name_in_two_folders_are_two(pytester: pytest.Pytester) -> None:
    """Keys are equal exactly for items that share the parent."""
    for folder in ("one", "two"):
        path = pytester.mkpydir(folder) / "test_same.py"
        path.write_text("class TestX:\n    def test_x(self): pass\n", encoding="utf-8")
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    plan = make_plan(items, {})
    for column in (plan.files, plan.modules, plan.scopes, plan.functions):
        assert len(set(column)) == 2


def test_items_that_are_no_python_tests_have_keys_too(pytester: pytest.Pytester) -> None:
    """Items of a plugin's own file type, and doctests, share their file's scope."""
    pytester.makeconftest(
        """
        import pytest

        def pytest_collect_file(file_path, parent):
            if file_path.suffix == ".list":
                return ListFile.from_parent(parent, path=file_path)

        class ListFile(pytest.File):
            def collect(self):
                for line in self.path.read_text().split():
                    yield ListItem.from_parent(self, name=line)

        class ListItem(pytest.Item):
            def runtest(self): pass
        """
    )
    pytester.makefile(".list", some="first second")
    pytester.makepyfile(mod='def f():\n    """\n    >>> 1\n    1\n    """\n')
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider", "--doctest-modules")
    plan = make_plan(items, {})
    assert set(plan.nodeids) == {"some.list::first", "some.list::second", "mod.py::mod.f"}
    assert set(plan.scopes) == set(plan.modules) == {"some.list", "mod.py"}
    assert len(set(plan.functions)) == 3
