"""What a task is, and how programs say what is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opto.trace import ExecutionError

KINDS = ("numbers", "prompts", "code", "repair", "mixed")
Cases = Sequence["tuple[tuple[Any, ...], Any]"]
_SHOWN = 3  # failing cases that a feedback names


@dataclass(frozen=True)
class Outcome:
    """What one run of a program gave.

    Attributes:
        output: the node that the feedback is on.
        feedback: what is wrong, in words.
        score: 1 if nothing is, lower the worse it is; only optimizers of numbers read it.
    """

    output: Any
    feedback: str
    score: float

    @property
    def solved(self) -> bool:
        """Whether nothing is wrong."""
        return self.score >= 1


@dataclass(frozen=True)
class Program:
    """What is trained: its parameters by name, and one run of it."""

    parameters: Mapping[str, Any]
    run: Callable[[], Outcome]


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        name: of the task.
        kind: one of `KINDS`.
        make: makes the program, untrained, with parameters of its own.
        solution: values that solve it, by the names of the parameters; there are others.
        bounds: of the numbers, for optimizers that need some.
    """

    name: str
    kind: str
    make: Callable[[], Program]
    solution: Mapping[str, Any]
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, Any])


def outcome(output: Any, faults: Sequence[str], score: float) -> Outcome:
    """Put together what is wrong."""
    return Outcome(output, "\n".join(faults) or "All is right.", 1.0 if not faults else score)


def direction(name: str, value: float, low: float, high: float) -> list[str]:
    """Say in which direction a number lies that is outside."""
    if low <= value <= high:
        return []
    word = "low, it must be higher" if value < low else "high, it must be lower"
    return [f"{name} = {value} is too {word}."]


def outside(value: float, low: float, high: float) -> float:
    """Return how far a number is outside, by the width of the range; 0 if it is inside."""
    return max(low - value, value - high, 0) / (high - low)


def alike(value: object, wanted: object) -> bool:
    """Whether a result is what is wanted; True isn't 1."""
    if isinstance(value, bool) is not isinstance(wanted, bool):
        return False
    return bool(value == wanted)


def graded(function: Any, name: str, cases: Cases) -> Outcome:
    """Call a function with each case; the feedback is on the first result that is wrong."""
    faults: list[str] = []
    wrong: list[Any] = []
    output: Any = None
    for given, wanted in cases:
        try:
            output = function(*copy.deepcopy(given))
            value = output.data
            said = None if alike(value, wanted) else f"returned {value!r}"
        except ExecutionError as error:
            output = error.exception_node
            said = f"raised {str(output.data)[:200]}"
        if said is not None:
            shown = ", ".join(repr(getattr(item, "data", item)) for item in given)
            faults.append(f"{name}({shown}) {said}, but it must return {wanted!r}.")
            wrong.append(output)
    passed = len(cases) - len(faults)
    told = [*faults[:_SHOWN], f"{passed} of {len(cases)} cases are right."] if faults else []
    return outcome(wrong[0] if wrong else output, told, passed / len(cases))


def called(function: Any, *given: Any) -> tuple[Any, Any, str | None]:
    """Call a function: its result, the value of it, and the text of the error if it raised."""
    try:
        output = function(*given)
    except ExecutionError as error:
        return error.exception_node, None, str(error.exception_node.data)[:200]
    return output, output.data, None
