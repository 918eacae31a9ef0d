"""Which hook implementations look at the worker's identity, found out by reading their code and nothing else."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from pytest_parpool.compat.aware_hooks import DEEPEST, MARKS, find_mark, package_of


def plugin(source: str, name: str = "some_plugin", **given: Any) -> Any:
    """Return a module with this source; reading it must not run it, so all it could call fails."""

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("it was executed")

    module = ModuleType(name)
    vars(module).update(given, forbidden=forbidden)
    exec(textwrap.dedent(source), vars(module))
    return module


def mark_of(source: str, **given: Any) -> str | None:
    """Return what ``find_mark`` says of the function ``pytest_configure`` in a source."""
    function: Callable[..., object] = plugin(source, **given).pytest_configure
    return find_mark(function)


# --- What names a mark ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", sorted(MARKS))
@pytest.mark.parametrize(
    "body",
    [
        "config.{}",
        "forbidden(config.{}['workerid'])",
        "{}(config)",
        "getattr(config, '{}', None)",
        "hasattr(config, '{}')",
        "[name for name in ('a', '{}') if hasattr(config, name)]",
        "'x' in {{'a', '{}'}}",
        "(lambda: config.{})()",
        "forbidden(options={{'{}': 1}})",
    ],
)
def test_a_mark_in_the_code_is_seen(mark: str, body: str) -> None:
    """As an attribute, a name or a text, also inside of what is defined there."""
    assert mark_of(f"def pytest_configure(config):\n    forbidden()\n    {body.format(mark)}") == f"names {mark!r}"


@pytest.mark.parametrize("name", ["PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"])
@pytest.mark.parametrize("body", ["os.environ.get('{}')", "os.environ['{}']", "'{}' in os.environ", "os.getenv('{}')"])
def test_environment_variables_are_marks(name: str, body: str) -> None:
    """All that begin with the worker's variable."""
    assert mark_of(f"def pytest_configure():\n    return {body.format(name)}") == f"names {name!r}"


@pytest.mark.parametrize(
    "source",
    [
        "def pytest_configure(config):\n    config.addinivalue_line('markers', 'a')",
        "def pytest_configure(config):\n    '''Does nothing about workerinput.'''",
        "def pytest_configure(config):\n    print('run with PYTEST_XDIST_WORKER set, or not')",
        "def pytest_configure(config):\n    os.environ['PYTEST_XDIST_AUTO_NUM_WORKERS'] = '3'",
        "def pytest_configure(config):\n    config.pluginmanager.hasplugin('xdist')",
        "def other(config):\n    config.workerinput\ndef pytest_configure(config):\n    pass",
        "from os.path import join as other\ndef pytest_configure(config):\n    other('a', 'b')",
    ],
)
def test_what_only_speaks_of_it_is_not_aware(source: str) -> None:
    """Sentences, the variable that is read before workers are counted, and code that is not called."""
    assert mark_of(source) is None


# --- What is followed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "mark"),
    [
        (
            """
            def is_worker(config):
                return hasattr(config, "workerinput")

            def pytest_configure(config):
                if is_worker(config):
                    forbidden()
            """,
            "calls 'is_worker', which names 'workerinput'",
        ),
        (
            """
            VARIABLE = "PYTEST_XDIST_WORKER"

            def pytest_configure(config):
                os.environ.get(VARIABLE)
            """,
            "names 'PYTEST_XDIST_WORKER'",
        ),
        (
            """
            class Report:
                def __init__(self, config):
                    self.is_worker = hasattr(config, "workerinput")

            def pytest_configure(config):
                config.pluginmanager.register(Report(config))
            """,
            "calls 'Report', which names 'workerinput'",
        ),
        (
            """
            class Report:
                @classmethod
                def make(cls, config):
                    return cls(config.workerinput)

            def pytest_configure(config):
                Report.make(config)
            """,
            "calls 'Report', which names 'workerinput'",
        ),
        (
            """
            import functools

            def is_worker(config):
                return config.workerinput

            @functools.lru_cache
            def cached(config):
                return is_worker(config)

            pytest_configure = functools.partial(cached, 1).func
            """,
            "calls 'is_worker', which names 'workerinput'",
        ),
        (
            """
            import functools

            def in_controller(function):
                @functools.wraps(function)
                def wrapper(config):
                    if not hasattr(config, "workerinput"):
                        function(config)
                return wrapper

            @in_controller
            def pytest_configure(config):
                forbidden()
            """,
            "names 'workerinput'",
        ),
        (
            """
            def twice(function):
                def wrapper(config):
                    function(config)
                    function(config)
                return wrapper

            @twice
            def pytest_configure(config):
                config.workerinput
            """,
            "names 'workerinput'",
        ),
    ],
    ids=["function", "constant", "class", "class method", "cache", "decorator", "decorated"],
)
def test_helpers_of_the_same_module_are_followed(source: str, mark: str) -> None:
    """Functions, constants, classes that are made, and what decorators wrap."""
    assert mark_of(source) == mark


