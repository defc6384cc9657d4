"""Pickling of graphs of any depth.

A node is pickled after all that it was made from, so the pickler finds every input in its memo and
never descends from a node into its history.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any
from weakref import ref

from opto.trace import graph
from opto.trace.abstract import AbstractNode, sources_of
from opto.trace.children import adopt
from opto.trace.scope import SCOPE

_INSIDE: ContextVar[bool] = ContextVar("opto_pickling_history", default=False)
_DROPPED = frozenset({"feedback", "frames", "output", "received"})


class _History(list[Any]):
    """The ancestors of a node, inputs first; pickles itself item by item."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _History, (), None, self._one_by_one()

    def _one_by_one(self) -> Iterator[Any]:
        token = _INSIDE.set(True)
        try:
            yield from list(self)
        finally:
            _INSIDE.reset(token)


def reduced(node: AbstractNode[Any]) -> tuple[Any, ...]:
    """Return what ``__reduce__`` of a node returns."""
    inputs = sources_of(node)
    history = None
    if inputs and not _INSIDE.get():
        history = _History(graph.inputs_first(inputs, sources_of))
    own = {slot: getattr(node, slot) for slot in type(node)._own_state if hasattr(node, slot)}
    extra = {k: v for k, v in (node._extra or {}).items() if k not in _DROPPED}
    name = (node._counter.base, node._number)
    return restored, (history, type(node), node._data, name, extra or None, own)


def restored(
    _history: object,
    kind: type[Any],
    data: Any,
    name: tuple[str, int],
    extra: dict[str, Any] | None,
    own: dict[str, Any],
) -> Any:
    """Build the node that was pickled; it keeps its name."""
    node = object.__new__(kind)
    node._data, node._extra = data, extra
    node._counter = SCOPE.get().counter(name[0])
    node._number = name[1]
    node._children = None
    for slot, value in own.items():
        setattr(node, slot, value)
    for parent in node._inputs:
        adopt(parent, ref(node))
    return node
