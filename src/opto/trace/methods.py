"""The rows of the table as methods of a node.

This mixin stands below the nodes: it knows the table and three hooks, and nothing of graphs. Type
checkers see the methods through the generated `methods.pyi`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opto.trace.ops import Op
from opto.trace.table import BY_NAME, METHODS, Row

_CONCAT = BY_NAME["concat"].op
_ADD = BY_NAME["add"].op
_POWER = BY_NAME["power"].op
_POWER_MODULO = _POWER.with_arguments(("x", "y", "modulo"))
_JOIN = BY_NAME["join"].op


class Operators:
    """What a value can do, traced."""

    __slots__ = ()

    _data: Any

    def _unary(self, op: Op) -> Any:
        """Hook: apply `op` to this."""
        raise NotImplementedError

    def _binary(self, op: Op, other: Any) -> Any:
        """Hook: apply `op` to this and `other`."""
        raise NotImplementedError

    def _reflected(self, op: Op, other: Any) -> Any:
        """Hook: apply `op` to `other`, which isn't traced, and this."""
        raise NotImplementedError

    def _applied(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Hook: apply `op` to this and any further arguments."""
        raise NotImplementedError

    def _changed(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Hook: apply `op`, which changes the value of this."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self._binary(_CONCAT if isinstance(self._data, str) else _ADD, other)

    def __radd__(self, other: Any) -> Any:
        return self._reflected(_CONCAT if isinstance(other, str) else _ADD, other)

    def __pow__(self, other: Any, modulo: Any = None) -> Any:
        if modulo is None:
            return self._binary(_POWER, other)
        return self._applied(_POWER_MODULO, (other, modulo), {})

    def __rpow__(self, other: Any) -> Any:
        return self._reflected(_POWER, other)

    def join(self, seq: Any) -> Any:
        """Join the texts in `seq`; each becomes an input of the result."""
        self._require("join")
        try:
            items = tuple(seq)
        except TypeError as error:
            message = f"Can only join an iterable, not {type(seq).__name__}."
            raise TypeError(message) from error
        return self._applied(_JOIN, items, {})

    def _require(self, name: str) -> None:
        if not hasattr(self._data, name):
            message = f"{type(self._data)} object has no attribute '{name}'."
            raise AttributeError(message)


def _as_unary(op: Op) -> Callable[..., Any]:
    def method(self: Operators) -> Any:
        return self._unary(op)

    return method


def _as_binary(op: Op) -> Callable[..., Any]:
    def method(self: Operators, other: Any) -> Any:
        return self._binary(op, other)

    return method


def _as_reflected(op: Op) -> Callable[..., Any]:
    def method(self: Operators, other: Any) -> Any:
        return self._reflected(op, other)

    return method


def _as_call(op: Op, name: str) -> Callable[..., Any]:
    special = name.startswith("__")
    alone, with_one = op.with_arguments(op.arguments[:1]), op.with_arguments(op.arguments[:2])

    def method(self: Operators, /, *args: Any, **kwargs: Any) -> Any:
        if not special:
            self._require(name)
        if kwargs or len(args) > 1 or len(args) >= len(op.arguments):
            return self._applied(op, args, kwargs)
        return self._binary(with_one, *args) if args else self._unary(alone)

    return method


def _as_change(op: Op, name: str) -> Callable[..., Any]:
    special = name.startswith("__")

    def method(self: Operators, /, *args: Any, **kwargs: Any) -> Any:
        if not special:
            self._require(name)
        return self._changed(op, args, kwargs)

    return method


def _methods(row: Row) -> dict[str, Callable[..., Any]]:
    op, name = row.op, row.method
    made: dict[str, Callable[..., Any]] = {}
    if row.kind == "unary":
        made[name] = _as_unary(op)
    elif row.kind == "binary":
        made[name] = _as_binary(op)
    elif row.kind == "change":
        made[name] = _as_change(op, name)
    else:
        made[name] = _as_call(op, name)
    if row.reflected:
        made[row.reflected] = _as_reflected(op)
    return made


def _install(rows: tuple[Row, ...]) -> None:
    for row in rows:
        for name, method in _methods(row).items():
            if name and name not in Operators.__dict__:
                method.__name__ = name
                method.__qualname__ = f"Operators.{name}"
                method.__doc__ = row.op.description
                setattr(Operators, name, method)


_install(METHODS)
