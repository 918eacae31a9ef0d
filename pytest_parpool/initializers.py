"""Worker initializers: from the text of ``--worker-initializer`` to something that can be called.

When it is called, and what happens if it fails, is the worker's business.
"""

from __future__ import annotations

import ast
import functools
import importlib
import keyword
from collections.abc import Callable, Mapping

from pytest_parpool.errors import BadSettingError
from pytest_parpool.model.records import Record, record

_OPTION = "--worker-initializer"
_ALLOWED = '"pkg.mod:function" or "pkg.mod:function(\'literal\', key=1)", with literals as the only arguments'


@record
class InitializerSpec(Record):
    """A function by name, with the arguments it is to be called with.

    Attributes:
        module: Dotted name of the module to import.
        qualname: Dotted name inside the module.
        args: Positional arguments.
        kwargs: Keyword arguments.
        text: What the user wrote, for messages.
        source: Where the user wrote it, for messages.
    """

    module: str
    qualname: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    text: str
    source: str = _OPTION

    def load(self) -> Callable[[], object]:
        """Import the function and return it with its arguments bound.

        Raises:
            BadSettingError: If the module cannot be imported, whatever it raises, or if it has no such function.
        """
        try:
            target: object = importlib.import_module(self.module)
        # The module is the user's code, and pytest has not begun to collect: what it raises is about this option.
        except (Exception, SystemExit) as error:
            problem = f"importing {self.module!r} raised {type(error).__name__}: {error}"
            raise BadSettingError(f"{self.source}: {self.text!r} is not allowed; {problem}") from error
        try:
            for name in self.qualname.split("."):
                target = getattr(target, name)
        except AttributeError as error:
            problem = f"{self.module!r} has no {self.qualname!r}"
            raise BadSettingError(f"{self.source}: {self.text!r} is not allowed; {problem}") from error
        if not callable(target):
            problem = f"{self.qualname!r} in {self.module!r} is not a function"
            raise BadSettingError(f"{self.source}: {self.text!r} is not allowed; {problem}")
        return functools.partial(target, *self.args, **self.kwargs)


def parse_initializer(text: str, *, source: str = _OPTION) -> InitializerSpec:
    """Read ``pkg.mod:function`` or ``pkg.mod:function('literal', key=1)``. Nothing is imported or called.

    Raises:
        BadSettingError: If the text has another form, or an argument is no literal.
    """
    module, colon, target = text.strip().partition(":")
    try:
        if not colon or not _is_dotted_name(module):
            raise ValueError("no module")
        call = ast.parse(target.strip(), mode="eval").body
        function, args, kwargs = (call.func, call.args, call.keywords) if isinstance(call, ast.Call) else (call, [], [])
        return InitializerSpec(
            module=module,
            qualname=_dotted_name(function),
            args=tuple(ast.literal_eval(node) for node in args),
            kwargs=_literal_keywords(kwargs),
            text=text,
            source=source,
        )
    # TypeError: an unhashable key. RecursionError and MemoryError: nested beyond what the parser takes.
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise BadSettingError.for_value(source, text, _ALLOWED) from error


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in text.split("."))


def _dotted_name(node: ast.expr) -> str:
    """Return ``a.b`` for the expression ``a.b``.

    Raises:
        ValueError: If the expression is anything else than names and dots.
    """
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted_name(node.value)}.{node.attr}"
    raise ValueError("not a name")


def _literal_keywords(keywords: list[ast.keyword]) -> dict[str, object]:
    """Return keyword arguments as values.

    Raises:
        ValueError: If one is no literal, comes twice, or is a ``**`` expansion.
    """
    values: dict[str, object] = {}
    for node in keywords:
        if node.arg is None or node.arg in values:
            raise ValueError("expanded or repeated keyword")
        values[node.arg] = ast.literal_eval(node.value)
    return values