def test_methods_of_the_plugin_object_are_followed() -> None:
    """A bound method asks its own class, and what that inherits from its package; properties are questions too."""
    module = plugin(
        """
        class Base:
            def is_worker(self):
                return hasattr(self.config, "workerinput")

        class Plugin(Base):
            def pytest_sessionstart(self):
                if self.is_worker():
                    forbidden()

            def pytest_sessionfinish(self):
                if self.in_worker:
                    forbidden()

            @property
            def in_worker(self):
                return config.workerinput

            def pytest_configure(self):
                self.other()

            def other(self):
                forbidden()
        """
    )
    found = module.Plugin()
    assert find_mark(found.pytest_sessionstart) == "calls 'is_worker', which names 'workerinput'"
    assert find_mark(found.pytest_sessionfinish) == "calls 'in_worker', which names 'workerinput'"
    assert find_mark(found.pytest_configure) is None


def test_methods_of_objects_on_config_are_followed() -> None:
    """Work is often delegated to them; but what they are by a property was settled when they were made."""
    module = plugin(
        """
        class Session:
            def start(self):
                self.is_locked

            def finish(self):
                if is_xdist_worker():
                    forbidden()

            @property
            def is_locked(self):
                return is_xdist_worker()

        def pytest_sessionstart(session):
            session.config._session = Session()
            session.config._session.start()

        def pytest_sessionfinish(session):
            session.config._session.finish()
        """
    )
    kept = {"_session": module.Session}
    assert find_mark(module.pytest_sessionfinish, kept) == "calls 'finish', which names 'is_xdist_worker'"
    assert find_mark(module.pytest_sessionfinish) is None
    assert find_mark(module.pytest_sessionstart, kept) is None


def test_helpers_in_other_modules_of_the_package_are_followed() -> None:
    """Imported by name or as a module; those of other packages are not, as they know many names."""
    ours = plugin("def is_worker(config): return config.workerinput", "some_plugin.tools")
    theirs = plugin("def is_worker(config): return config.workerinput", "other_package")
    by_name = "def pytest_configure(config): is_worker(config)"
    assert mark_of(by_name, is_worker=ours.is_worker) == "calls 'is_worker', which names 'workerinput'"
    assert mark_of(by_name, is_worker=theirs.is_worker) is None
    as_module = "def pytest_configure(config): tools.is_worker(config)"
    assert mark_of(as_module, tools=ours) == "calls 'is_worker', which names 'workerinput'"
    assert mark_of(as_module, tools=theirs) is None


def test_a_conftests_helpers_may_be_anywhere_in_the_project() -> None:
    """Its package is itself; what it imports that is neither Python's nor pytest's is taken for a helper."""
    source = "def pytest_configure(config): is_worker(config)"
    for name, mark in [("helpers", "calls 'is_worker', which names 'workerinput'"), ("_pytest.x", None), ("os", None)]:
        helper = plugin("def is_worker(config): return config.workerinput", name)
        conftest = plugin(source, "tests.conftest", is_worker=helper.is_worker)
        assert find_mark(conftest.pytest_configure) == mark


def test_it_is_read_only_so_deep() -> None:
    """The last function whose mark counts is as many calls away as the limit says."""
    chain = "\n".join(f"def f{number}(config): f{number + 1}(config)" for number in range(1, DEEPEST))
    source = f"{chain}\ndef f{DEEPEST}(config): config.workerinput\ndef pytest_configure(config): f%d(config)"
    assert mark_of(source % 1) is None
    found = mark_of(source % 2)
    assert found is not None
    assert found.endswith("which names 'workerinput'")


@pytest.mark.parametrize(
    "source",
    [
        "def pytest_configure(config): pytest_configure(config)",
        "def a(): b()\ndef b(): a()\ndef pytest_configure(): a()",
        "class Any:\n    def __getattr__(self, name): forbidden()\nthing = Any()\ndef pytest_configure(): thing()",
        "class M(type):\n  def __getattr__(c, n): forbidden()\nclass C(metaclass=M): 0\ndef pytest_configure(): C.b()",
        "class P:\n    @property\n    def __class__(self): forbidden()\nproxy = P()\ndef pytest_configure(): proxy()",
        "pytest_configure = len",
        "import functools\npytest_configure = functools.partial(print, 'a')",
    ],
    ids=["itself", "circle", "liberal object", "liberal class", "proxy", "builtin", "partial"],
)
def test_nothing_is_executed_and_it_ends(source: str) -> None:
    """Recursion, objects that answer to every name, and what is not written in Python."""
    assert mark_of(source) is None


def test_an_empty_cell_is_no_helper() -> None:
    """A function may enclose a variable that has no value yet."""
    module = plugin(
        """
        def make():
            def pytest_configure(config):
                later
            if False:
                later = 1
            return pytest_configure

        pytest_configure = make()
        """
    )
    assert find_mark(module.pytest_configure) is None


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("some_plugin.hooks", "some_plugin"),
        ("some_plugin", "some_plugin"),
        ("conftest", "conftest"),
        ("tests.unit.conftest", "tests.unit.conftest"),
        (None, ""),
    ],
)
def test_packages(module: str | None, package: str) -> None:
    """A plugin's modules belong together; each conftest is by itself."""
    assert package_of(module) == package
