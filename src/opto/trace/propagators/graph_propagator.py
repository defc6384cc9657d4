"""Feedback as a note, and the graph that it concerns as a query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opto.errors import WrongType
from opto.trace import graph
from opto.trace.abstract import LEARNS, sources_of
from opto.trace.picture import Picture, draw
from opto.trace.propagators.propagators import AbstractFeedback, Delivery, Propagator
from opto.trace.reach import reached


class Note(NamedTuple):
    """What was said of an output.

    Attributes:
        output: the node that the feedback is on.
        feedback: as the user gave it.
    """

    output: Any
    feedback: Any


class TraceGraph(AbstractFeedback):
    """The part of a graph that feedback concerns; worked out when it is asked for.

    Args:
        graph: pairs of level and node. Levels are worked out anew.
        user_feedback: the feedback on the last of them.
    """

    __slots__ = ("_built", "_given", "_through", "notes")

    def __init__(self, graph: Sequence[tuple[int, Any]] = (), user_feedback: Any = None) -> None:
        self._given: tuple[Any, ...] = tuple(node for _, node in graph)
        self._through: tuple[tuple[Any, tuple[Any, ...]], ...] = ()
        self._built: list[list[Any]] | None = None
        outputs = [self._given[-1]] if self._given else []
        self.notes: tuple[Note, ...] = tuple(Note(node, user_feedback) for node in outputs)

    @classmethod
    def of(cls, note: Note, *through: Any) -> TraceGraph:
        """Return the graph of a note that came through these nodes; its output alone if none."""
        made = cls.__new__(cls)
        made._given, made._built, made.notes = (), None, (note,)
        made._through = ((note.output, through),)
        return made

    @property
    def graph(self) -> list[tuple[int, Any]]:
        """Pairs of level and node: what lies on the way of the feedback and all inputs of that.

        Sorted by level, every node after its inputs. Levels count within the graph: 0 for what has
        no input in it.
        """
        return [(level, node) for level, nodes in enumerate(self.by_level) for node in nodes]

    @property
    def by_level(self) -> list[list[Any]]:
        """The nodes of `graph`, a list for each level."""
        if self._built is None:
            self._built = self._build()
        return self._built

    def _build(self) -> list[list[Any]]:
        order = self._inputs_first()
        level: dict[int, int] = {}
        by_level: list[list[Any]] = []
        for node in order:
            highest = -1
            for parent in sources_of(node):
                above = level.get(id(parent), -1)
                if above > highest:  # noqa: PLR1730 - a call of max takes longer than all else here
                    highest = above
            highest += 1
            level[id(node)] = highest
            if highest == len(by_level):
                by_level.append([])
            by_level[highest].append(node)
        return by_level

    def _inputs_first(self) -> list[Any]:
        ways = [_way(through, outputs) for through, outputs in self._ways()]
        if len(ways) == 1 and not self._given:
            return ways[0]
        found = {id(node): node for node in self._given}
        found.update((id(node), node) for way in ways for node in way)
        order: list[Any] = list(found.values())
        if self._given:  # in no order that could be trusted

            def inside(node: Any) -> tuple[Any, ...]:
                return tuple(parent for parent in sources_of(node) if id(parent) in found)

            order = graph.inputs_first(order, inside)
        return order

    def _ways(self) -> list[tuple[tuple[Any, ...], list[Any]]]:
        """Return the outputs by what their feedback came through."""
        alike: dict[frozenset[int], tuple[tuple[Any, ...], list[Any]]] = {}
        for output, through in self._through:
            key = frozenset(id(node) for node in through)
            alike.setdefault(key, (through, []))[1].append(output)
        return list(alike.values())

    @property
    def user_feedback(self) -> Any:
        """The feedback; where several outputs have different ones, a line for each."""
        given = [note for note in self.notes if note.feedback is not None]
        if not given:
            return None
        first = given[0].feedback
        if all(note.feedback is first or _same(note.feedback, first) for note in given):
            return first
        return "\n".join(f"{note.output.py_name}: {note.feedback}" for note in given)

    def empty(self) -> bool:
        """Whether there is no node in it."""
        return not self._given and not self._through

    def __len__(self) -> int:
        return len(self.graph)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return iter(self.graph)

    def __add__(self, other: Any) -> TraceGraph:
        if not isinstance(other, TraceGraph):
            message = f"a TraceGraph can be added to a TraceGraph, not to {type(other).__name__}"
            raise WrongType(message)
        return joined([self, other])

    def __radd__(self, other: Any) -> TraceGraph:
        return self if isinstance(other, int) and other == 0 else self.__add__(other)

    @classmethod
    def expand(cls, node: Any) -> TraceGraph:
        """Return the graph inside the call that made `node`; empty if its function shows none."""
        output = (node._extra or {}).get("output")
        if output is None:
            return cls()
        return cls([(0, inner) for inner in graph.inputs_first([output], sources_of)])

    def visualize(
        self,
        simple_visualization: bool = True,  # noqa: FBT001, FBT002 - the original's signature
        reverse_plot: bool = False,  # noqa: FBT001, FBT002
        print_limit: int = 100,
    ) -> Picture:
        """Return a picture of the graph; see `Node.backward` for the arguments."""
        nodes = [node for _, node in self.graph]
        return draw(
            nodes, simple=simple_visualization, reverse=reverse_plot, limit=print_limit, only=True
        )

    def __repr__(self) -> str:
        return f"TraceGraph({len(self)} nodes, {len(self.notes)} notes)"


def _way(through: Sequence[Any], outputs: Sequence[Any]) -> list[Any]:
    """Return the outputs, what lies between, and the inputs of that, all after their inputs."""
    order = graph.inputs_first(outputs, _learnt_from)
    kept = _kept(through, outputs, order)
    shown = [node for node in order if id(node) in kept]
    for node in shown:
        if not node._flags & LEARNS and not kept.isdisjoint(map(id, node._inputs)):
            # An input was made from another input; such are rare, and only now worth a longer walk.
            return [node for node in graph.inputs_first(outputs, sources_of) if id(node) in kept]
    return shown


def _learnt_from(node: Any) -> Sequence[Any]:
    """Return the inputs of a node that depends on a parameter, nothing for any other."""
    return sources_of(node) if node._flags & LEARNS else ()


def _kept(through: Sequence[Any], outputs: Sequence[Any], order: Sequence[Any]) -> set[int]:
    """Return the ``id`` of the outputs, of what lies on the ways to them, and of the inputs."""
    wanted = {id(node) for node in through}
    kept = {id(node) for node in outputs}
    for node in order:
        key = id(node)
        parents = sources_of(node)
        if key not in wanted:
            for parent in parents:
                if id(parent) in wanted:
                    wanted.add(key)
                    break
        if key in wanted:
            kept.add(key)
            kept.update(map(id, parents))
    return kept


def joined(graphs: Sequence[TraceGraph]) -> TraceGraph:
    """Return the union of graphs in linear time; `sum` of them is the same, one by one."""
    graphs = list({id(part): part for part in graphs}.values())
    made = TraceGraph()
    given = {id(node): node for part in graphs for node in part._given}
    made._given = tuple(given.values())
    through: dict[int, tuple[Any, dict[int, Any]]] = {}
    for part in graphs:
        for output, nodes in part._through:
            _, known = through.setdefault(id(output), (output, {}))
            known.update((id(node), node) for node in nodes)
    made._through = tuple((output, tuple(nodes.values())) for output, nodes in through.values())
    notes = {(id(n.output), id(n.feedback)): n for part in graphs for n in part.notes}
    made.notes = tuple(notes.values())
    return made


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    return repr(one) == repr(other)  # what the model reads; never an array of truths, nor NaN


class GraphPropagator(Propagator):
    """Passes feedback with the graph it came through; the default.

    As nothing is computed on the way, a note is put on each trainable root directly, unless an
    operator has a rule of its own.
    """

    def init_feedback(self, node: Any, feedback: Any) -> TraceGraph:
        """Return the graph of the node alone, with the feedback as its note."""
        return TraceGraph.of(Note(node, feedback))

    def _propagate(self, child: Any) -> Mapping[Any, Any]:
        received = joined([item for items in child.feedback.values() for item in items])
        made = TraceGraph()
        made.notes, made._given = received.notes, received._given
        made._through = tuple((output, (child,)) for output, _ in received._through)
        return dict.fromkeys(sources_of(child), made)

    def deliver(self, output: Any, feedback: Any) -> tuple[list[Delivery], list[Any]]:
        """Return a note for each way from `output` to a trainable root."""
        if self.override:
            return super().deliver(output, feedback)
        note = Note(output, feedback)
        passed, last = reached(output)
        by_root: dict[int, tuple[Any, list[Any]]] = {}
        for child in last:
            for parent in sources_of(child):
                if parent._flags & LEARNS and not parent._inputs:
                    children = by_root.setdefault(id(parent), (parent, []))[1]
                    if not children or children[-1] is not child:
                        children.append(child)
        delivered: list[Delivery] = []
        for root, children in by_root.values():
            came = TraceGraph.of(note, *children)
            delivered.extend((root, child, came) for child in children)
        return delivered, passed

    def aggregate(self, feedback: Mapping[Any, Sequence[TraceGraph]]) -> TraceGraph:
        """Return the union of the feedback of a node."""
        return joined([item for items in feedback.values() for item in items])
