"""Plain data as lines of text that show well in a diff, and back; exact, and nothing is run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from opto.errors import NotPlainData, ParameterFileError
from opto.records import arrays
from opto.records.text import (
    as_integer,
    as_real,
    block,
    integer,
    quoted,
    real,
    split_quoted,
    unblock,
    unquoted,
)

MAX_DEPTH = 64
MAX_ITEMS = 4_000_000
_INLINE = 72  # longer texts get a block of their own
_BYTES_PER_LINE = 32
_WORDS: dict[str, object] = {"None": None, "True": True, "False": False}
_KEY = re.compile(r'([^\s"?]\S*): ')
_PLAIN = "None, bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict, numpy"

# ---- writing -------------------------------------------------------------------------------------


class Writer:
    """Writes values; one for each file, since the number of items in it is limited."""

    def __init__(self) -> None:
        self._items = 0
        self._forms: dict[type[Any], Callable[[Any, int], list[str]]] = {
            type(None): lambda value, _: [str(value)],
            bool: lambda value, _: [str(value)],
            int: lambda value, _: [integer(value)],
            float: lambda value, _: [real(value)],
            complex: lambda value, _: [f"complex {real(value.real)} {real(value.imag)}"],
            str: lambda value, _: _text(value),
            bytes: lambda value, _: ["bytes", *indented(arrays.hex_lines(value))],
            list: self._sequence,
            tuple: self._sequence,
            set: self._set,
            frozenset: self._set,
            dict: self._dict,
        }

    def lines(self, value: Any, depth: int = 0) -> list[str]:
        """Return a value as lines; the first stands after what names it, the others below it.

        Raises:
            NotPlainData: if it isn't plain data, holds itself, or is too large.
        """
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            limit = f"{MAX_ITEMS} items" if depth <= MAX_DEPTH else f"{MAX_DEPTH} levels"
            message = f"it has more than {limit}, or holds itself"
            raise NotPlainData(message)
        form = self._forms.get(type(value))
        if form is not None:
            return form(value, depth)
        found = arrays.lines(value)
        if found is None:
            kind = type(value)
            message = f"it holds a {kind.__module__}.{kind.__qualname__}; what can be written: "
            raise NotPlainData(message + _PLAIN)
        return [found[0], *indented(found[1:])]

    def _sequence(self, value: Iterable[Any], depth: int) -> list[str]:
        found = [type(value).__name__]
        for item in value:
            found += indented(_after("- ", self.lines(item, depth + 1)))
        return found

    def _set(self, value: Iterable[Any], depth: int) -> list[str]:
        items = sorted(_after("- ", self.lines(item, depth + 1)) for item in value)
        return [type(value).__name__, *(line for item in items for line in indented(item))]

    def _dict(self, value: dict[Any, Any], depth: int) -> list[str]:
        found = ["dict"]
        for key, item in value.items():
            below = self.lines(item, depth + 1)
            if type(key) is str:
                found += indented([f"{quoted(key)}: {below[0]}", *below[1:]])
            elif type(key) in {type(None), bool, int, float}:
                found += indented([f"{self.lines(key, depth)[0]}: {below[0]}", *below[1:]])
            else:
                found += indented(_after("? ", self.lines(key, depth + 1)))
                found += indented(_after(": ", below))
        return found


def _text(value: str) -> list[str]:
    if "\n" in value or len(value) > _INLINE:
        return ["text", *indented(block(value))]
    return [quoted(value)]


def indented(lines: Iterable[str]) -> list[str]:
    """Return the lines one step further in."""
    return [f"  {line}" for line in lines]


def _after(mark: str, lines: list[str]) -> list[str]:
    return [mark + lines[0], *lines[1:]]


# ---- reading -------------------------------------------------------------------------------------


class Reader:
    """Reads values from lines; all errors name the line.

    Args:
        lines: the lines of the file.
        source: the name of the file, for messages.
    """

    def __init__(self, lines: list[str], source: str) -> None:
        self.lines, self.source = lines, source
        self.at = 0

    def error(self, problem: str) -> ParameterFileError:
        """Return the error to raise for a problem on the line before the next."""
        return ParameterFileError(f"{self.source}, line {self.at}: {problem}")

    def next(self, indent: int, mark: str = "") -> str | None:
        """Take the next line if it is that far in and starts with `mark`; return it without it."""
        if self.at >= len(self.lines):
            return None
        line, start = self.lines[self.at], " " * indent
        if not line.startswith(start + mark) or len(line) <= indent:
            return None
        self.at += 1
        return line[indent + len(mark) :]

    def value(self, head: str, indent: int, depth: int = 0) -> Any:
        """Return the value whose first line is `head`; lines below it are `indent` spaces in.

        Raises:
            ParameterFileError: if there is no value.
        """
        if depth > MAX_DEPTH:
            raise self.error(f"values are nested more than {MAX_DEPTH} deep")
        word = head.partition(" ")[0]
        try:
            if head in _WORDS:
                return _WORDS[head]
            if head.startswith('"'):
                return unquoted(head)
            form = _FORMS.get(head)
            if form is not None:
                return form(self, indent, depth)
            if word in arrays.WORDS:
                return arrays.value(head, list(self._below(indent)))
            return _number(head)
        except ParameterFileError:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            raise self.error(str(error)) from None

    def _below(self, indent: int) -> Iterable[str]:
        while (line := self.next(indent)) is not None:
            yield line

    def text(self, indent: int, depth: int) -> str:
        """Return the text whose lines follow."""
        del depth
        lines = list(self._below(indent))
        if not lines:
            raise self.error("the lines of the text are missing")
        return unblock(lines)

    def bytes(self, indent: int, depth: int) -> bytes:
        """Return the bytes whose lines follow."""
        del depth
        return arrays.from_hex(self._below(indent))

    def items(self, indent: int, depth: int) -> list[Any]:
        """Return the items that follow."""
        found: list[Any] = []
        while (head := self.next(indent, "- ")) is not None:
            found.append(self.value(head, indent + 2, depth + 1))
        return found

    def distinct(self, indent: int, depth: int) -> frozenset[Any]:
        """Return the items that follow; each may be there once."""
        items = self.items(indent, depth)
        found = frozenset(items)
        if len(found) < len(items):
            raise self.error("an item of the set is there twice")
        return found

    def pairs(self, indent: int, depth: int) -> dict[Any, Any]:
        """Return the keys and values that follow."""
        found: dict[Any, Any] = {}
        count = 0
        while (line := self.next(indent)) is not None:
            if line.startswith("? "):
                key = self.value(line[2:], indent + 2, depth + 1)
                head = self.next(indent, ": ")
                if head is None:
                    raise self.error("the value of the key is missing")
            else:
                key, head = self._key(line)
            found[key] = self.value(head, indent + 2, depth + 1)
            count += 1
            if len(found) < count:
                raise self.error(f"the key {key!r} is there twice")
        return found

    def _key(self, line: str) -> tuple[Any, str]:
        if line.startswith('"'):
            key, rest = split_quoted(line)
            if rest.startswith(": "):
                return key, rest[2:]
        elif found := _KEY.match(line):
            word = found[1]
            return _WORDS[word] if word in _WORDS else _number(word), line[found.end() :]
        raise self.error(f"{line[:40]!r} is no key and value")


_FORMS: dict[str, Callable[[Reader, int, int], Any]] = {
    "text": Reader.text,
    "bytes": Reader.bytes,
    "list": Reader.items,
    "tuple": lambda reader, indent, depth: tuple(reader.items(indent, depth)),
    "set": lambda reader, indent, depth: set(reader.distinct(indent, depth)),
    "frozenset": Reader.distinct,
    "dict": Reader.pairs,
}


def _number(head: str) -> complex:
    if head.startswith("complex "):
        first, _, second = head[8:].partition(" ")
        return complex(as_real(first), as_real(second))
    try:
        return as_integer(head)
    except ValueError:
        return as_real(head)
