"""Reads a JSON-like object the way language models write them, and guesses nothing.

Accepted beyond JSON: single, typographic, triple and back quotes, bare keys, Python literals,
comments, trailing commas, raw line breaks, unknown escapes, and quotes in a string that were not
escaped. Whatever has more than one plausible reading is refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

MAX_DEPTH = 64

_SPACE = re.compile(r"(?:\s+|//[^\n]*|#[^\n]*|/\*.{0,2000}?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_WORD = re.compile(r"[-+]?[A-Za-z_]\w*")
_BARE_KEY = re.compile(r"[A-Za-z_][\w.:-]*?(?=\s*:(?!\w))")
_QUOTED_KEY = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`\n]*`|“[^”\n]*”""")
_KEY_AHEAD = (
    r"""(?:"(?:[^"\\\n]|\\.){0,200}"|'(?:[^'\\\n]|\\.){0,200}'|`[^`\n]{0,200}`"""
    r"|“[^”\n]{0,200}”|[A-Za-z_]\w{0,200})\s*:"
)
_ENDS_VALUE = re.compile(rf"\s*(?:\}}(?!\s*[\"'])|,\s*(?:{_KEY_AHEAD}|\}}|//|\#|/\*)|//|\#|/\*)")
_ENDS_ITEM = re.compile(
    r"""\s*(?:[\])]|,\s*(?:["'“`\[({\d.+\-\])]|True|False|None|true|false|null))"""
)
_ENDS_TEXT = re.compile(r"\s*(?:```\s*)?\Z")
_OPENS_STRICT = re.compile(r"\{\s*[\"}]")
_CLOSING = {'"': '"', "'": "'", "`": "`", "“": "”"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\"} | {
    quote: quote for quote in "\"'`“”"
}
_WORDS = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}


