"""Which results feedback on an output passes on its way to the trainable roots."""

from __future__ import annotations

from threading import RLock
from typing import Any

from opto.errors import AlreadyPropagated
from opto.trace import graph
from opto.trace.abstract import CONSUMED, HIDDEN, LEARNS, SEEN, sources_of

_walking = RLock()


def reached(output: Any) -> tuple[list[Any], list[Any]]:
    """Return the results between the trainable roots and `output`, and those next to such a root.

    Both in no particular order. What leads to no trainable root is left out, but `output` is always
    there.

    Raises:
        AlreadyPropagated: if one of them was consumed.
    """
    found = [output]
    last: list[Any] = []
    # A mark on the node, not a set of those seen: the set of a large graph fits in no cache. The
    # marks are gone when the lock is.
    with _walking:
        output._flags |= SEEN
        try:
            for node in found:  # grows while it is walked
                flags = node._flags
                if flags & CONSUMED:
                    raise _consumed(node)
                beside = False
                for parent in sources_of(node) if flags & HIDDEN else node._inputs:
                    flags = parent._flags
                    if not flags & LEARNS or flags & SEEN:
                        continue
                    if parent._inputs:
                        parent._flags = flags | SEEN
                        found.append(parent)
                    else:
                        beside = True
                if beside:
                    last.append(node)
        finally:
            _unmark(found)
    return found, last


def _unmark(nodes: list[Any]) -> None:
    for node in nodes:
        node._flags &= ~SEEN


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
