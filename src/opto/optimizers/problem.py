"""What an optimizer is asked: a run of the program and its feedback, as plain values.

`read_problem` is the one place where live nodes become a `Problem`; everything later (folding,
rendering, asking) works on it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from opto.trace.nodes import MessageNode, ParameterNode
from opto.trace.propagators import TraceGraph


class Entry(NamedTuple):
    """A value of the run.

    Attributes:
        data: the value.
        constraint: what a new value must satisfy, or a hint; None if nothing was said.
        kind: its type as it is shown: "int", "str", ..., or "code".
    """

    data: object
    constraint: str | None = None
    kind: str = ""


class Step(NamedTuple):
    """An operation of the run.

    Attributes:
        level: how far from the roots.
        output: name of the result.
        function: name of the operation.
        inputs: pairs of argument and name of the value.
    """

    level: int
    output: str
    function: str
    inputs: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The operation as a line of code."""
        arguments = ", ".join(f"{argument}={name}" for argument, name in self.inputs)
        return f"{self.output} = {self.function}({arguments})"


Entries = Mapping[str, Entry]


@dataclass(frozen=True)
class Problem:
    """A run and its feedback.

    Attributes:
        steps: the operations, each after those that it needs.
        documentation: what each operation does, by its name in the steps.
        variables: the parameters, which may be changed.
        inputs: other values that were not computed in the run.
        others: values computed on the way.
        outputs: values that got feedback.
        feedbacks: pairs of output and feedback.
        folded: the lines to show for the steps, if they are too many to be shown one by one.
    """

    steps: tuple[Step, ...]
    documentation: Mapping[str, str]
    variables: Entries
    inputs: Entries
    others: Entries
    outputs: Entries
    feedbacks: tuple[tuple[str, str], ...]
    folded: tuple[str, ...] | None = None

    @property
    def code(self) -> tuple[str, ...]:
        """The lines that show the run."""
        return tuple(text for _, text in self.graph) if self.folded is None else self.folded

    @property
    def graph(self) -> list[tuple[int, str]]:
        """Pairs of level and line of code, sorted."""
        return sorted((step.level, step.text) for step in self.steps)

    @property
    def roots(self) -> Entries:
        """Variables and inputs."""
        return {**self.variables, **self.inputs}

    @property
    def output(self) -> Entries:
        """The outputs, under the original's name."""
        return self.outputs

    @property
    def user_feedback(self) -> str:
        """The feedback; a line for each output where they differ."""
        texts = {text for _, text in self.feedbacks}
        if len(texts) == 1:
            return next(iter(texts))
        return "\n".join(f"{name}: {text}" for name, text in self.feedbacks)


class NameBook:
    """Gives each node a name of its own; parameters come first and keep theirs for ever.

    ``x1:0`` and ``x:10`` are both ``x10`` by their `py_name`; here one of them is ``x1_0``.
    """

    def __init__(self, parameters: Sequence[ParameterNode[Any]] = ()) -> None:
        self._names: dict[int, str] = {}
        self._taken: set[str] = set()
        counts: dict[str, int] = {}
        for node in parameters:
            counts[node.py_name] = counts.get(node.py_name, 0) + 1
        for node in parameters:
            self._give(node, unique=counts[node.py_name] == 1)
        self._fixed = len(self._names)

    def name(self, node: Any) -> str:
        """Return the name of a node, the same for each call."""
        return self._names.get(id(node)) or self._give(node, unique=True)

    def _give(self, node: Any, *, unique: bool) -> str:
        name: str = node.py_name if unique else node.name.replace(":", "_")
        if name in self._taken:
            base, number = name, 1
            while name in self._taken:
                number += 1
                name = f"{base}_{number}"
        self._taken.add(name)
        self._names[id(node)] = name
        return name

    def copy(self) -> NameBook:
        """Return a book with the same names, to add those of one graph."""
        twin = NameBook()
        twin._names, twin._taken = dict(self._names), set(self._taken)
        return twin


def read_problem(
    graph: TraceGraph, parameters: Sequence[ParameterNode[Any]], book: NameBook | None = None
) -> Problem:
    """Make a `Problem` of a graph in time linear in its size.

    Args:
        graph: the part of the run that got feedback.
        parameters: the parameters that may be changed.
        book: names of the parameters; a new one if None.
    """
    names = (book or NameBook(parameters)).copy()
    wanted = {id(node): node for node in parameters if node.trainable}
    outputs = {id(note.output): note.output for note in graph.notes}
    steps: list[Step] = []
    calls = _Calls()
    inputs: dict[str, Entry] = {}
    others: dict[str, Entry] = {}
    seen: set[int] = set()
    variables: set[int] = set()
    ordered = ((level, node) for level, nodes in enumerate(graph.by_level) for node in nodes)
    for level, node in ordered:
        name = names.name(node)
        parents = node._inputs
        computed = bool(parents) and all(id(parent) in seen for parent in parents)
        seen.add(id(node))
        if id(node) in wanted:
            variables.add(id(node))
            continue
        if computed:
            steps.append(Step(level, name, calls.name(node), _arguments(node, names)))
        if id(node) not in outputs:
            (others if computed else inputs)[name] = entry_of(node)
    return Problem(
        tuple(steps),
        calls.documentation,
        {names.name(p): entry_of(p) for p in wanted.values() if id(p) in variables},
        inputs,
        others,
        {names.name(n): entry_of(n) for key, n in outputs.items() if key not in variables},
        tuple((names.name(note.output), _said(note.feedback)) for note in graph.notes),
    )


def _arguments(node: MessageNode[Any], names: NameBook) -> tuple[tuple[str, str], ...]:
    return tuple(zip(node._op.arguments, map(names.name, node._inputs), strict=False))


def entry_of(node: Any) -> Entry:
    """Return the value of a node; what a parameter's description says is a hint too."""
    if node._extra is None and not isinstance(node, ParameterNode):
        return Entry(node._data, None, type(node._data).__name__)
    kind = "code" if getattr(node, "is_code", False) else type(node._data).__name__
    constraint = node._constraint
    if constraint is None and isinstance(node, ParameterNode):
        constraint = node.description_text
    return Entry(node._data, constraint, kind)


def _said(feedback: object) -> str:
    return "" if feedback is None else str(feedback)


class _Calls:
    """Names operations: those that differ get different names, each with its documentation."""

    def __init__(self) -> None:
        self.documentation: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._by_op: dict[int, str] = {}

    def name(self, node: MessageNode[Any]) -> str:
        op = node._op  # kept alive by its node
        name = self._by_op.get(id(op))
        if name is None:
            name = self._by_op[id(op)] = self._of((op.fun_name, node.description))
        return name

    def _of(self, key: tuple[str, str]) -> str:
        if key not in self._names:
            name, number = key[0], 1
            while name in self.documentation:
                number += 1
                name = f"{key[0]}_{number}"
            self._names[key] = name
            self.documentation[name] = key[1]
        return self._names[key]
