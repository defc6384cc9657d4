"""What an optimizer is asked: a run of the program and its feedback, as plain values.

`read_problem` is the one place where live nodes become a `Problem`; everything later (folding,
rendering, asking) works on it alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from opto.optimizers.runs import Call, Later, Run, Steps
from opto.optimizers.runs import Entries as Entries
from opto.optimizers.runs import Entry as Entry
from opto.optimizers.runs import Step as Step
from opto.trace.nodes import MessageNode, ParameterNode
from opto.trace.propagators import TraceGraph

_FEW = 1000  # values; of a longer run, names and values are looked up when they are shown


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

    steps: Sequence[Step]
    documentation: Mapping[str, str]
    variables: Entries
    inputs: Entries
    others: Entries
    outputs: Entries
    feedbacks: tuple[tuple[str, str], ...]
    folded: tuple[str, ...] | None = None

    def whole(self) -> Problem:
        """Return the problem with all names and values looked up: it is independent of the run."""
        return replace(
            self,
            steps=tuple(self.steps),
            inputs=dict(self.inputs),
            others=dict(self.others),
        )

    def __reduce__(self) -> tuple[type[Problem], tuple[Any, ...]]:
        whole = self.whole()
        return Problem, tuple(getattr(whole, item.name) for item in fields(whole))

    def bare(self) -> Problem:
        """Return the problem without the run: variables, outputs and feedback."""
        return replace(self, steps=(), documentation={}, inputs={}, others={}, folded=None)

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
    outputs = list({id(note.output): note.output for note in graph.notes}.values())
    calls = _Calls()
    run, numbers = _read(graph.by_level, wanted, outputs, calls, names)
    problem = Problem(
        Steps(run),
        calls.documentation,
        {names.name(p): entry_of(p) for key, p in wanted.items() if key in numbers},
        Later(lambda: run.entries(run.inputs())),
        Later(lambda: run.entries(run.others())),
        {names.name(n): entry_of(n) for n in outputs if numbers[id(n)] not in run.variables},
        tuple((names.name(note.output), _said(note.feedback)) for note in graph.notes),
    )
    return problem.whole() if len(numbers) <= _FEW else problem


FunctionFeedback = Problem
"""A problem, under the original's name."""


def node_to_function_feedback(graph: TraceGraph) -> Problem:
    """Make a `Problem` of a graph with all parameters in it, as the original's function does."""
    nodes = (node for level in graph.by_level for node in level)
    return read_problem(graph, [node for node in nodes if isinstance(node, ParameterNode)])


def get_fun_name(node: MessageNode[Any]) -> str:
    """Return the name of the operation that made a node."""
    return str(node._op.fun_name)


def repr_function_call(node: MessageNode[Any]) -> str:
    """Write the operation that made a node as a line of code: ``add0 = add(x=a0, y=b0)``."""
    inputs = tuple((argument, parent.py_name) for argument, parent in node.inputs.items())
    return Step(node.level, node.py_name, get_fun_name(node), inputs).text


def _read(
    by_level: Sequence[Sequence[Any]],
    wanted: Collection[int],
    outputs: Sequence[Any],
    calls: _Calls,
    names: NameBook,
) -> tuple[Run, dict[int, int]]:
    """Return the run of a graph, and the number of each node by its ``id``."""
    nodes = [node for level in by_level for node in level]
    numbers: dict[int, int] = {}
    call: list[int] = []
    sources: list[tuple[int, ...]] = []
    results: list[int] = []
    levels: list[int] = []
    made = [-1] * len(nodes)
    number = 0
    for level, alike in enumerate(by_level):
        for node in alike:
            key = id(node)
            inputs = node._inputs
            if inputs and key not in wanted:
                try:
                    sources.append(tuple([numbers[id(parent)] for parent in inputs]))
                except KeyError:  # made of what isn't in the graph: it counts as an input
                    pass
                else:
                    made[number] = len(call)
                    call.append(calls.number(node))
                    results.append(number)
                    levels.append(level)
            numbers[key] = number
            number += 1
    run = Run(
        calls=calls.known,
        call=call,
        sources=sources,
        results=results,
        levels=levels,
        made=made,
        variables=[numbers[key] for key in wanted if key in numbers],
        outputs=[numbers[id(node)] for node in outputs],
        name=lambda value: names.name(nodes[value]),
        entry=lambda value: entry_of(nodes[value]),
    )
    return run, numbers


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
        self.known: list[Call] = []
        self._names: dict[tuple[str, str], str] = {}
        self._by_op: dict[int, int] = {}

    def number(self, node: MessageNode[Any]) -> int:
        """Return which of the `known` calls made a node."""
        op = node._op  # kept alive by its node
        number = self._by_op.get(id(op))
        if number is None:
            name = self._of((op.fun_name, node.description))
            number = self._by_op[id(op)] = len(self.known)
            self.known.append(Call(name, tuple(op.arguments)))
        return number

    def _of(self, key: tuple[str, str]) -> str:
        if key not in self._names:
            name, number = key[0], 1
            while name in self.documentation:
                number += 1
                name = f"{key[0]}_{number}"
            self._names[key] = name
            self.documentation[name] = key[1]
        return self._names[key]