class Malformed(Exception):
    """The text at `position` can't be read.

    Attributes:
        position: where reading stopped.
        keys: the keys of the outermost object that were read before.
    """

    def __init__(self, reason: str, position: int, keys: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason, self.position, self.keys = reason, position, keys


class Loose(str):
    """Text whose inner quotes were not escaped: usable only if something else confirms it."""

    __slots__ = ()


class Repeated(Malformed):
    """A key with several different values."""


@dataclass(frozen=True)
class Found:
    """An object read from a reply.

    Attributes:
        value: its entries.
        end: the position after it.
        closed: whether the object's end was there (False: the text broke off after an entry).
    """

    value: dict[str, Any]
    end: int
    closed: bool = True


def read_object(text: str, start: int) -> Found:
    """Read the object that starts with the brace at `start`; raises `Malformed`."""
    if not _OPENS_STRICT.match(text, start):
        return _Reader(text, start).top()
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        cut = _ENDS_TEXT.match(text, error.pos)
        return (cut and _completed(text[start : error.pos])) or _Reader(text, start).top()
    except (ValueError, RecursionError):
        return _Reader(text, start).top()
    if _is_too_deep(value):  # newer Pythons decode any depth
        return _Reader(text, start).top()
    return Found(value, end)


def _is_too_deep(value: object) -> bool:
    layer = [value]
    for _ in range(MAX_DEPTH + 1):
        layer = [
            inner
            for item in layer
            if isinstance(item, (list, dict))
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not layer:
            return False
    return True


def _completed(text: str) -> Found | None:
    """Read an object of which only the last brace is missing."""
    try:
        return Found(_DECODER.decode(f"{text}}}"), len(text), closed=False)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for key, value in pairs:
        if key in known and repr(known[key]) != repr(value):
            message = f"{key!r} is given twice with different values"
            raise ValueError(message)
        known[key] = value
    return known


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, strict=False)


@dataclass
class _Reader:
    text: str
    position: int
    entries: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])

    def top(self) -> Found:
        try:
            value = self.mapping(0)
        except Malformed as error:
            cut = not isinstance(error, Repeated) and bool(self.entries)
            if cut and _ENDS_TEXT.match(self.text, self.position):
                return Found(dict(self.entries), len(self.text), closed=False)
            keys = tuple(key for key, _ in self.entries)
            raise Malformed(error.reason, error.position, (*keys, *error.keys)) from None
        return Found(value, self.position)

    # ---- structure -------------------------------------------------------------------------------

    def mapping(self, depth: int) -> dict[str, Any]:
        pairs = self.entries if depth == 0 else []
        self.position += 1
        while self.peek() != "}":
            key = self.key()
            try:
                pairs.append((key, self.value(depth + 1)))
            except Malformed as error:
                error.keys = (key,) if depth == 0 else ()
                raise
            self.separator("}")
        self.position += 1
        return self.unique(pairs)

    def array(self, closing: str, depth: int) -> list[Any]:
        items: list[Any] = []
        self.position += 1
        while self.peek() != closing:
            items.append(self.value(depth + 1, _ENDS_ITEM))
            self.separator(closing)
        self.position += 1
        return items

    def separator(self, closing: str) -> None:
        if self.peek() == ",":
            self.position += 1
        elif self.peek() != closing:
            self.fail(f"expected ',' or {closing!r}")

    def unique(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        try:
            return _unique(pairs)
        except ValueError as error:
            raise Repeated(str(error), self.position) from None

    def key(self) -> str:
        self.peek()
        quoted = _QUOTED_KEY.match(self.text, self.position)
        found = quoted or _BARE_KEY.match(self.text, self.position)
        if found is None:
            self.fail("expected a key")
        self.position = found.end()
        if self.peek() != ":":
            self.fail("expected ':' after a key")
        self.position += 1
        return _unescaped(found.group()[1:-1]) if quoted else found.group()

    def value(self, depth: int, ends: re.Pattern[str] = _ENDS_VALUE) -> Any:
        if depth > MAX_DEPTH:
            self.fail("nested too deep")
        first = self.peek()
        if first == "{":
            return self.mapping(depth)
        if first in "[(" and first:
            return self.array("]" if first == "[" else ")", depth)
        if first in _CLOSING:
            return self.block() or self.string(ends)
        return self.scalar()

    def scalar(self) -> object:
        if number := _NUMBER.match(self.text, self.position):
            digits = number.group()
            self.position = number.end()
            try:
                return int(digits) if re.fullmatch(r"[-+]?[\d_]+", digits) else float(digits)
            except ValueError:
                self.fail("not a number")
        word = _WORD.match(self.text, self.position)
        if word is None or word.group() not in _WORDS:
            self.fail("expected a value")
        self.position = word.end()
        return _WORDS[word.group()]

    # ---- text ------------------------------------------------------------------------------------

    def block(self) -> str | None:
        """Read a triple-quoted or fenced text, if one starts here."""
        mark = self.text[self.position : self.position + 3]
        if mark not in {'"""', "'''", "```"}:
            return None
        start = self.position + 3
        end = self.text.find(mark, start)
        while end >= 0 and not _ENDS_VALUE.match(self.text, end + 3):
            end = self.text.find(mark, end + 1)
        if end < 0:
            return None
        self.position = end + 3
        content = self.text[start:end]
        if mark == "```":
            return content.partition("\n")[2]
        return content if "\n" in content else _unescaped(content)

    def string(self, ends: re.Pattern[str]) -> str:
        """Read up to the quote that something structural follows."""
        opening = self.text[self.position]
        closing = _CLOSING[opening]
        start = self.position + 1
        inner: list[int] = []
        stops = re.compile(rf"\\.|{closing}", re.DOTALL)
        for stop in stops.finditer(self.text, start):
            if stop.group() != closing:
                continue
            if ends.match(self.text, stop.end()) or _ENDS_TEXT.match(self.text, stop.end()):
                self.position = stop.end()
                content = _unescaped(self.text[start : stop.start()])
                if not inner:
                    return content
                return content if _balanced(self.text, inner, closing) else Loose(content)
            inner.append(stop.start())
        raise Malformed("a text isn't closed", len(self.text))

    # ---- helpers ---------------------------------------------------------------------------------

    def peek(self) -> str:
        """Return the next significant character, or nothing at the end."""
        space = _SPACE.match(self.text, self.position)
        if space is not None:
            self.position = space.end()
        return self.text[self.position : self.position + 1]

    def fail(self, reason: str) -> NoReturn:
        raise Malformed(reason, self.position)


def _balanced(text: str, quotes: list[int], quote: str) -> bool:
    """Whether unescaped quotes look like quotations: opened before a word, closed after one."""
    if len(quotes) % 2:
        return False
    pairs = zip(quotes[::2], quotes[1::2], strict=True)
    return all(
        text[first - 1] in f" ([{{\n\t{quote}"
        and text[first + 1] not in f" \n\t{quote}"
        and text[last - 1] not in f" \n\t{quote}"
        and not text[last + 1].isalnum()
        for first, last in pairs
    )


_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[0-9a-fA-F]{4}|\\U00(?:10|0[0-9a-fA-F])[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\\r?\n|\\.",
    re.DOTALL,
)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_replacement, text) if "\\" in text else text


def _replacement(found: re.Match[str]) -> str:
    escape = found.group()
    if escape[1] == "U" and len(escape) > 2:
        return bytes.fromhex(escape[2:]).decode("utf-32-be", "surrogatepass")
    if escape[1:2] in "ux" and len(escape) > 2:
        units = bytes.fromhex("".join(part.zfill(4) for part in re.split(r"\\[ux]", escape)[1:]))
        return units.decode("utf-16-be", "surrogatepass")
    if escape[1:] in {"\n", "\r\n"}:
        return escape[1:]
    return _ESCAPES.get(escape[1:], escape)
