"""Carrying feedback from an output back to the roots."""

from __future__ import annotations

from typing import Any

from opto.trace.abstract import CONSUMED, AbstractNode
from opto.trace.propagators.propagators import AbstractPropagator
from opto.trace.scope import Counter


def propagate(
    output: Any, feedback: Any, propagator: AbstractPropagator, *, retain_graph: bool
) -> None:
    """Carry `feedback` on `output` to the trainable roots that it was made from.

    All or nothing: if anything raises, no node has changed.

    Raises:
        AlreadyPropagated: if a node on the way was used before and not retained.
    """
    if not output._inputs:
        output._add_feedback(_oracle(), propagator.init_feedback(output, feedback))
        return
    delivered, passed = propagator.deliver(output, feedback)
    for root, child, received in delivered:
        root._add_feedback(child, received)
    if not retain_graph:
        for node in passed:
            node._flags |= CONSUMED


def _oracle() -> AbstractNode[Any]:
    """Return the node that stands for whoever gives feedback; its name takes no number."""
    made: AbstractNode[Any] = object.__new__(AbstractNode)
    made._counter = Counter("FEEDBACK_ORACLE")
    made._number = made._counter.take()
    made._data, made._extra, made._children = "FEEDBACK_ORACLE", None, None
    return made
