"""What Python itself asks of a value: truth, length, numbers, text, iteration; mostly untraced."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from opto.trace import iterators
from opto.trace.abstract import AbstractNode
from opto.trace.methods import Operators
from opto.trace.ops import Op
from opto.trace.table import BY_NAME

_GETATTR = BY_NAME["node_getattr"].op


class SpecialMethods(Operators):
    """The part of a node that behaves like its value and isn't an operator.

    Where the result must be a plain value (``bool``, ``len``, ``int``, ``==``, ``in``, text), it is
    noted that a bundled function which runs depends on the node.
    """

    __slots__ = ()

    # Data frames on the left of an operator hand over, as arrays do by `__array_ufunc__`.
    __pandas_priority__ = 10_000

    _data: Any
    _note_test: Callable[[], None]

    def __bool__(self) -> bool:
        self._note_test()
        return bool(self._data)

    def __len__(self) -> int:
        self._note_test()
        return len(self._data)

    def __eq__(self, other: object) -> Any:
        self._note_test()
        if isinstance(other, AbstractNode):
            other._note_test()
            other = other._data
        return self._data == other

    def __ne__(self, other: object) -> Any:
        self._note_test()
        if isinstance(other, AbstractNode):
            other._note_test()
            other = other._data
        return self._data != other

    __hash__ = object.__hash__

    def __contains__(self, item: object) -> bool:
        self._note_test()
        if isinstance(item, AbstractNode):
            item._note_test()
            item = item._data
        return item in self._data

    def __int__(self) -> int:
        self._note_test()
        return int(self._data)

    def __float__(self) -> float:
        self._note_test()
        return float(self._data)

    def __complex__(self) -> complex:
        self._note_test()
        return complex(self._data)

    def __index__(self) -> int:
        self._note_test()
        return operator.index(self._data)

    def __format__(self, spec: str) -> str:
        self._note_test()
        return format(self._data, spec)

    def __iter__(self) -> Iterator[Any]:
        return iterators.iterate(self)

    def __reversed__(self) -> Iterator[Any]:
        return iterators.iterate_back(self)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Yield a node for each key and one for its value.

        Raises:
            AttributeError: if the value is no dict.
        """
        self._require("items")
        return iterators.iterate_items(self)

    def getattr(self, key: str) -> Any:
        """Return the attribute of the value, traced."""
        return self._binary(_GETATTR, key)

    # Arrays on the left of an operator hand over to the reflected method of a node.
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Trace a numpy function of nodes and arrays as an operator of its name."""
        given = {key: value for key, value in kwargs.items() if value is not None}
        if any(array is not None for array in given.pop("out", ())):
            return NotImplemented
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}_{method}"
        arguments = tuple("xyzuvw"[: len(inputs)])
        says = f"[{name}] This is an operator: the numpy function {name} of the inputs."
        return self._traced(Op(name, says, arguments, getattr(ufunc, method)), inputs, given)

    def _traced(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Hook: apply `op` to the arguments."""
        raise NotImplementedError
