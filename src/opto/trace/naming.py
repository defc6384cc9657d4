"""`GRAPH`: the public proxy of the tracer's state. It keeps no node."""

from __future__ import annotations

import gc
from typing import Any

from opto.errors import InvalidArgument
from opto.trace.abstract import AbstractNode
from opto.trace.scope import SCOPE


class Graph:
    """Recording switch, names and the living nodes of the running context.

    Attributes:
        LEGACY_GRAPH_BEHAVIOR: accepted; nodes are never kept alive here.
        ALLOW_NESTED_GRAPHS: accepted; `TraceGraph.expand` needs no switch.
    """

    LEGACY_GRAPH_BEHAVIOR = False
    ALLOW_NESTED_GRAPHS = False

    @property
    def TRACE(self) -> bool:  # noqa: N802 - the original's name
        """Whether operations record their inputs, in this thread or task."""
        return SCOPE.get().recording

    @TRACE.setter
    def TRACE(self, value: bool) -> None:  # noqa: N802
        SCOPE.set(SCOPE.get().replace(recording=bool(value)))

    def clear(self) -> None:
        """Start the numbers in names again; nodes that exist stay as they are."""
        SCOPE.get().names.clear()

    def register(self, node: AbstractNode[Any]) -> None:
        """Give `node` the next number of its base name."""
        node._counter = SCOPE.get().counter(node._counter.base)
        node._number = node._counter.take()

    def count(self, name: str) -> int:
        """Return how many nodes of that base name were made since the last `clear`."""
        counters = SCOPE.get().names.counters()
        if name not in counters:
            message = f"no node called {name!r} was made; base names: {', '.join(sorted(counters))}"
            raise InvalidArgument(message)
        return counters[name].taken()

    def get(self, name: str) -> Any:
        """Return the living node of that full name (``base:number``); looks through all objects.

        Raises:
            InvalidArgument: if no living node has that name.
        """
        for node in self._living():
            if node.name == name:
                return node
        message = f"no living node is called {name!r}; names have the form 'base:number'"
        raise InvalidArgument(message)

    @property
    def roots(self) -> list[Any]:
        """The living nodes without parents; looks through all objects."""
        return [node for node in self._living() if node.is_root]

    def _living(self) -> list[Any]:
        counters = {id(counter) for counter in SCOPE.get().names.counters().values()}
        found = [obj for obj in gc.get_objects() if isinstance(obj, AbstractNode)]
        return [node for node in found if id(node._counter) in counters]

    def __len__(self) -> int:
        return SCOPE.get().names.total()

    def __str__(self) -> str:
        counters = SCOPE.get().names.counters()
        return "\n".join(f"{base}: {counter.taken()}" for base, counter in sorted(counters.items()))


GRAPH = Graph()
