"""Plain data as bytes and back, with exact types; nothing is ever unpickled.

One byte says what follows: a leaf (with its length where it has one) or a container (with the
number of its items). Both directions walk with a list of their own instead of recursion, and stop
at caps on size, depth and count. What is read was written by code that nobody read: every malformed
message is one `MalformedMessage`, and what comes out is of exactly these types: None, bool, int,
float, complex, str, bytes, list, tuple, dict, set, frozenset, numpy arrays and scalars of numbers.

What is none of these crosses only if both ends hand in a function for it: `outward` says in plain
data what stands for it, `inward` what that stands for. Without them there is nothing else.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from opto.errors import MalformedMessage, NotPlainData

C = TypeVar("C", bound=Collection[Any])
Outward = Callable[[Any], "Sequence[Any] | None"]
Inward = Callable[[list[Any]], Any]

MAX_BYTES = 16 << 20
MAX_DEPTH = 200
MAX_ITEMS = 1_000_000
_EQUAL_HASHES = 16
_OTHER = ord("X")

_LENGTH = struct.Struct(">I")
_TAGGED = struct.Struct(">BI")
_INT = struct.Struct(">Bq")
_FLOAT = struct.Struct(">Bd")
_COMPLEX = struct.Struct(">Bdd")
_PLAIN_DTYPE = re.compile(r"[<>|=]?[biufc?][0-9]{0,2}|[<>|=]?[SU][0-9]{1,6}")


def frame(payload: bytes) -> bytes:
    """Return `payload` with its length in front."""
    return _LENGTH.pack(len(payload)) + payload


def length_of(header: bytes) -> int:
    """Return the length that a frame's first four bytes announce; refuse one over the cap."""
    (length,) = _LENGTH.unpack(header)
    if length > MAX_BYTES:
        message = f"a message of {length} bytes is over the limit of {MAX_BYTES}"
        raise MalformedMessage(message)
    return int(length)


# ---- writing -------------------------------------------------------------------------------------


def encode(value: object, outward: Outward | None = None) -> bytes:
    """Return the bytes of `value`.

    Args:
        value: plain data.
        outward: what stands for a value that is no plain data; None if nothing does.

    Raises:
        NotPlainData: if it isn't plain data, or is over a cap.
    """
    out = bytearray()
    walks: list[Iterator[Any]] = [iter((value,))]
    count = 0
    while walks:
        for item in walks[-1]:
            count += 1
            kind = type(item)
            write = _LEAVES.get(kind)
            if write is not None:
                write(out, item)
                if len(out) > MAX_BYTES:
                    raise _over(f"more than {MAX_BYTES} bytes")
            else:
                walks.append(_opened(out, item, kind, outward))
                if len(walks) > MAX_DEPTH + 1:
                    raise _over(f"nested deeper than {MAX_DEPTH}")
                break
            if count > MAX_ITEMS:
                raise _over(f"more than {MAX_ITEMS} items")
        else:
            walks.pop()
    return bytes(out)


def _over(what: str) -> NotPlainData:
    return NotPlainData(f"it is {what}; pass less, or split it")


def _opened(out: bytearray, item: Any, kind: type, outward: Outward | None) -> Iterator[Any]:
    """Write what announces a container; return what walks through its items."""
    tag = _CONTAINERS.get(kind)
    if tag is not None:
        out += _TAGGED.pack(tag, len(item))
        return iter(chain.from_iterable(item.items())) if kind is dict else iter(item)
    numpy = sys.modules.get("numpy")
    if numpy is not None and (kind is numpy.ndarray or isinstance(item, numpy.generic)):
        data = numpy.asarray(item)
        name: str = data.dtype.str
        if _PLAIN_DTYPE.fullmatch(name) and data.nbytes <= MAX_BYTES:
            out += b"A" if kind is numpy.ndarray else b"G"
            return iter((name, data.shape, data.tobytes()))
    stands = outward(item) if outward is not None else None
    if stands is not None:
        out += _TAGGED.pack(_OTHER, len(stands))
        return iter(stands)
    message = f"{_named(kind)} is not plain data: numbers, text, bytes, lists, dicts, sets, arrays"
    raise NotPlainData(message)


