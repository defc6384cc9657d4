"""Dataclasses, named tuples and enums taken apart and put together, the same on both ends.

An instance crosses as the number of its class and its parts. Which class a number means is known to
each end by itself: a message can name none. No code of the class runs when an instance is put
together, neither `__init__` nor `__post_init__`: it is a copy, as by `copy.copy`.
"""

from __future__ import annotations

import dataclasses
import enum
from abc import ABCMeta
from typing import Any, Literal

from opto.errors import MalformedMessage, NotPlainData

Shape = Literal["", "dataclass", "tuple", "enum"]
_HEAP_TYPE = 1 << 9  # defined in Python, not in C


def shape_of(kind: type) -> Shape:
    """Return in which way instances of a class are taken apart; "" if they can't be."""
    if isinstance(kind, enum.EnumMeta):
        return "enum" if type(kind) is enum.EnumMeta else ""
    if type(kind) not in {type, ABCMeta}:
        return ""
    bases = kind.__mro__[1:-1]
    if tuple in bases:
        named = hasattr(kind, "_fields") and hasattr(kind, "_make")
        others = (base for base in bases if base is not tuple)
        return "tuple" if named and all(_is_python(base) for base in others) else ""
    if dataclasses.is_dataclass(kind) and all(_is_python(base) for base in bases):
        return "dataclass"
    return ""


def _is_python(kind: type) -> bool:
    return bool(kind.__flags__ & _HEAP_TYPE)


def parts_of(value: Any, shape: Shape) -> list[Any]:
    """Return what `built` makes an equal instance of.

    Raises:
        NotPlainData: if it holds more than the class says.
    """
    if shape == "tuple":
        return list(tuple.__iter__(value))
    if shape == "enum":
        name = value._name_
        return [value._value_ if name is None or "|" in name else name]
    names = [field.name for field in dataclasses.fields(value)]
    missing = [name for name in names if not hasattr(value, name)]
    surplus = sorted(set(getattr(value, "__dict__", ())) - set(names))
    if missing or surplus:
        which = f"no field {missing[0]!r} yet" if missing else f"{surplus[0]!r}, which is no field"
        message = f"a {type(value).__name__} has {which}; only the fields of a dataclass can cross"
        raise NotPlainData(message)
    return [getattr(value, name) for name in names]


def built(kind: Any, shape: Shape, parts: list[Any]) -> Any:
    """Return an instance of a class from its parts.

    Raises:
        MalformedMessage: if they don't fit.
    """
    if shape == "tuple":
        _check(kind, len(kind._fields), len(parts))
        return tuple.__new__(kind, parts)
    if shape == "enum":
        _check(kind, 1, len(parts))
        return _member(kind, parts[0])
    fields = dataclasses.fields(kind)
    _check(kind, len(fields), len(parts))
    made = object.__new__(kind)
    for field, part in zip(fields, parts, strict=True):
        object.__setattr__(made, field.name, part)
    return made


def _check(kind: type, wanted: int, given: int) -> None:
    if wanted != given:
        message = f"{given} parts for a {kind.__name__} of {wanted}"
        raise MalformedMessage(message)


def _member(kind: Any, part: object) -> Any:
    if type(part) is str and part in kind.__members__:
        return kind.__members__[part]
    if type(part) is int and issubclass(kind, enum.Flag):
        return kind(part)
    message = f"{kind.__name__} has no member of that name"
    raise MalformedMessage(message)
