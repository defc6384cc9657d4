"""A run in numbers: what was made of what; names and values are looked up when they are shown.

A run of 100,000 operations is read and folded in this form, and only what is shown of it becomes
text. Values are numbered in an order in which each comes after those that it was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, overload

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of the run; where a pair of value and constraint is expected, it is one.

    Attributes:
        data: the value.
        constraint: what a new value must satisfy, or a hint; None if nothing was said.
        kind: its type as it is shown: "int", "str", ..., or "code".
    """

    data: Any
    constraint: str | None = None
    kind: str = ""

    def __iter__(self) -> Iterator[Any]:
        return iter((self.data, self.constraint))

    def __getitem__(self, at: int) -> Any:
        return (self.data, self.constraint)[at]

    def __len__(self) -> int:
        return 2


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


class Call(NamedTuple):
    """What operations have in common that are called alike: the function and its arguments."""

    function: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """The operations of a run and its values, by number.

    Attributes:
        calls: the ways in which operations are called.
        call: for each operation, which of them.
        sources: for each operation, the values that it was given.
        results: for each operation, the value that it made.
        levels: for each operation, how far from the roots it is.
        made: for each value, the operation that made it, or -1.
        variables: the values that may be changed.
        outputs: the values that got feedback.
        name: gives the name of a value.
        entry: gives a value.
    """

    calls: Sequence[Call]
    call: Sequence[int]
    sources: Sequence[tuple[int, ...]]
    results: Sequence[int]
    levels: Sequence[int]
    made: Sequence[int]
    variables: Sequence[int]
    outputs: Sequence[int]
    name: Callable[[int], str]
    entry: Callable[[int], Entry]

    def step(self, operation: int) -> Step:
        """Return an operation with its names."""
        call = self.calls[self.call[operation]]
        named = map(self.name, self.sources[operation])
        return Step(
            self.levels[operation],
            self.name(self.results[operation]),
            call.function,
            tuple(zip(call.arguments, named, strict=False)),
        )

    def entries(self, values: Iterable[int]) -> dict[str, Entry]:
        """Return values by name."""
        return {self.name(value): self.entry(value) for value in values}

    def inputs(self) -> Iterator[int]:
        """Yield the values that were neither made in the run nor are variables or outputs."""
        apart = {*self.variables, *self.outputs}
        return (value for value, by in enumerate(self.made) if by < 0 and value not in apart)

    def others(self) -> Iterator[int]:
        """Yield the values made on the way."""
        apart = {*self.variables, *self.outputs}
        return (value for value, by in enumerate(self.made) if by >= 0 and value not in apart)


class Steps(Sequence[Step]):
    """The operations of a run, each with its names when it is asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Step, ...]: ...
    def __getitem__(self, index: int | slice) -> Step | tuple[Step, ...]:
        if isinstance(index, slice):
            return tuple(self.run.step(at) for at in range(len(self))[index])
        return self.run.step(range(len(self))[index])

    def __len__(self) -> int:
        return len(self.run.call)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (Steps, tuple)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of a list: it is compared by what it holds


class Later(Mapping[str, V]):
    """A mapping that is made when it is first looked into."""

    def __init__(self, make: Callable[[], Mapping[str, V]]) -> None:
        self._make: Callable[[], Mapping[str, V]] | None = make
        self._made: Mapping[str, V] = {}

    def _whole(self) -> Mapping[str, V]:
        if self._make is not None:
            self._made, self._make = self._make(), None
        return self._made

    def __getitem__(self, key: str) -> V:
        return self._whole()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())


def run_of(
    steps: Sequence[Step], variables: Entries, outputs: Iterable[str], entries: Entries
) -> Run:
    """Return the run of operations that have names.

    Args:
        steps: the operations, each after those that it needs.
        variables: the values that may be changed.
        outputs: the names of what got feedback.
        entries: all values by name; those of which none is known are None.
    """
    calls: dict[Call, int] = {}
    numbers: dict[str, int] = {}
    for step in steps:
        for _, name in step.inputs:
            numbers.setdefault(name, len(numbers))
        numbers.setdefault(step.output, len(numbers))
    for name in (*variables, *outputs):
        numbers.setdefault(name, len(numbers))
    names = list(numbers)
    made = [-1] * len(names)
    for at, step in enumerate(steps):
        made[numbers[step.output]] = at
    unknown = Entry(None)
    for step in steps:
        calls.setdefault(_call(step), len(calls))
    return Run(
        calls=list(calls),
        call=[calls[_call(step)] for step in steps],
        sources=[tuple(numbers[name] for _, name in step.inputs) for step in steps],
        results=[numbers[step.output] for step in steps],
        levels=[step.level for step in steps],
        made=made,
        variables=[numbers[name] for name in variables],
        outputs=[numbers[name] for name in outputs],
        name=names.__getitem__,
        entry=lambda value: entries.get(names[value], unknown),
    )


def _call(step: Step) -> Call:
    return Call(step.function, tuple(argument for argument, _ in step.inputs))
