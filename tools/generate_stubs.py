"""Writes `src/opto/trace/methods.pyi`, by which type checkers see the operators of a node.

The methods are made of the rows of `opto.trace.table` when Python runs; this writes them down. Run
it after a change of the table: ``python tools/generate_stubs.py``. With ``--check`` it only says
whether the file is current.
"""

from __future__ import annotations

import sys
from pathlib import Path

from opto.trace.table import METHODS, Row

STUB = Path(__file__).resolve().parent.parent / "src" / "opto" / "trace" / "methods.pyi"

# What a method gives, where that doesn't hang on the value; "_T" stands for the type of the value,
# "AnyStr" for that of a text or of bytes.
RESULTS = {
    "_T": "clone",
    "AnyStr": "capitalize casefold lower upper swapcase title strip lstrip rstrip removeprefix"
    " removesuffix center ljust rjust zfill expandtabs translate replace join",
    "list[AnyStr]": "split rsplit splitlines",
    "tuple[AnyStr, AnyStr, AnyStr]": "partition rpartition",
    "bool": "isalnum isalpha isdecimal isdigit isidentifier islower isnumeric isprintable isspace"
    " istitle isascii isupper startswith endswith issubset issuperset isdisjoint",
    "int": "len find rfind rindex count index",
    "str": "format decode",
    "bytes": "encode",
    "list[Any]": "keys values",
    "None": "append extend insert remove reverse sort clear update add discard"
    " intersection_update difference_update symmetric_difference_update",
}
REFLECTED = {row.reflected for row in METHODS if row.reflected}
RESULT_OF = {method: result for result, names in RESULTS.items() for method in names.split()}
# What arithmetic gives for values of the common types; for all others it is anything.
_NUMBERS = (("int", "int"), ("float", "float"))
ARITHMETIC: dict[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(("sub", "mul", "floordiv", "mod"), _NUMBERS),
    "add": (*_NUMBERS, ("str", "str")),
    "truediv": (("float", "float"),),
    **dict.fromkeys(("and", "or", "xor", "lshift", "rshift"), (("int", "int"),)),
    **dict.fromkeys(("neg", "pos", "abs"), _NUMBERS),
    "invert": (("int", "int"),),
}
# Python itself calls these and drops what they return.
STATEMENTS = {"__setitem__": "index: Any, item: Any", "__delitem__": "index: Any"}

HEAD = """\
# Generated from `table.py` by `python tools/generate_stubs.py`; a test says when it isn't current.
# The overloads for `NoReturn` are those for `Any`, of which nothing else is a match.
# ruff: noqa: E501
# fmt: off
# pyright: reportOverlappingOverload=false
from typing import Any, AnyStr, NoReturn, Protocol, TypeVar, overload

from opto.trace.core import MessageNode
from opto.trace.ops import Op

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

class _Holds(Protocol[_T_co]):
    @property
    def data(self) -> _T_co: ...

class Operators:
    _data: Any
    def _unary(self, op: Op) -> Any: ...
    def _binary(self, op: Op, other: Any) -> Any: ...
    def _reflected(self, op: Op, other: Any) -> Any: ...
    def _applied(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...
    def _changed(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...
    def _require(self, name: str) -> None: ...
    def __pow__(self, other: Any, modulo: Any = ..., /) -> MessageNode[Any]: ...
    def __rpow__(self, other: Any, /) -> MessageNode[Any]: ...
    def join(self: _Holds[AnyStr], seq: Any) -> MessageNode[AnyStr]: ...
"""


def signature(name: str, operand: str) -> str:
    """Return the line that declares the method `name`."""
    result = RESULT_OF.get(name, "Any")
    receiver = next((f": _Holds[{kind}]" for kind in ("_T", "AnyStr") if kind in result), "")
    return f"    def {name}(self{receiver}{operand}) -> MessageNode[{result}]: ..."


def arithmetic(name: str, operand: str) -> list[str]:
    """Return the lines of an operator of numbers or texts."""
    types = ARITHMETIC[name.strip("_").removeprefix("r") if name in REFLECTED else name.strip("_")]
    found = [f"    def {name}(self: _Holds[NoReturn]{operand}) -> MessageNode[Any]: ..."]
    for taken, given in types:
        other = operand.replace("Any", f"{taken} | _Holds[{taken}]")
        found.append(f"    def {name}(self: _Holds[{taken}]{other}) -> MessageNode[{given}]: ...")
    found.append(f"    def {name}(self{operand}) -> MessageNode[Any]: ...")
    return [line for declared in found for line in ("    @overload", declared)]


def lines_for(row: Row) -> list[str]:
    """Return the lines for the methods of one row."""
    if row.method in STATEMENTS:
        return [f"    def {row.method}(self, {STATEMENTS[row.method]}) -> None: ..."]
    operand = {"unary": "", "binary": ", other: Any, /"}.get(
        row.kind, ", *args: Any, **kwargs: Any"
    )
    if row.method.strip("_") in ARITHMETIC:
        reflected = arithmetic(row.reflected, operand) if row.reflected else []
        return [*arithmetic(row.method, operand), *reflected]
    found = [signature(row.method, operand)]
    if row.reflected:
        found.append(signature(row.reflected, ", other: Any, /"))
    return found


def stub() -> str:
    """Return the text of the stub."""
    rows = [row for row in METHODS if row.method and row.method != "join"]
    return HEAD + "".join(f"{line}\n" for row in rows for line in lines_for(row))


def main(arguments: list[str]) -> int:
    """Write the stub, or with ``--check`` compare it; 1 if it isn't current."""
    text = stub()
    if "--check" in arguments:
        current = STUB.exists() and STUB.read_text("utf-8") == text
        print("current" if current else "methods.pyi is stale: run tools/generate_stubs.py")
        return 0 if current else 1
    STUB.write_text(text, "utf-8")
    print(f"wrote {STUB.name}: {text.count('def ')} methods")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
