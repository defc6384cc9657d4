"""Iteration over nodes: each item is a node that knows where it was taken from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from opto.trace.ops import Op
from opto.trace.table import BY_NAME

_GETITEM = BY_NAME["getitem"].op
_KEYS = BY_NAME["keys"].op
_TO_LIST = BY_NAME["to_list"].op
_UNPACK = "[iterate] This is an operator: the items of x."


def _not_iterable(value: Any) -> Any:
    message = f"Cannot unpack non-iterable {type(value)} object"
    raise TypeError(message)


_REVERSED = Op("reversed", "[reversed] This is an operator: x backwards.", ("x",), reversed)
_ITERATE = Op("iterate", _UNPACK, ("x",), _not_iterable)


def iterate(node: Any) -> Iterator[Any]:
    """Return an iterator over nodes for the items of `node`.

    Sequences and arrays give ``node[i]``; a mapping gives its keys and a set its items, by way of
    one list node; any other iterable gives a node for each item as it comes.

    Raises:
        ExecutionError: if the value can't be iterated.
    """
    node._note_test()
    value = node._data
    if _indexed(value):
        return _by_index(node)
    if isinstance(value, Mapping):
        return _by_index(node._unary(_KEYS))
    if isinstance(value, AbstractSet):
        return _by_index(node._unary(_TO_LIST))
    try:
        plain = iter(value)
    except TypeError:
        node._unary(_ITERATE)  # raises
        raise
    return _as_they_come(node, plain)


def iterate_back(node: Any) -> Iterator[Any]:
    """Return an iterator over nodes for the items of `node`, last first."""
    node._note_test()
    if _indexed(node._data):
        return (node._binary(_GETITEM, index) for index in reversed(range(len(node._data))))
    if not hasattr(node._data, "__reversed__"):
        node._unary(_REVERSED)  # raises
    backwards: Iterator[Any] = reversed(list(iterate(node)))
    return backwards


def iterate_items(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of a key node and a value node."""
    return ((key, node._binary(_GETITEM, key)) for key in iterate(node))


def _indexed(value: Any) -> bool:
    if isinstance(value, Sequence):
        return True
    kind: type[Any] = type(value)
    if kind.__module__ == "numpy":
        return bool(getattr(value, "ndim", 0))
    return kind.__module__ == "collections" and kind.__name__ == "deque"


def _by_index(node: Any) -> Iterator[Any]:
    index = 0
    while index < len(node._data):
        yield node._binary(_GETITEM, index)
        index += 1


def _as_they_come(node: Any, plain: Iterator[Any]) -> Iterator[Any]:
    while True:
        made = node._taken(plain)
        if made is None:
            return
        yield made
