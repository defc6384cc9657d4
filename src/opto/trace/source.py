"""The source of a function, exact by `ast`, read when somebody asks."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from opto.errors import SourceNotFound

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Source(NamedTuple):
    """Text of a function, dedented, and the line of the file at which it starts."""

    text: str
    line: int


class About(Mapping[str, Any]):
    """Facts of a function, by the keys of `info`; each is worked out at its first use.

    Args:
        fun: the function.
        name: how it is called in the code that a model reads.
        place: file and line of the decorator, if there is one.
    """

    _KEYS = ("fun", "fun_name", "_fun_name", "doc", "signature", "source", "line_number", "file")

    def __init__(self, fun: Callable[..., Any], name: str, place: tuple[str, int]) -> None:
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


def _signature(fun: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):  # a builtin that doesn't tell
        return None


def source_of(fun: Callable[..., Any], place: tuple[str, int] | None = None) -> Source:
    """Return the text of `fun` from the first line that belongs to it.

    Left out are the decorator that stands at `place` and those above it; decorators below it and
    comments are kept.

    Raises:
        SourceNotFound: if Python can't find the text.
    """
    plain = inspect.unwrap(fun)
    try:
        lines, start = inspect.getsourcelines(plain)
    except (OSError, TypeError) as error:
        name = getattr(fun, "__qualname__", repr(fun))
        message = (
            f"the source of {name} can't be found: it was defined where no file holds its text "
            "(exec, the plain REPL, C). Define it in a file or a notebook cell"
        )
        raise SourceNotFound(message) from error
    start = max(start, 1)
    definition = definition_in("".join(lines))
    skipped = 0
    if definition is not None and place is not None and _same_file(plain, place[0]):
        for decorator in definition.decorator_list:
            first, last = decorator.lineno, decorator.end_lineno or decorator.lineno
            if start + first - 1 <= place[1] <= start + last - 1:
                skipped = last
    text = textwrap.dedent("".join(lines[skipped:]))
    skipped_blank = len(text) - len(text.lstrip("\n"))
    return Source(text.strip("\n"), start + skipped + skipped_blank)


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
    lines = textwrap.dedent(text).splitlines()
    first = definition.body[0]
    if ast.get_docstring(definition, clean=False) is not None:
        last_line, last_column = first.end_lineno or first.lineno, first.end_col_offset
    else:
        last_line, last_column = first.lineno, first.col_offset
    head = lines[definition.lineno - 1 : last_line]
    head[-1] = head[-1].encode()[:last_column].decode()
    return "\n".join(head).rstrip()
