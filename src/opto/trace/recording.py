"""Where nodes for constants and results are made, for all kinds of nodes.

This is the hot path: every traced operation ends here.
"""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import ref

from opto.trace.abstract import LEARNS
from opto.trace.children import adopt
from opto.trace.ops import Op
from opto.trace.scope import SCOPE

K = TypeVar("K")

_new = object.__new__


def constant(kind: type[K], value: Any, name: str | None = None) -> K:
    """Return a plain node for `value`: ``kind(value, name=name)``, without the checks."""
    made: Any = _new(kind)
    base = value.__class__.__name__ if name is None else name
    scope = SCOPE.get()
    counter = scope.counters.get(base) or scope.counter(base)
    made._data = value
    made._counter = counter
    made._number = counter.take()
    made._extra = made._children = None
    return made  # type: ignore[no-any-return]  # an instance of `kind`


def record(kind: type[K], op: Op, inputs: tuple[Any, ...], value: Any) -> K:
    """Return the node of class `kind` for the result of an operation.

    Under `stop_tracing` it has no inputs.
    """
    made: Any = _new(kind)
    scope = SCOPE.get()
    name = op.name
    counter = scope.counters.get(name) or scope.counter(name)
    made._data = value
    made._op = op
    made._counter = counter
    made._number = counter.take()
    made._extra = made._children = None
    if not scope.recording:
        made._inputs, made._flags = (), 0
        return made  # type: ignore[no-any-return]  # an instance of `kind`
    made._inputs = inputs
    flags = 0
    reference = ref(made)
    for parent in inputs:
        flags |= parent._flags
        known = parent._children
        if known is None:
            parent._children = reference
        elif known is not reference:
            adopt(parent, reference, id(made))
    made._flags = flags & LEARNS
    return made  # type: ignore[no-any-return]  # an instance of `kind`
