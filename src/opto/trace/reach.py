"""Which results feedback on an output passes on its way to the trainable roots."""

from __future__ import annotations

from typing import Any

from opto.errors import AlreadyPropagated
from opto.trace import graph
from opto.trace.abstract import CONSUMED, HIDDEN, LEARNS, sources_of


def reached(output: Any) -> list[Any]:
    """Return the results between the trainable roots and `output`, in no particular order.

    What leads to no trainable root is left out, but `output` is always there.

    Raises:
        AlreadyPropagated: if one of them was consumed.
    """
    found = [output]
    seen = {id(output)}
    for node in found:  # grows while it is walked
        flags = node._flags
        if flags & CONSUMED:
            raise _consumed(node)
        for parent in sources_of(node) if flags & HIDDEN else node._inputs:
            if parent._flags & LEARNS and id(parent) not in seen:
                seen.add(id(parent))
                if parent._inputs:
                    found.append(parent)
    return found


def reached_in_order(output: Any) -> list[Any]:
    """Return the same as `reached`, each result after all of its consumers."""
    order = graph.consumers_first([output], learning_sources)
    order = [node for node in order if node._inputs or node is output]
    for node in order:
        if node._flags & CONSUMED:
            raise _consumed(node)
    return order


def learning_sources(node: Any) -> tuple[Any, ...]:
    """Return the inputs of `node` that depend on a parameter."""
    return tuple(parent for parent in sources_of(node) if parent._flags & LEARNS)


def _consumed(node: Any) -> AlreadyPropagated:
    message = (
        f"{node!s} has been backwarded. Feedback goes through a graph once; pass retain_graph=True "
        "to the earlier backward, or build the output again"
    )
    return AlreadyPropagated(message)
