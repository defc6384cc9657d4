"""Values as text of a bounded length; the work is bounded too, whatever the size of the value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import cast

_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    dict: ("{", "}"),
}
_PLAIN = tuple(_BRACKETS)
_DEEPEST = 20


def text_of(value: object, limit: int | None = None) -> str:
    """Return a value as text, shortened to about `limit` characters, its size said."""
    if isinstance(value, str):
        return value if limit is None else shortened(value, limit)
    text, whole = _written(value, limit)
    if whole:
        return text if limit is None else shortened(text, limit)
    return f"{text[:limit]} ...({len(cast('Collection[object]', value))} items in all)"


def beginning_of(value: object, limit: int) -> str:
    """Return a value as text: all of it, or more than `limit` characters of its beginning."""
    return value if isinstance(value, str) else _written(value, limit)[0]


def shortened(text: str, limit: int) -> str:
    """Return a text, or the beginning and the end of one that is longer than `limit`."""
    if len(text) <= limit:
        return text
    tail = limit // 4
    end = text[len(text) - tail :]
    return f"{text[: limit - tail]} ...({len(text)} characters in all)... {end}"


def _written(value: object, limit: int | None) -> tuple[str, bool]:
    """Return the text of a value, and whether it is all of it."""
    if limit is None or type(value) not in _PLAIN:
        return _str(value), True
    parts: list[str] = []
    room = limit
    for part in _parts(value, limit):
        parts.append(part)
        room -= len(part)
        if room < 0:
            return "".join(parts), False
    return "".join(parts), True


def _parts(value: object, limit: int, depth: int = 0) -> Iterator[str]:
    """Write a value as `repr` does, piece by piece, so that one can stop early."""
    if isinstance(value, str):
        yield repr(value[: limit + 1])
    elif type(value) not in _PLAIN or depth > _DEEPEST or not value:
        yield _str(value, repr)
    else:
        opening, closing = _BRACKETS[type(value)]
        yield opening
        for index, item in enumerate(cast("Collection[object]", value)):
            yield ", " if index else ""
            yield from _parts(item, limit, depth + 1)
            if isinstance(value, dict):
                yield ": "
                yield from _parts(cast("Mapping[object, object]", value)[item], limit, depth + 1)
        lone = isinstance(value, tuple) and len(cast("tuple[object, ...]", value)) == 1
        yield f",{closing}" if lone else closing


def _str(value: object, write: Callable[[object], str] = str) -> str:
    """Write a value; a user's class may fail at it, which must not stop the optimizer."""
    try:
        return str(write(value))
    except Exception as error:  # noqa: BLE001 - whatever a user's __str__ raises
        return f"<{type(value).__name__}; its text can't be had: {type(error).__name__}>"
