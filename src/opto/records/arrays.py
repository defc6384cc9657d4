"""Arrays and scalars of numpy, where a program uses it: numbers as text if that is exact.

Numpy is imported only to read a file in which there are arrays.
"""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Iterable
from typing import Any

from opto.records.text import as_integer, as_real, integer, quoted, unquoted

WORDS = frozenset({"array", "scalar", "array-bytes", "scalar-bytes"})
_TYPE = re.compile(
    r"[<>|](?:b1|[iu][1248]|f(?:[248]|16)|c(?:8|16|32)|[SU][1-9][0-9]{0,5}|[mM]8(?:\[\w{1,6}\])?)"
)
_HEAD = re.compile(r'(\S+) ("\S+")((?: [0-9]{1,12}){0,32})')
_ROW = 12
_BYTES_PER_LINE = 32


def hex_lines(data: bytes) -> list[str]:
    """Return bytes in base 16, some on each line."""
    starts = range(0, len(data), _BYTES_PER_LINE)
    return [data[start : start + _BYTES_PER_LINE].hex() for start in starts]


def from_hex(lines: Iterable[str]) -> bytes:
    """Return the bytes of `hex_lines`; raises `ValueError` for anything else."""
    digits = "".join(lines)
    if not re.fullmatch(r"(?:[0-9a-f]{2})*", digits):
        message = "these are no bytes in base 16"
        raise ValueError(message)
    return bytes.fromhex(digits)


def lines(value: Any) -> list[str] | None:
    """Return an array or scalar of plain type as lines; None for any other value."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return None
    scalar = isinstance(value, numpy.generic)
    if not scalar and type(value) is not numpy.ndarray:
        return None
    kind: str = value.dtype.str
    lossy = value.dtype.kind in "SU" or type(value) is not numpy.dtype(kind).type
    if not _TYPE.fullmatch(kind) or (scalar and lossy):
        return None
    array = numpy.asarray(value)
    head = " ".join([quoted(kind), *map(str, array.shape)])
    word = "scalar" if scalar else "array"
    data: bytes = array.tobytes()
    rows = _rows(array)
    if rows is not None and _from_rows(numpy, kind, rows).tobytes() == data:
        return [f"{word} {head}", *rows]
    return [f"{word}-bytes {head}", *hex_lines(data)]


def _rows(array: Any) -> list[str] | None:
    """Return the numbers as text, a row of the array on each line if it isn't too long."""
    if array.dtype.kind in "iu":
        words = [integer(number) for number in array.ravel().tolist()]
    elif array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        words = [str(number) for number in array.ravel()]  # the shortest of its precision
    else:
        return None
    last = array.shape[-1] if array.ndim else 1
    width = last if 0 < last <= _ROW else _ROW
    return [" ".join(words[start : start + width]) for start in range(0, len(words), width)]


def _from_rows(numpy: Any, kind: str, rows: Iterable[str]) -> Any:
    read = as_integer if numpy.dtype(kind).kind in "iu" else as_real
    with numpy.errstate(all="ignore"):
        return numpy.array([read(word) for row in rows for word in row.split(" ")], dtype=kind)


def value(head: str, rows: list[str]) -> Any:
    """Return the array or scalar; raises `ValueError` if there is none."""
    found = _HEAD.fullmatch(head)
    kind = unquoted(found[2]) if found else ""
    if found is None or not _TYPE.fullmatch(kind):
        message = f"{head[:40]!r} is no array"
        raise ValueError(message)
    numpy = _numpy()
    word, shape = found[1], tuple(map(int, found[3].split()))
    if word.endswith("-bytes"):
        flat = numpy.frombuffer(from_hex(rows) or b"", dtype=kind) if rows else numpy.empty(0, kind)
    else:
        flat = _from_rows(numpy, kind, rows)
    if flat.size != math.prod(shape):
        message = f"an array of shape {shape} has {math.prod(shape)} items, not {flat.size}"
        raise ValueError(message)
    array = flat.reshape(shape).copy()
    return array[()] if word.startswith("scalar") else array


def _numpy() -> Any:
    try:
        return importlib.import_module("numpy")
    except ImportError as error:
        message = "reading an array needs the package numpy; run: pip install numpy"
        raise ValueError(message) from error
