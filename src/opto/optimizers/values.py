"""Turns what a reply says into a value of the parameter's type, or says why that can't be done."""

from __future__ import annotations

import ast
import dataclasses
import enum
import json
import math
import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, cast

from opto.errors import ProposalError
from opto.optimizers.hints import by_hint, hints_of
from opto.optimizers.lenient import Loose, Malformed, read_object

_INTEGER = re.compile(r"[-+]?\d+(?:_\d+)*")
_DECIMAL = re.compile(r"[-+]?(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
MAX_DIGITS = 4000

T = TypeVar("T", list[object], tuple[object, ...], dict[object, object])
Converter = Callable[[object, Any], object]


def converted(given: object, current: object) -> object:
    """Return `given` as a value of the type of `current`.

    Text is read as what it spells; everything that doesn't fit exactly is refused, so that "seven"
    isn't an int, nor 3.7, and "a, b" isn't a list.

    Raises:
        ProposalError: with a reason that says what was expected.
    """
    if _is_loose(given):
        message = "the quotes inside the text must be escaped"
        raise ProposalError(message)
    return _converter(current)(given, current)


def _is_loose(given: object) -> bool:
    if isinstance(given, dict):
        return any(_is_loose(item) for item in cast("dict[str, object]", given).values())
    if isinstance(given, list):
        return any(_is_loose(item) for item in cast("list[object]", given))
    return isinstance(given, Loose)


def _converter(current: object) -> Converter:
    if isinstance(current, enum.Enum):
        return _enum
    if dataclasses.is_dataclass(current) and not isinstance(current, type):
        return _dataclass
    if _is_array(current):
        return _array
    if hasattr(type(current), "model_validate"):
        return _pydantic
    exact = [converter for kind, converter in _CONVERTERS if type(current) is kind]
    close = [converter for kind, converter in _CONVERTERS if isinstance(current, kind)]
    return next(iter((*exact, *close, _other)))


def _refuse(given: object, expected: str) -> ProposalError:
    text = given if isinstance(given, str) else repr(given)
    shown = text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
    return ProposalError(f"expected {expected}, got {type(given).__name__}: {shown}")


# ---- scalars -------------------------------------------------------------------------------------


def _none(given: object, _: None) -> object:
    return (
        literal(given)
        if isinstance(given, str) and not isinstance(literal(given), Unread)
        else given
    )


def _bool(given: object, _: bool) -> bool:  # noqa: FBT001 - a converter's signature
    if isinstance(given, bool):
        return given
    word = str(given).strip().lower() if isinstance(given, (str, int)) else ""
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise _refuse(given, "a bool (true or false)")


def _int(given: object, current: int) -> int:
    number: object = given
    if (
        isinstance(given, str) and len(given) < MAX_DIGITS and _INTEGER.fullmatch(given.strip())
    ) or (isinstance(given, float) and given.is_integer() and abs(given) < 2**53):
        number = int(given)
    if isinstance(number, bool) or not isinstance(number, int):
        raise _refuse(given, "an int (a whole number)")
    return type(current)(number)


def _float(given: object, current: float) -> float:
    number: object = given
    if isinstance(given, str) and _DECIMAL.fullmatch(given.strip()):
        number = float(given)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise _refuse(given, "a float (a number)")
    try:
        result = float(number)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise _refuse(given, "a finite number")
    return type(current)(result)


def _complex(given: object, _: complex) -> complex:
    try:
        return complex(given.replace(" ", "") if isinstance(given, str) else cast("complex", given))
    except (TypeError, ValueError):
        raise _refuse(given, "a complex number") from None


def _str(given: object, current: str) -> str:
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        raise _refuse(given, "a str (text)")
    text = given if isinstance(given, str) else repr(given)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refuse(ascii(text), "text that can be stored (it has half of a character)") from None
    return text if type(current) is str else type(current)(text)


def _bytes(given: object, current: bytes) -> bytes:
    value = literal(given) if isinstance(given, str) else given
    if isinstance(value, bytes):
        return type(current)(value)
    raise _refuse(given, "bytes, as b'...'")


# ---- containers ----------------------------------------------------------------------------------


class Unread:
    """Stands for text that is no literal."""


def literal(text: str) -> object:
    """Read text as JSON or as a Python literal; returns an `Unread` if it is neither."""
    plain = text.strip()
    if plain.startswith("{"):
        try:
            found = read_object(plain, 0)
        except Malformed:
            pass
        else:
            if found.closed and found.end == len(plain):
                return found.value
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(plain)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return Unread()


def _items(given: object, expected: str) -> list[object]:
    value = literal(given) if isinstance(given, str) else given
    if isinstance(value, (list, tuple)):
        return list(cast("list[object]", value))
    if isinstance(value, (set, frozenset)):
        return sorted(cast("set[object]", value), key=repr)
    raise _refuse(given, expected)


def _like(items: list[object], examples: Collection[object], kind: str) -> list[object]:
    """Convert items to the type that all present items share, if they share one."""
    kinds = {type(example) for example in examples}
    if len(kinds) != 1 or kinds <= {dict, list, tuple, type(None)}:
        return items
    try:
        example = next(iter(examples))
        return [converted(item, example) for item in items]
    except ProposalError as error:
        message = f"in the {kind}: {error.reason}"
        raise ProposalError(message) from None


def _list(given: object, current: list[object]) -> list[object]:
    items = _items(given, "a list, as [1, 2]")
    return _same_class(_like(items, current, "list"), current)


def _tuple(given: object, current: tuple[object, ...]) -> tuple[object, ...]:
    if hasattr(current, "_fields"):
        return _named_tuple(given, current)
    items = _items(given, "a tuple, as [1, 2]")
    return _same_class(tuple(_like(items, current, "tuple")), current)


def _named_tuple(given: object, current: Any) -> tuple[object, ...]:
    items = _items(_named_items(given, current), "a tuple, as [1, 2]")
    if len(items) != len(current):
        raise _refuse(given, f"{len(current)} items")
    hints = hints_of(type(current))
    fields = zip(items, current._fields, current, strict=True)
    make = cast("Callable[..., tuple[object, ...]]", type(current))
    return make(*(_field(item, name, hints, example) for item, name, example in fields))


def _named_items(given: object, current: Any) -> object:
    """Return the items of a named tuple that a reply gives by name; those not given stay."""
    value = literal(given) if isinstance(given, str) else given
    if not isinstance(value, dict):
        return value if not isinstance(value, Unread) else given
    entries = cast("dict[str, object]", value)
    if unknown := [key for key in entries if key not in current._fields]:
        raise _refuse(unknown[0], f"one of the fields {', '.join(current._fields)}")
    return [entries.get(name, getattr(current, name)) for name in current._fields]


def _set(given: object, current: set[object]) -> object:
    items = _like(_items(given, "a set, as [1, 2]"), current, "set")
    try:
        return type(current)(items)
    except TypeError:
        raise _refuse(given, "a set of items that can be hashed") from None


def _dict(given: object, current: dict[object, object]) -> dict[object, object]:
    value = literal(given) if isinstance(given, str) else given
    if not isinstance(value, dict):
        raise _refuse(given, 'a dict, as {"a": 1}')
    entries = cast("dict[object, object]", value)
    result: dict[object, object] = {}
    for key, item in entries.items():
        known = _known_key(key, current)
        try:
            result[known] = converted(item, current[known]) if known in current else item
        except ProposalError as error:
            message = f"in the dict, {key!r}: {error.reason}"
            raise ProposalError(message) from None
    return _same_class(result, current)


def _known_key(key: object, current: dict[object, object]) -> object:
    """Find the key that a JSON text means: JSON has no keys but text."""
    if key in current or not isinstance(key, str):
        return key
    return next(
        (known for known in current if not isinstance(known, str) and str(known) == key), key
    )


def _same_class(value: T, current: T) -> T:
    make = cast("Callable[[T], T]", type(current))
    return value if type(current) is type(value) else make(value)


# ---- classes -------------------------------------------------------------------------------------


def _enum(given: object, current: enum.Enum) -> enum.Enum:
    members = list(type(current))
    word = given.strip().rpartition(".")[2] if isinstance(given, str) else given
    for member in members:
        if word == member.name or (type(given) is type(member.value) and given == member.value):
            return member
    close = [
        m for m in members if str(word).casefold() in {m.name.casefold(), str(m.value).casefold()}
    ]
    if len(close) == 1:
        return close[0]
    raise _refuse(given, f"one of {', '.join(member.name for member in members)}")


def _dataclass(given: object, current: Any) -> object:
    value = literal(given) if isinstance(given, str) else given
    fields = {
        item.name: getattr(current, item.name) for item in dataclasses.fields(current) if item.init
    }
    if not isinstance(value, dict):
        raise _refuse(given, f"an object with the fields {', '.join(fields)}")
    entries = cast("dict[object, object]", value)
    if unknown := [key for key in entries if key not in fields]:
        raise _refuse(unknown[0], f"one of the fields {', '.join(fields)}")
    hints = hints_of(type(current))
    changed = {
        str(key): _field(item, str(key), hints, fields[str(key)]) for key, item in entries.items()
    }
    try:
        return dataclasses.replace(current, **changed)
    except Exception as error:  # the class's own check of its fields
        message = f"{type(current).__name__} refuses these fields: {error}"
        raise ProposalError(message) from error


def _field(given: object, name: str, hints: Mapping[str, Any], current: object) -> object:
    try:
        return by_hint(given, hints.get(name, Any), current, converted)
    except ProposalError as error:
        message = f"in the field {name}: {error.reason}"
        raise ProposalError(message) from error


def _pydantic(given: object, current: Any) -> object:
    """Return a model of pydantic with some fields changed, checked by its own rules."""
    value = literal(given) if isinstance(given, str) else given
    kind = type(current)
    known = list(kind.model_fields)
    if not isinstance(value, dict):
        raise _refuse(given, f"an object with the fields {', '.join(known)}")
    entries = cast("dict[str, object]", value)
    if unknown := [key for key in entries if key not in known]:
        raise _refuse(unknown[0], f"one of the fields {', '.join(known)}")
    present = {name: getattr(current, name) for name in known}
    for name, item in entries.items():
        inner = present[name]  # of a model in a model, fields that aren't given stay as well
        part = isinstance(item, (dict, str)) and hasattr(type(inner), "model_validate")
        present[name] = converted(item, inner) if part else item
    names = {name: kind.model_fields[name].alias or name for name in known}
    try:
        return kind.model_validate({names[name]: value for name, value in present.items()})
    except ValueError as error:  # pydantic's own is one
        message = f"{kind.__name__} refuses these fields: {error}"
        raise ProposalError(message) from error


def _is_array(current: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(current, (numpy.ndarray, numpy.generic))


def _array(given: object, current: Any) -> object:
    numpy = sys.modules["numpy"]
    if isinstance(current, numpy.generic):
        return type(current)(converted(given, current.item()))
    items = _items(given, "an array, as [[1, 2], [3, 4]]")
    try:
        result = numpy.array(items)
        if current.size and result.dtype.kind not in "biufc":
            raise TypeError
        fits = numpy.can_cast(result.dtype, current.dtype, "same_kind")
    except (ValueError, TypeError):
        raise _refuse(given, "a rectangular array of numbers") from None
    if result.shape != current.shape or not (fits or result.size == 0):
        raise _refuse(given, f"an array of shape {current.shape} and type {current.dtype}")
    return result.astype(current.dtype)


def _other(given: object, current: object) -> object:
    if type(given) is type(current):
        return given
    kind = f"{type(current).__module__}.{type(current).__qualname__}"
    raise _refuse(given, f"a {kind}, which can't be written as text")


_CONVERTERS: tuple[tuple[type, Converter], ...] = (
    (type(None), _none),
    (bool, _bool),
    (int, _int),
    (float, _float),
    (complex, _complex),
    (str, _str),
    (bytes, _bytes),
    (list, _list),
    (tuple, _tuple),
    (set, _set),
    (frozenset, _set),
    (dict, _dict),
)
