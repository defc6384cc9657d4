"""What goes with a failure of proposed code: the values that it was given and what it printed.

All of it is bounded and without control characters, since a model and a terminal will read it.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from reprlib import Repr
from typing import Any

from opto.trace.abstract import AbstractNode

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]",
    re.DOTALL,
)
_MOST_SHOWN = 2_000
_MOST_OF_ONE = 200
_MOST_VALUES = 20
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset, deque})
_START = Repr()
_START.maxlist = _START.maxtuple = _START.maxdict = _START.maxset = _MOST_OF_ONE
_START.maxfrozenset = _START.maxdeque = _START.maxarray = _START.maxstring = _MOST_OF_ONE
_ARGUMENTS = "Arguments:"
_ATTRIBUTES = "Attributes:"
_PRINTED = "Printed:"


def plain_text(text: str) -> str:
    """Return `text` without control characters and terminal sequences."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def shortened(text: str, most: int = _MOST_SHOWN) -> str:
    """Return `text`, or its start and a note of how much is left out."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} characters more)"


def notes_of(arguments: Sequence[tuple[str, object]], printed: str) -> list[str]:
    """Return what was given and printed, bounded, as notes for an exception."""
    printed = plain_text(printed).rstrip()
    said = [f"{_PRINTED}\n{shortened(printed)}"] if printed else []
    return [*_values(_ARGUMENTS, arguments), *said]


def with_values(
    notes: Sequence[str], given: Sequence[tuple[str, Any]], texts: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the notes of a failed call of proposed code with what it was given, put first.

    Args:
        notes: what is known already.
        given: the arguments by name.
        texts: the code; of an object whose method it is, the attributes that it mentions are shown.
    """
    shown = [pair for pair in given if not _is_owner(*pair)]
    owners = [pair for pair in given if _is_owner(*pair)][:1]
    attributes = [pair for owner in owners for pair in _mentioned(*owner, texts)]
    known = [note for note in notes if note.startswith(_ARGUMENTS)][:1]
    others = [note for note in notes if note not in known]
    return (*(known or _values(_ARGUMENTS, shown)), *_values(_ATTRIBUTES, attributes), *others)


def _values(heading: str, values: Sequence[tuple[str, object]]) -> list[str]:
    lines = [f"  {name} = {_shown(value)}" for name, value in values[:_MOST_VALUES]]
    more = len(values) - _MOST_VALUES
    lines += [f"  … ({more} more)"] if more > 0 else []
    return ["\n".join([heading, *lines])] if lines else []


def _shown(value: object) -> str:
    """Return the start of the value's ``repr``, without making all of it if it is long."""
    try:
        if type(value) in _CONTAINERS:
            size = len(value)  # type: ignore[arg-type]  # it is a container
            text = plain_text(_START.repr(value))
            return text if len(text) <= _MOST_OF_ONE else f"{text[:_MOST_OF_ONE]}… ({size} items)"
        if isinstance(value, (str, bytes)) and len(value) > _MOST_SHOWN:
            text = plain_text(repr(value[:_MOST_SHOWN]))[:_MOST_OF_ONE]
            return f"{text}… ({len(value)} long)"
        return shortened(plain_text(repr(value)), _MOST_OF_ONE)
    except Exception:  # noqa: BLE001 - not every value has a repr (10**5000), foreign ones may raise
        return f"<{type(value).__name__}>"


def _is_owner(name: str, value: object) -> bool:
    """Whether this is the object of a method rather than an argument."""
    return name == "self" and hasattr(value, "__dict__")


def _mentioned(name: str, owner: object, texts: Mapping[str, str]) -> Iterator[tuple[str, object]]:
    """Yield the attributes of `owner` that the code mentions; nothing is run to find them."""
    found = [
        (node.lineno, node.col_offset, node.attr)
        for text in texts.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
    ]
    kept = vars(owner)
    for attribute in dict.fromkeys(attribute for _, _, attribute in sorted(found)):
        if attribute in kept:
            value = kept[attribute]
            yield f"{name}.{attribute}", value._data if isinstance(value, AbstractNode) else value