def _named(kind: type) -> str:
    module = kind.__module__
    name = str(kind.__qualname__)
    return name if module == "builtins" else f"{module}.{name}"


def _write_int(out: bytearray, item: int) -> None:
    if -0x8000000000000000 <= item <= 0x7FFFFFFFFFFFFFFF:
        out += _INT.pack(0x69, item)
    else:
        raw = item.to_bytes(item.bit_length() // 8 + 1, "big", signed=True)
        out += _TAGGED.pack(0x49, len(raw))
        out += raw


def _write_str(out: bytearray, item: str) -> None:
    if len(item) > MAX_BYTES:
        raise _over(f"more than {MAX_BYTES} bytes")
    raw = item.encode("utf-8", "surrogatepass")
    out += _TAGGED.pack(0x73, len(raw))
    out += raw


def _write_bytes(out: bytearray, item: bytes) -> None:
    if len(item) > MAX_BYTES:
        raise _over(f"more than {MAX_BYTES} bytes")
    out += _TAGGED.pack(0x62, len(item))
    out += item


def _write_none(out: bytearray, _: None) -> None:
    out += b"N"


def _write_bool(out: bytearray, item: bool) -> None:  # noqa: FBT001 - the value written
    out += b"T" if item else b"F"


def _write_float(out: bytearray, item: float) -> None:
    out += _FLOAT.pack(0x64, item)


def _write_complex(out: bytearray, item: complex) -> None:
    out += _COMPLEX.pack(0x63, item.real, item.imag)


_LEAVES: dict[type, Callable[[bytearray, Any], None]] = {
    type(None): _write_none,
    bool: _write_bool,
    int: _write_int,
    float: _write_float,
    complex: _write_complex,
    str: _write_str,
    bytes: _write_bytes,
}
_CONTAINERS: dict[type, int] = {
    list: ord("l"),
    tuple: ord("t"),
    dict: ord("D"),
    set: ord("S"),
    frozenset: ord("Z"),
}


# ---- reading -------------------------------------------------------------------------------------


class _Open(NamedTuple):
    """A container whose items are being read."""

    tag: int
    due: int
    items: list[Any]


def decode(data: bytes, inward: Inward | None = None) -> Any:
    """Return the value that `data` holds.

    Args:
        data: what `encode` made, or anything.
        inward: what is meant by that which stands for other values than plain data.

    Raises:
        MalformedMessage: if it holds no value, more than one, or one over a cap.
    """
    if len(data) > MAX_BYTES:
        message = f"{len(data)} bytes are over the limit of {MAX_BYTES}"
        raise MalformedMessage(message)
    try:
        return _read(data, inward or _nothing_else)
    except MalformedMessage:
        raise
    except Exception as error:
        message = f"the message can't be read: {type(error).__name__}"
        raise MalformedMessage(message) from error


def _nothing_else(_: list[Any]) -> Any:
    message = "a value that is no plain data, where nothing else is expected"
    raise MalformedMessage(message)


def _read(data: bytes, inward: Inward) -> Any:
    result: list[Any] = []
    opened = [_Open(0, 1, result)]
    position = count = 0
    while opened:
        top = opened[-1]
        if len(top.items) == top.due:
            opened.pop()
            if opened:
                close = _CLOSE.get(top.tag, inward)
                opened[-1].items.append(close(top.items))
            continue
        tag = data[position]
        position += 1
        count += 1
        read = _READ.get(tag)
        if read is not None:
            value, position = read(data, position)
            top.items.append(value)
            continue
        due, position = _due(data, tag, position)
        count += due
        opened.append(_Open(tag, due, []))
        if count > MAX_ITEMS * 2 or len(opened) > MAX_DEPTH + 1:
            message = "more items, or a deeper nesting, than allowed"
            raise MalformedMessage(message)
    if position != len(data):
        message = f"{len(data) - position} bytes are left over"
        raise MalformedMessage(message)
    return result[0]


def _due(data: bytes, tag: int, position: int) -> tuple[int, int]:
    """Return how many items a container has, and where they start."""
    if tag in b"AG":
        return 3, position
    if tag not in _CLOSE and tag != _OTHER:
        message = f"unknown tag {tag}"
        raise MalformedMessage(message)
    (size,) = _LENGTH.unpack_from(data, position)
    due = size * 2 if tag == 0x44 else size
    position += 4
    if due > len(data) - position:
        message = f"{due} items are announced, {len(data) - position} bytes are left"
        raise MalformedMessage(message)
    return due, position


def _read_raw(data: bytes, position: int) -> tuple[bytes, int]:
    (size,) = _LENGTH.unpack_from(data, position)
    start, end = position + 4, position + 4 + size
    if end > len(data):
        message = f"{size} bytes are announced, {len(data) - start} are left"
        raise MalformedMessage(message)
    return data[start:end], end


def _read_big(data: bytes, position: int) -> tuple[int, int]:
    raw, position = _read_raw(data, position)
    return int.from_bytes(raw, "big", signed=True), position


def _read_str(data: bytes, position: int) -> tuple[str, int]:
    raw, position = _read_raw(data, position)
    return raw.decode("utf-8", "surrogatepass"), position


def _read_int(data: bytes, position: int) -> tuple[int, int]:
    return _INT.unpack_from(data, position - 1)[1], position + 8


def _read_float(data: bytes, position: int) -> tuple[float, int]:
    return _FLOAT.unpack_from(data, position - 1)[1], position + 8


def _read_complex(data: bytes, position: int) -> tuple[complex, int]:
    _, real, imaginary = _COMPLEX.unpack_from(data, position - 1)
    return complex(real, imaginary), position + 16


_READ: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    ord("N"): lambda _, position: (None, position),
    ord("T"): lambda _, position: (True, position),
    ord("F"): lambda _, position: (False, position),
    ord("i"): _read_int,
    ord("I"): _read_big,
    ord("d"): _read_float,
    ord("c"): _read_complex,
    ord("s"): _read_str,
    ord("b"): _read_raw,
}


