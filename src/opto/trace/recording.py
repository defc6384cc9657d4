"""Where nodes for constants and results are made, for all kinds of nodes.

This is the hot path: every traced operation ends here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from weakref import ref

from opto.errors import WrongType
from opto.trace import graph
from opto.trace.abstract import HIDDEN, LEARNS, AbstractNode, sources_of
from opto.trace.children import Children
from opto.trace.ops import Op
from opto.trace.scope import SCOPE

K = TypeVar("K")

_new = object.__new__


def constant(kind: type[K], value: Any, name: str | None = None) -> K:
    """Return a plain node for `value`: ``kind(value, name=name)``, without the checks."""
    made: Any = _new(kind)
    base = value.__class__.__name__ if name is None else name
    scope = SCOPE.get()
    try:
        counter = scope.counters[base]
    except KeyError:
        counter = scope.counter(base)
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
    try:
        counter = scope.counters[op.name]
    except KeyError:
        counter = scope.counter(op.name)
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
        known = parent._children  # what follows is `adopt`, written out
        if known is None:
            parent._children = reference
        elif known.__class__ is Children:
            known.append(reference)
            if len(known) > known.limit:
                known.sweep()
        elif known is not reference:
            parent._children = Children(known, reference)
    made._flags = flags & LEARNS
    return made  # type: ignore[no-any-return]  # an instance of `kind`


def learning(inputs: tuple[AbstractNode[Any], ...]) -> int:
    """Return the flag `LEARNS` if one of the inputs has it, else 0."""
    flags = 0
    for parent in inputs:
        flags |= parent._flags
    return flags & LEARNS


def record_output(
    kind: type[K],
    op: Op,
    inputs: tuple[Any, ...],
    output: Any,
    unseen: Sequence[AbstractNode[Any]] = (),
) -> K:
    """Record the result of a function that may have returned a node.

    The result then has the value of that node, whose own history stays in ``info["output"]``;
    parameters in it, or among the nodes `unseen` that the function used, to which the inputs don't
    lead become hidden dependencies.
    """
    inner = isinstance(output, AbstractNode)
    made: Any = record(kind, op, inputs, output._data if inner else output)
    if inner and SCOPE.get().recording:
        made._extra = {"output": output}
        unseen = (*unseen, output)
    used = [node for node in unseen if node._flags & LEARNS]
    if used and SCOPE.get().recording:
        _note_hidden(made, used)
    return made  # type: ignore[no-any-return]  # an instance of `kind`


def _note_hidden(made: Any, learning: list[AbstractNode[Any]]) -> None:
    known = {id(node) for node in graph.ancestors(made._inputs, sources_of)}
    used = graph.inputs_first(learning, sources_of)
    hidden = [n for n in used if n._flags & LEARNS and not n._inputs and id(n) not in known]
    if hidden:
        made._extra = {**(made._extra or {}), "hidden": tuple(hidden)}
        made._flags |= HIDDEN | LEARNS


def checked_inputs(kind: type[Any], inputs: object) -> dict[str, Any]:
    """Return the inputs by name.

    Raises:
        WrongType: if they aren't a list or dict of instances of `kind`.
    """
    if isinstance(inputs, Mapping):
        by_name = dict(inputs)
    elif isinstance(inputs, Sequence) and not isinstance(inputs, str):
        by_name = {getattr(node, "name", repr(node)): node for node in inputs}
    else:
        message = f"inputs must be a list or a dict of nodes, not {type(inputs).__name__}"
        raise WrongType(message)
    for key, value in by_name.items():
        if not isinstance(value, kind):
            message = (
                f"input {key!r} must be a node, not {type(value).__name__}; wrap it: node(...)"
            )
            raise WrongType(message)
    return by_name
