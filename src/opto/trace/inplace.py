"""Changes in place, without rewriting what happened before.

``x.append(1)`` changes the value that ``x`` stands for, as in plain Python. What was computed from
``x`` earlier must go on showing the value that it was computed from. So the new value is a copy,
and the old one moves to a node of its own:

- For a parameter, that node is a copy of it (``clone``). The parameter stays a root.
- For any other node it is a twin that takes its place in the graph. The node itself becomes the
  result of the change, so what was put in is among its inputs.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from opto.trace.abstract import LEARNS
from opto.trace.children import adopt, disown, living
from opto.trace.ops import Op
from opto.trace.recording import record
from opto.trace.table import BY_NAME

_CLONE = BY_NAME["clone"].op


def earlier(node: Any, result: type[Any]) -> Any:
    """Return the node that stands for the value of `node` before a change.

    What was computed from `node` so far has it as its input from now on.
    """
    before = living(node)
    if _is_parameter(node):
        twin = record(result, _CLONE, (node,), node._data)
    else:
        twin = _twin(node)
        node._children = None
    for child in before:
        child._inputs = tuple(twin if parent is node else parent for parent in child._inputs)
        adopt(twin, ref(child))
    return twin


def _twin(node: Any) -> Any:
    """Return a node that takes the place of `node` in the graph."""
    kind: type[Any] = type(node)
    twin: Any = object.__new__(kind)
    twin._data, twin._counter, twin._children = node._data, node._counter, None
    twin._number = node._counter.take()
    twin._extra = None if node._extra is None else dict(node._extra)
    for slot in kind._own_state:
        setattr(twin, slot, getattr(node, slot))
    for parent in node._inputs:
        disown(parent, node)
        adopt(parent, ref(twin))
    return twin


def later(node: Any, value: Any, op: Op, inputs: tuple[Any, ...]) -> None:
    """Make `node` the outcome of the change `op` of ``inputs[0]``, with the new `value`."""
    node._data = value
    if not _is_parameter(node):
        node._become(op, inputs)
        for parent in inputs:
            adopt(parent, ref(node))


def _is_parameter(node: Any) -> bool:
    return bool(node._flags & LEARNS) and not node._inputs
