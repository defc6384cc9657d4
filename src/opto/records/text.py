"""Texts and numbers as they stand in a parameter file, exact both ways."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}
_LONG = {written: char for char, written in _SHORT.items()}
_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|U[0-9a-f]{8}|.?)", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,39}|0x[0-9a-f]+)")
_FLOAT = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e[+-][0-9]{1,3})?")
_NAN = struct.pack(">d", math.nan)
_DECIMAL_BITS = 128  # longer numbers stand in base 16, which takes linear time and has no limit


def quoted(text: str) -> str:
    """Return the text on one line, in double quotes; what can't be seen is escaped."""
    return f'"{_escaped(text, quotes=True)}"'


def unquoted(written: str) -> str:
    """Return the text that `quoted` wrote; raises `ValueError` for anything else."""
    text, rest = split_quoted(written)
    if rest:
        message = f"{rest[:40]!r} stands after a text in quotes"
        raise ValueError(message)
    return text


def split_quoted(written: str) -> tuple[str, str]:
    """Return the text in quotes that `written` starts with, and what follows it."""
    found = _QUOTED.match(written)
    if found is None:
        message = f"{written[:40]!r} has no closing quote"
        raise ValueError(message)
    return _unescaped(found[1]), written[found.end() :]


def block(text: str) -> list[str]:
    """Return the text as lines of a block: those as they are start with ``|``.

    Lines with characters that can't be seen, or that editors drop, start with a backslash and have
    escapes in them.
    """
    return [_block_line(line) for line in text.split("\n")]


def _block_line(line: str) -> str:
    if not line:
        return "|"
    if line.replace("\t", "").isprintable() and line[-1] not in " \t":
        return f"| {line}"
    escaped = _escaped(line, quotes=False)
    return f"\\ {escaped[:-1]}\\u0020" if escaped[-1] == " " else f"\\ {escaped}"


def unblock(lines: Iterable[str]) -> str:
    """Return the text of a block; raises `ValueError` if a line is none of a block."""
    return "\n".join(_unblocked(line) for line in lines)


def _unblocked(line: str) -> str:
    if line == "|":
        return ""
    if line[:2] == "| ":
        return line[2:]
    if line[:2] == "\\ ":
        return _unescaped(line[2:])
    message = f"{line[:40]!r} is no line of a text: those start with '| '"
    raise ValueError(message)


def _escaped(text: str, *, quotes: bool) -> str:
    if text.isprintable() and "\\" not in text and '"' not in text:
        return text
    special = '\\"' if quotes else "\\"
    return "".join(
        char if char.isprintable() and char not in special else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    code = ord(char)
    return _SHORT.get(char) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_meant, text) if "\\" in text else text


def _meant(found: re.Match[str]) -> str:
    written = found[0]
    if len(written) > 2:
        return chr(int(written.lstrip("\\uU"), 16))
    if written not in _LONG:
        message = f"unknown escape {written!r}"
        raise ValueError(message)
    return _LONG[written]


def integer(number: int) -> str:
    """Return a whole number as text."""
    return str(number) if number.bit_length() <= _DECIMAL_BITS else hex(number)


def real(number: float) -> str:
    """Return a floating-point number as text: the shortest that is exact."""
    if math.isnan(number):
        bits = struct.pack(">d", number)
        return "nan" if bits == _NAN else f"nan:{bits.hex()}"
    return repr(number)


def as_integer(token: str) -> int:
    """Return the whole number; raises `ValueError` if it is none."""
    if not _INTEGER.fullmatch(token):
        message = f"{token[:40]!r} is no whole number"
        raise ValueError(message)
    return int(token, 16) if "x" in token else int(token)


def as_real(token: str) -> float:
    """Return the floating-point number; raises `ValueError` if it is none."""
    if token in {"nan", "inf", "-inf"}:
        return float(token)
    if re.fullmatch(r"nan:[0-9a-f]{16}", token):
        number: float = struct.unpack(">d", bytes.fromhex(token[4:]))[0]
        if math.isnan(number):
            return number
    elif _FLOAT.fullmatch(token) and not _INTEGER.fullmatch(token):
        return float(token)
    message = f"{token[:40]!r} is no number"
    raise ValueError(message)
