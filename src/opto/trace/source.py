"""The source of a function, exact by `ast`, read when somebody asks."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from opto.errors import SourceNotFound
from opto.trace.block import FunctionNode as FunctionNode
from opto.trace.block import block_at
from opto.trace.ops import get_op_name


class Source(NamedTuple):
    """Text of a function, dedented.

    Attributes:
        text: the text.
        line: the line of the file at which it starts.
        head: the text from ``def`` to the colon, or to the end of the docstring; None if it isn't
            defined by ``def``.
    """

    text: str
    line: int
    head: str | None


class Place(NamedTuple):
    """Where a function was decorated.

    Attributes:
        file: name of the file.
        made: line of the call that made the decorator.
        applied: line that was running when it was applied: that of the decorator, or, on Python
            3.10, that of the ``def``.
    """

    file: str
    made: int
    applied: int


NOWHERE = Place("", 0, 0)


class About(Mapping[str, Any]):
    """Facts of a function, by the keys of `info`; each is worked out at its first use.

    Args:
        fun: the function.
        name: how it is called in the code that a model reads.
        place: where it was decorated.
    """

    _KEYS = ("fun", "fun_name", "_fun_name", "doc", "signature", "source", "line_number", "file")

    def __init__(self, fun: Callable[..., Any], name: str, place: Place) -> None:
        self.fun, self.name, self.place = fun, name, place

    @cached_property
    def found(self) -> Source | None:
        """The source, or None if Python can't find it."""
        try:
            return source_of(self.fun, self.place)
        except SourceNotFound:
            return None

    def __getitem__(self, key: str) -> Any:
        if key == "fun":
            return self.fun
        if key in {"fun_name", "_fun_name"}:
            return self.name
        if key == "doc":
            return inspect.getdoc(self.fun)
        if key == "signature":
            return _signature(self.fun)
        if key == "file":
            return getattr(getattr(self.fun, "__code__", None), "co_filename", None)
        if key in {"source", "line_number"}:
            found = self.found
            return None if found is None else (found.text if key == "source" else found.line)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._KEYS)

    def __len__(self) -> int:
        return len(self._KEYS)


def described(description: str | None, name: str, about: About) -> str:
    """Return what a model reads of a function: the description, or one of name and docstring."""
    if description is None:
        doc = about["doc"]
        return f"[{name}] {doc}" if doc else f"[{name}]"
    get_op_name(description)
    return str(description)


def _signature(fun: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):  # a builtin that doesn't tell
        return None


def source_of(fun: Callable[..., Any], place: Place = NOWHERE) -> Source:
    """Return the text of `fun` from the first line that belongs to it.

    Left out are the decorator that stands at `place` and those above it; decorators below it and
    comments are kept.

    Raises:
        SourceNotFound: if Python can't find the text.
    """
    plain = inspect.unwrap(fun)
    text, start, definition = _block_of(plain)
    skipped = 0
    if definition is not None and _same_file(plain, place.file):
        skipped = _decorator_lines(definition, start, place)
    lines = text.splitlines(keepends=True)
    rest = "".join(lines[skipped:])
    blank = len(rest) - len(rest.lstrip("\n"))
    head = None if definition is None else _head(lines, definition)
    return Source(rest.strip("\n"), start + skipped + blank, head)


def _block_of(plain: Callable[..., Any]) -> tuple[str, int, FunctionNode | None]:
    """Return the dedented text of a function, the line where it starts, and its definition."""
    code = getattr(plain, "__code__", None)
    if code is not None:
        linecache.checkcache(code.co_filename)
        lines = linecache.getlines(code.co_filename, getattr(plain, "__globals__", None))
        if 0 < code.co_firstlineno <= len(lines):
            found = block_at(lines, code.co_firstlineno - 1)
            if found is not None and found[1].name == code.co_name:
                return found[0], code.co_firstlineno, found[1]
    try:
        lines, start = inspect.getsourcelines(plain)
    except (OSError, TypeError) as error:
        name = getattr(plain, "__qualname__", repr(plain))
        message = (
            f"the source of {name} can't be found: it was defined where no file holds its text "
            "(exec, the plain REPL, C). Define it in a file or a notebook cell"
        )
        raise SourceNotFound(message) from error
    text = textwrap.dedent("".join(lines))
    definition = definition_in(text)
    if definition is not None and code is not None and code.co_name == "<lambda>":
        message = "the source of a lambda inside a function's definition isn't kept apart from it"
        raise SourceNotFound(message)
    return text, max(start, 1), definition


def _decorator_lines(definition: FunctionNode, start: int, place: Place) -> int:
    """Return how many lines go up to the end of the decorator that stands at `place`."""
    decorators = definition.decorator_list
    for line in (place.made, place.applied):
        for decorator in decorators:
            last = decorator.end_lineno or decorator.lineno
            if start + decorator.lineno - 1 <= line <= start + last - 1:
                return last
    if place.applied == start + definition.lineno - 1 and len(decorators) == 1:
        return decorators[0].end_lineno or 0  # Python 3.10, the decorator made elsewhere
    return 0


def _same_file(fun: Any, file: str) -> bool:
    code = getattr(fun, "__code__", None)
    return code is not None and code.co_filename == file


def definition_in(text: str, name: str | None = None) -> FunctionNode | None:
    """Return the definition of the function `name`; if there is none, of the first function.

    None if the text doesn't parse or defines no function.
    """
    try:
        tree = ast.parse(textwrap.dedent(text))
    except SyntaxError:
        return None
    return pick_definition(tree, name)


def pick_definition(tree: ast.Module, name: str | None) -> FunctionNode | None:
    """Return the definition of `name` at the top level of `tree`, else the first one."""
    defined = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    named = [definition for definition in defined if definition.name == name]
    if named:
        return named[-1]
    return defined[0] if defined else None


def signature_text(text: str, name: str | None = None) -> str:
    """Return the text of a function from ``def`` to the colon, or to the end of its docstring."""
    definition = definition_in(text, name)
    if definition is None:
        return text.strip()
    return _head(textwrap.dedent(text).splitlines(keepends=True), definition)


def _head(lines: list[str], definition: FunctionNode) -> str:
    first = definition.body[0]
    if ast.get_docstring(definition, clean=False) is not None:
        last_line, last_column = first.end_lineno or first.lineno, first.end_col_offset
    else:
        last_line, last_column = first.lineno, first.col_offset
    head = lines[definition.lineno - 1 : last_line]
    head[-1] = head[-1].encode()[:last_column].decode()
    return "".join(head).rstrip()