def _check_hashes(keys: list[Any]) -> None:
    """Refuse keys chosen so that putting them into a table takes for ever."""
    if len(keys) <= _EQUAL_HASHES:
        return
    hashes = sorted(map(hash, keys))
    if any(one == other for one, other in zip(hashes, hashes[_EQUAL_HASHES:], strict=False)):
        message = "its keys have equal hashes"
        raise MalformedMessage(message)


def _close_dict(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    _check_hashes(keys)
    return _of_size(dict(zip(keys, items[1::2], strict=True)), len(keys))


def _close_set(items: list[Any]) -> set[Any]:
    _check_hashes(items)
    return _of_size(set(items), len(items))


def _close_frozenset(items: list[Any]) -> frozenset[Any]:
    _check_hashes(items)
    return _of_size(frozenset(items), len(items))


def _of_size(made: C, size: int) -> C:
    if len(made) != size:
        message = "a key is there twice"
        raise MalformedMessage(message)
    return made


def closed(tag: str, items: list[Any]) -> Any:
    """Return the container with these items; `tag` says which: one of ``l t D S Z``.

    Raises:
        MalformedMessage: if it isn't one of those, or its keys won't do.
    """
    close = _CLOSE.get(ord(tag)) if tag in {"l", "t", "D", "S", "Z"} else None
    if close is None or (tag == "D" and len(items) % 2):
        message = "no container"
        raise MalformedMessage(message)
    try:
        return close(items)
    except TypeError:
        message = "a key that can't be one"
        raise MalformedMessage(message) from None


def _close_array(items: list[Any]) -> Any:
    import numpy as np  # noqa: PLC0415 - needed only by who uses it

    name, shape, raw = items
    if not (type(name) is str and _PLAIN_DTYPE.fullmatch(name) and type(raw) is bytes):
        message = "an array of something else than plain numbers"
        raise MalformedMessage(message)
    dtype = np.dtype(name)
    return np.frombuffer(raw, dtype=dtype).reshape(shape).copy()


def _close_scalar(items: list[Any]) -> Any:
    return _close_array([items[0], (), items[2]])[()]


_CLOSE: dict[int, Callable[[list[Any]], Any]] = {
    ord("l"): lambda items: items,
    ord("t"): tuple,
    ord("D"): _close_dict,
    ord("S"): _close_set,
    ord("Z"): _close_frozenset,
    ord("A"): _close_array,
    ord("G"): _close_scalar,
}
