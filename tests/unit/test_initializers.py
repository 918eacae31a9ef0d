"""Worker initializers, from text to call."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from pytest_parpool.errors import BadSettingError
from pytest_parpool.initializers import InitializerSpec, parse_initializer

FORM = '"pkg.mod:function" or "pkg.mod:function(\'literal\', key=1)", with literals as the only arguments'


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an importable module, ``initializer_under_test``, forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    # Set and deleted, so that whatever the test imports under this name is taken out again at the end.
    monkeypatch.setitem(sys.modules, "initializer_under_test", sys)
    monkeypatch.delitem(sys.modules, "initializer_under_test")
    return tmp_path / "initializer_under_test.py"


class TestParse:
    """Text to specification."""

    @pytest.mark.parametrize(
        ("text", "module", "qualname", "args", "kwargs"),
        [
            ("m:f", "m", "f", (), {}),
            ("pkg.mod:function", "pkg.mod", "function", (), {}),
            ("pkg.mod:Class.method", "pkg.mod", "Class.method", (), {}),
            ("m:f()", "m", "f", (), {}),
            ("m:f('a', 2, key=None)", "m", "f", ("a", 2), {"key": None}),
            ("m:f([1, (2.5, -3)], {'k': {b'v'}})", "m", "f", ([1, (2.5, -3)], {"k": {b"v"}}), {}),
            ("m:f('a:b', key='(')", "m", "f", ("a:b",), {"key": "("}),
            ("  m:  f ( 1 )  ", "m", "f", (1,), {}),
        ],
    )
    def test_allowed(
        self, text: str, module: str, qualname: str, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> None:
        """A name, or a call with literals."""
        assert parse_initializer(text) == InitializerSpec(module, qualname, args, kwargs, text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ":",
            "m",
            "m:",
            ":f",
            "m.f()",
            "m..n:f",
            "m/n.py:f",
            "class:f",
            "m:f(",
            "m:f g",
            "m:f; g",
            "m:f = 1",
            "m:1",
            "m:f()()",
            "m:f[0]",
            "m:f().g",
            "m:lambda: 1",
            "m:f(name)",
            "m:f(open('x'))",
            "m:f(1 + x)",
            "m:f(*[1])",
            "m:f(**{'a': 1})",
            "m:f(a=1, a=2)",
            "m:f({[]: 1})",
            "m:f('\0')",
            "m:f(" + "(" * 5000 + ")" * 5000 + ")",
        ],
    )
    def test_not_allowed(self, text: str) -> None:
        """Anything else is refused, and nothing of it runs."""
        with pytest.raises(BadSettingError) as caught:
            parse_initializer(text)
        assert str(caught.value) == f"--worker-initializer: {text!r} is not allowed; give {FORM}"

    def test_source(self) -> None:
        """The message names the place where the text was written."""
        with pytest.raises(BadSettingError, match=r"^ini option x: 'm' is not allowed"):
            parse_initializer("m", source="ini option x")

    def test_pickling(self) -> None:
        """A specification can be sent to a process that imports for itself."""
        spec = parse_initializer("m:f('a', key=[1])")
        assert pickle.loads(pickle.dumps(spec)) == spec


class TestLoad:
    """Specification to call."""

    def test_arguments_are_bound(self, module: Path) -> None:
        """What is returned takes no arguments and calls the function with those of the text."""
        module.write_text("def f(*args, **kwargs): return args, kwargs\nclass C:\n    g = staticmethod(f)\n")
        assert parse_initializer("initializer_under_test:f('a', key=1)").load()() == (("a",), {"key": 1})
        assert parse_initializer("initializer_under_test:C.g(2)").load()() == ((2,), {})

    def test_nothing_is_called(self, module: Path) -> None:
        """Loading imports, and leaves the call to the worker."""
        module.write_text("calls = []\ndef f(): calls.append(1)\n")
        parse_initializer("initializer_under_test:f").load()
        assert sys.modules["initializer_under_test"].calls == []

    @pytest.mark.parametrize(
        ("source", "target", "problem"),
        [
            ("", "g", "'initializer_under_test' has no 'g'"),
            ("f = print", "f.nothing", "'initializer_under_test' has no 'f.nothing'"),
            ("f = 1", "f", "'f' in 'initializer_under_test' is not a function"),
            ("1 / 0", "f", "importing 'initializer_under_test' raised ZeroDivisionError: division by zero"),
            ("raise SystemExit(4)", "f", "importing 'initializer_under_test' raised SystemExit: 4"),
            (
                "import no_such_module",
                "f",
                "importing 'initializer_under_test' raised ModuleNotFoundError: No module named 'no_such_module'",
            ),
            (
                "raise RuntimeError('two\\nlines')",
                "f",
                "importing 'initializer_under_test' raised RuntimeError: two lines",
            ),
        ],
    )
    def test_cannot_be_loaded(self, module: Path, source: str, target: str, problem: str) -> None:
        """Whatever is in the way is said in one line."""
        module.write_text(source)
        text = f"initializer_under_test:{target}"
        with pytest.raises(BadSettingError) as caught:
            parse_initializer(text).load()
        assert str(caught.value) == f"--worker-initializer: {text!r} is not allowed; {problem}"

    def test_no_such_module(self) -> None:
        """A module that is not there is a bad value like any other, named by its place."""
        with pytest.raises(BadSettingError) as caught:
            parse_initializer("no_such_package.mod:f", source="ini option x").load()
        assert str(caught.value) == (
            "ini option x: 'no_such_package.mod:f' is not allowed; "
            "importing 'no_such_package.mod' raised ModuleNotFoundError: No module named 'no_such_package'"
        )

    def test_interrupt_is_not_held_back(self, module: Path) -> None:
        """Ctrl-C during an import is no bad value."""
        module.write_text("raise KeyboardInterrupt")
        with pytest.raises(KeyboardInterrupt):
            parse_initializer("initializer_under_test:f").load()
