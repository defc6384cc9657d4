"""The operators as data: one row each.

A row gives the name, the function on plain values, the sentence that a model reads, the method of a
node that stands for it and, for arithmetic, the reflected method. `methods.py` makes methods of the
rows and `operators.py` functions.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from opto.trace.ops import Op


class Row(NamedTuple):
    """One operator.

    Attributes:
        op: the operation.
        method: name of the node's method ("" for none).
        reflected: name of the method for a plain left operand ("" for none).
        kind: how the method is called: "unary", "binary", "call" (any arguments) or "change"
            (changes the node's value in place).
    """

    op: Op
    method: str = ""
    reflected: str = ""
    kind: str = "call"


def _row(
    name: str,
    function: Callable[..., Any],
    says: str,
    arguments: str = "x y",
    *,
    method: str = "",
    reflected: str = "",
    kind: str = "call",
) -> Row:
    op = Op(name, f"[{name}] This is an operator: {says}.", tuple(arguments.split()), function)
    return Row(op, method, reflected, kind)


def _binary(name: str, function: Callable[..., Any], sign: str, dunder: str = "") -> Row:
    stem = dunder or name
    return _row(
        name,
        function,
        f"x {sign} y",
        method=f"__{stem}__",
        reflected=f"__r{stem}__",
        kind="binary",
    )


def _compare(name: str, function: Callable[..., Any], sign: str, method: str) -> Row:
    return _row(name, function, f"x {sign} y", method=method, kind="binary")


def _unary(name: str, function: Callable[..., Any], says: str, method: str = "") -> Row:
    return _row(name, function, says, "x", method=method, kind="unary")


def _method(name: str, arguments: str = "", owner: str = "str") -> Row:
    """Row of a method of the value itself, under the same name."""
    says = f"x.{name}({', '.join(arguments.split())}) of a {owner} x"
    return _row(name, calling(name), says, f"x {arguments}", method=name)


def _change(method: str, arguments: str = "", owner: str = "list", name: str = "") -> Row:
    """Row of a method that changes the value in place; here it works on a copy."""
    says = f"x.{method}({', '.join(arguments.split())}), which changes the {owner} x"
    row_name, function = name or method.strip("_"), calling(method)
    return _row(row_name, function, says, f"x {arguments}", method=method, kind="change")


def calling(name: str) -> Callable[..., Any]:
    """Return a function that calls the method `name` of its first argument with the others."""

    def call(x: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    call.__name__ = name
    return call


def _pure(owner: type, name: str, arguments: str = "") -> Row:
    """Row ``list_append`` and its like: the method on a copy, and the copy is the result."""

    def changed(x: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = copy.copy(x)
        getattr(result, name)(*args, **kwargs)
        return result

    full = f"{owner.__name__}_{name}"
    changed.__name__ = full
    says = f"a copy of the {owner.__name__} x after x.{name}({', '.join(arguments.split())})"
    return _row(full, changed, says, f"x {arguments}")


def _keys(x: Any) -> list[Any]:
    return list(_mapping_method(x, "keys")())


def _values(x: Any) -> list[Any]:
    return list(_mapping_method(x, "values")())


def _mapping_method(x: Any, name: str) -> Callable[[], Any]:
    method = getattr(x, name, None)
    if method is None:
        message = f"{type(x)} object has no attribute '{name}'."
        raise AttributeError(message)
    return method  # type: ignore[no-any-return]  # a bound method of the value


def _call(fun: Any, /, *args: Any, **kwargs: Any) -> Any:
    if not callable(fun):
        message = f"{type(fun).__name__} object is not callable"
        raise TypeError(message)
    return fun(*args, **kwargs)


def _power(x: Any, y: Any, modulo: Any = None) -> Any:
    return pow(x, y) if modulo is None else pow(x, y, modulo)


def _round(x: Any, ndigits: Any = None) -> Any:
    return round(x) if ndigits is None else round(x, ndigits)


def _format(x: Any, /, *args: Any, **kwargs: Any) -> Any:
    return x.format(*args, **kwargs)


def _join(x: Any, *y: Any) -> Any:
    return x.join(y)


def _pop(x: Any, *index: Any) -> Any:
    return copy.copy(x).pop(*index)


def _in(x: Any, y: Any) -> bool:
    return x in y


def _not_in(x: Any, y: Any) -> bool:
    return x not in y


def _cond(condition: Any, x: Any, y: Any) -> Any:
    return x if condition else y


def _make_list(*args: Any) -> list[Any]:
    return list(args)


def _make_tuple(*args: Any) -> tuple[Any, ...]:
    return args


def _make_set(*args: Any) -> set[Any]:
    return set(args)


def _make_dict(**kwargs: Any) -> dict[str, Any]:
    return kwargs


_operator: Any = operator  # its functions are for any values

ARITHMETIC = (
    _binary("add", _operator.add, "+"),
    _binary("subtract", _operator.sub, "-", "sub"),
    _binary("multiply", _operator.mul, "*", "mul"),
    _binary("matmul", _operator.matmul, "@"),
    _binary("divide", _operator.truediv, "/", "truediv"),
    _binary("floor_divide", _operator.floordiv, "//", "floordiv"),
    _binary("mod", _operator.mod, "%"),
    _binary("lshift", _operator.lshift, "<<"),
    _binary("rshift", _operator.rshift, ">>"),
    _binary("and_", _operator.and_, "&", "and"),
    _binary("or_", _operator.or_, "|", "or"),
    _binary("xor", _operator.xor, "^"),
    _row("power", _power, "x ** y", "x y"),
    _row("node_divmod", divmod, "(x // y, x % y)", method="__divmod__", reflected="__rdivmod__"),
    _row("concat", _operator.add, "the text x followed by the text y"),
    _unary("pos", _operator.pos, "+x", "__pos__"),
    _unary("neg", _operator.neg, "-x", "__neg__"),
    _unary("invert", _operator.invert, "~x", "__invert__"),
    _unary("abs", abs, "the absolute value of x", "__abs__"),
    _unary("floor", math.floor, "the greatest integer not above x", "__floor__"),
    _unary("ceil", math.ceil, "the least integer not below x", "__ceil__"),
    _unary("trunc", math.trunc, "x without its fraction", "__trunc__"),
    _row("round", _round, "x rounded to ndigits", "x ndigits", method="__round__"),
)
COMPARISON = (
    _compare("lt", _operator.lt, "<", "__lt__"),
    _compare("le", _operator.le, "<=", "__le__"),
    _compare("gt", _operator.gt, ">", "__gt__"),
    _compare("ge", _operator.ge, ">=", "__ge__"),
    _compare("eq", _operator.eq, "==", "eq"),
    _compare("neq", _operator.ne, "!=", "neq"),
    _row("ne", _operator.ne, "x != y"),
    _row("is_", _operator.is_, "x is y"),
    _row("is_not", _operator.is_not, "x is not y"),
    _row("in_", _in, "x in y"),
    _row("not_in", _not_in, "x not in y"),
    _unary("not_", _operator.not_, "not x"),
    _row("cond", _cond, "x if condition else y", "condition x y"),
)
ACCESS = (
    _row("getitem", _operator.getitem, "x[index]", "x index", method="__getitem__", kind="binary"),
    _row("node_getattr", getattr, "the attribute attr of obj", "obj attr"),
    _row("call", _call, "a call of the function fun with the arguments", "fun"),
    _unary("len_", len, "the number of items in x", "len"),
    _unary("ord_", ord, "the code of the character x"),
    _unary("chr_", chr, "the character with the code x"),
    _unary("clone", copy.deepcopy, "a deep copy of x", "clone"),
    _unary("next_item", next, "the next item of the iterator x"),
    _unary("keys", _keys, "the list of the keys of x", "keys"),
    _unary("values", _values, "the list of the values of x", "values"),
)
MAKING = (
    _unary("to_list", list, "the list of the items of x"),
    _unary("to_tuple", tuple, "the tuple of the items of x"),
    _unary("to_set", set, "the set of the items of x"),
    _unary("to_dict", dict, "the dict made of x"),
    _row("make_list", _make_list, "the list of the inputs", ""),
    _row("make_tuple", _make_tuple, "the tuple of the inputs", ""),
    _row("make_set", _make_set, "the set of the inputs", ""),
    _row("make_dict", _make_dict, "the dict of the named inputs", ""),
)
TEXT = (
    *(_method(name) for name in ("capitalize", "casefold", "lower", "upper", "swapcase", "title")),
    *(_method(name) for name in ("isalnum", "isalpha", "isdecimal", "isdigit", "isidentifier")),
    *(_method(name) for name in ("islower", "isnumeric", "isprintable", "isspace", "istitle")),
    *(_method(name) for name in ("isascii", "isupper")),
    *(_method(name, "chars") for name in ("strip", "lstrip", "rstrip")),
    *(_method(name, "y maxsplit") for name in ("split", "rsplit")),
    *(_method(name, "sep") for name in ("partition", "rpartition")),
    *(_method(name, "sub start end") for name in ("find", "rfind", "rindex")),
    *(_method(name, "affix start end") for name in ("startswith", "endswith")),
    *(_method(name, "affix") for name in ("removeprefix", "removesuffix")),
    *(_method(name, "width fillchar") for name in ("center", "ljust", "rjust")),
    _method("zfill", "width"),
    _method("splitlines", "keepends"),
    _method("expandtabs", "tabsize"),
    _method("translate", "table"),
    _method("encode", "encoding errors"),
    _method("decode", "encoding errors", "bytes"),
    _method("replace", "old new count"),
    _row("format", _format, "the text x with the arguments put in", "x", method="format"),
    _row("join", _join, "the texts y joined by the text x", "x"),
)
COLLECTIONS = (
    _method("count", "value start end", "sequence"),
    _method("index", "value start end", "sequence"),
    _method("get", "key default", "dict"),
    *(_method(name, "", "set") for name in ("union", "intersection", "difference")),
    _method("symmetric_difference", "other", "set"),
    *(_method(name, "other", "set") for name in ("issubset", "issuperset", "isdisjoint")),
)
_SET = {"method": "__setitem__", "kind": "change"}
_DELETE = {"method": "__delitem__", "kind": "change"}
CHANGES = (
    _change("append", "item"),
    _change("extend", "items"),
    _change("insert", "index item"),
    _change("remove", "item"),
    _change("reverse"),
    _change("sort"),
    _change("clear"),
    _change("pop", "index default"),
    _change("popitem", "", "dict"),
    _change("setdefault", "key default", "dict"),
    _change("update", "", "dict"),
    _change("add", "item", "set", name="add_item"),
    _change("discard", "item", "set"),
    *(_change(f"{name}_update", "", "set") for name in ("intersection", "difference")),
    _change("symmetric_difference_update", "other", "set"),
    _row("setitem", _operator.setitem, "x[index] = item", "x index item", **_SET),
    _row("delitem", _operator.delitem, "del x[index]", "x index", **_DELETE),
)
PURE = (
    _row("pop", _pop, "the item that x.pop(index) gives", "x index"),
    _pure(list, "append", "item"),
    _pure(list, "clear"),
    _pure(list, "extend", "items"),
    _pure(list, "insert", "index item"),
    _pure(list, "pop", "index"),
    _pure(list, "remove", "item"),
    _pure(list, "reverse"),
    _pure(list, "sort"),
    _pure(dict, "update"),
    _pure(dict, "pop", "key default"),
    _pure(dict, "popitem"),
    _pure(set, "add", "item"),
    _pure(set, "clear"),
    _pure(set, "discard", "item"),
    _pure(set, "intersection_update"),
    _pure(set, "pop"),
    _pure(set, "remove", "item"),
    _pure(set, "symmetric_difference_update", "other"),
    _pure(set, "update"),
)

METHODS = (*ARITHMETIC, *COMPARISON, *ACCESS, *TEXT, *COLLECTIONS, *CHANGES)
FUNCTIONS = (*ARITHMETIC, *COMPARISON, *ACCESS, *MAKING, *TEXT, *COLLECTIONS, *PURE)
BY_NAME = {row.op.name: row for row in (*METHODS, *FUNCTIONS)}
