"""Reads what the original's `Module.save` wrote, which are pickles, without running them.

A pickle is a program for a stack machine. This is a machine that knows the few instructions by
which data is built. It never imports, finds or calls anything a file names: an instance of a class,
whatever class, becomes an `Instance`, which is a name and a state; a call is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from opto.errors import ParameterFileError
from opto.trace.containers import RESERVED

_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})
_NUMBERS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"})
_TEXTS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_PUSHED = frozenset({*_NUMBERS, *_TEXTS, "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"})
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
}
_MAX_DEPTH = 100


class Name(NamedTuple):
    """What a pickle refers to by name; it is not looked up."""

    module: str
    name: str


_SETS: dict[Name, Callable[[Iterable[Any]], Any]] = {
    Name(module, kind.__name__): kind
    for module in ("builtins", "__builtin__")
    for kind in (set, frozenset)
}


class Instance:
    """An instance of a class: the class's name, and the attributes."""

    def __init__(self, kind: Name) -> None:
        self.kind = kind
        self.state: dict[Any, Any] = {}


class _Mark:
    """Where the arguments of an instruction start."""


_MARK = _Mark()


class _Machine:
    """Builds data by the instructions of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        """Return what the pickle builds; raises `ValueError`, or what else a broken one does."""
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                (result,) = self.stack
                return result
            self.step(opcode.name, argument)
        message = "it has no end"
        raise ValueError(message)

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in {"BINGET", "LONG_BINGET"}:
            self.stack.append(self.memo[argument])
        elif name in {"BINPUT", "LONG_BINPUT"}:
            self.memo[argument] = self.stack[-1]
        elif name in _STEPS:
            _STEPS[name](self)
        elif name == "GLOBAL":
            self.stack.append(Name(*argument.split(" ", 1)))
        elif name not in {"PROTO", "FRAME"}:
            message = f"it has the instruction {name}, which plain data doesn't need"
            raise ValueError(message)

    def marked(self) -> list[Any]:
        """Take everything above the last mark."""
        at = max(index for index, item in enumerate(self.stack) if item is _MARK)
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def add(self, items: list[Any]) -> None:
        into = self.stack[-1]
        if not isinstance(into, list):
            message = f"it appends to {into!r}"
            raise TypeError(message)
        into.extend(items)

    def put(self, items: list[Any]) -> None:
        into = self.stack[-1]
        if isinstance(into, dict) and len(items) % 2 == 0:
            into.update(zip(map(_key, items[::2]), items[1::2], strict=True))
        elif not isinstance(into, dict):
            message = f"it sets items of {into!r}"
            raise TypeError(message)

    def tuple_of(self, count: int) -> None:
        self.stack[len(self.stack) - count :] = [tuple(self.stack[len(self.stack) - count :])]

    def name(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(Name(str(module), str(name)))

    def instance(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(kind, Name) or arguments != ():
            message = f"it makes an instance of {kind!r} with arguments"
            raise TypeError(message)
        self.stack.append(Instance(kind))

    def call(self) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        if what in {Name("collections", "defaultdict"), Name("collections", "OrderedDict")}:
            self.stack.append({})
        elif what in _SETS:  # as older protocols write them
            (items,) = arguments
            self.stack.append(_SETS[what](map(_key, items)))
        elif what == Name("builtins", "complex") and all(type(x) is float for x in arguments):
            self.stack.append(complex(*arguments))
        else:
            shown = ".".join(what) if isinstance(what, Name) else repr(what)
            message = f"it wants to call {shown}; it was not called"
            raise ValueError(message)

    def build(self) -> None:
        state = self.stack.pop()
        into = self.stack[-1]
        parts = state if isinstance(state, tuple) else (state,)  # of __dict__ and of slots
        if isinstance(into, Instance) and all(isinstance(x, (dict, type(None))) for x in parts):
            for part in parts:
                into.state.update(part or {})
        else:
            message = f"it sets the state of {into!r}"
            raise TypeError(message)


_STEPS: dict[str, Callable[[_Machine], object]] = {
    "MARK": lambda m: m.stack.append(_MARK),
    "POP": lambda m: m.stack.pop(),
    "POP_MARK": lambda m: m.marked(),
    "MEMOIZE": lambda m: m.memo.setdefault(len(m.memo), m.stack[-1]),
    "APPEND": lambda m: m.add([m.stack.pop()]),
    "APPENDS": lambda m: m.add(m.marked()),
    "SETITEM": lambda m: m.put([m.stack.pop(-2), m.stack.pop()]),
    "SETITEMS": lambda m: m.put(m.marked()),
    "ADDITEMS": lambda m: _add_to_set(m, m.marked()),
    "FROZENSET": lambda m: m.stack.append(frozenset(map(_key, m.marked()))),
    "TUPLE": lambda m: m.stack.append(tuple(m.marked())),
    "TUPLE1": lambda m: m.tuple_of(1),
    "TUPLE2": lambda m: m.tuple_of(2),
    "TUPLE3": lambda m: m.tuple_of(3),
    "STACK_GLOBAL": _Machine.name,
    "NEWOBJ": _Machine.instance,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
}


def _add_to_set(machine: _Machine, items: list[Any]) -> None:
    into = machine.stack[-1]
    if not isinstance(into, set):
        message = f"it adds to {into!r}"
        raise TypeError(message)
    into.update(map(_key, items))


def _key(key: Any) -> Any:
    """Return a key of a dict or set if its hash is cheap: nested tuples can take for ever."""
    parts = key if type(key) is tuple else (key,)
    if all(type(part) in _SCALARS or isinstance(part, Instance) for part in parts):
        return key
    message = f"a {type(key).__name__} is a key"
    raise TypeError(message)


def parameters_of(data: bytes, source: str) -> dict[str, Any]:
    """Return the values of the parameters in a pickle, by dotted path.

    Raises:
        ParameterFileError: if the pickle is broken, or holds more than plain data and nodes.
    """
    try:
        tree = _Machine().run(data)
        if not isinstance(tree, dict):
            message = f"it holds {tree!r} instead of parameters"
            raise TypeError(message)
        return dict(_found("", tree.get("parameters_dict", tree), 0))
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        message = f"{source} is no pickle of parameters that can be read: {error}"
        raise ParameterFileError(message) from None


def _found(path: str, item: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the path and value of each parameter in a container."""
    if depth > _MAX_DEPTH:
        message = f"its containers are nested more than {_MAX_DEPTH} deep"
        raise ValueError(message)
    start = f"{path}." if path else ""
    if isinstance(item, Instance) and "_data" in item.state:
        if item.kind.name == "ParameterNode":
            yield path, item.state["_data"]
    elif isinstance(item, Instance):
        yield from _found(path, item.state.get("data", item.state), depth + 1)
    elif isinstance(item, list):
        for index, inner in enumerate(item):
            yield from _found(f"{start}{index}", inner, depth + 1)
    elif isinstance(item, dict):
        for key, inner in item.items():
            if not str(key).startswith(RESERVED):
                yield from _found(f"{start}{key}", inner, depth + 1)
