"""The bookkeeping of textual gradients: what was said of which value, and whom to ask next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from opto.optimizers.problem import Problem, Step

MOST_ASKED = 16  # inputs in one question
MOST_USES = 4  # of a variable that its update sees as they are


class Gradients:
    """What was said of each value; what is said twice of one value counts once."""

    def __init__(self, feedbacks: Iterable[tuple[str, str]] = ()) -> None:
        self._said: dict[str, list[tuple[int, str]]] = {}
        self._uses: dict[str, list[Step]] = {}
        for name, text in feedbacks:
            self.add(name, text)

    def add(self, name: str, text: str, order: int = -1) -> None:
        """Add a feedback on a value; they are told by their order, whichever came first."""
        if text.strip():
            self._said.setdefault(name, []).append((order, text.strip()))

    def add_use(self, name: str, step: Step) -> None:
        """Let what is said of an operation's result count as said of a value as it is."""
        self._uses.setdefault(name, []).append(step)

    def uses(self, name: str) -> list[tuple[Step, str]]:
        """Return the operations whose feedback counts for a value as it is, with that feedback."""
        said = ((step, self.text(step.output)) for step in self._uses.get(name, ()))
        return [(step, text) for step, text in said if text]

    def replace(self, name: str, texts: Iterable[str]) -> None:
        """Put other feedbacks in the place of all on a value, unless they are empty."""
        kept = [(-1, text.strip()) for text in texts if text.strip()]
        self._said[name] = kept or self._said.get(name, [])

    def of(self, name: str) -> list[str]:
        """Return all feedbacks on a value."""
        said = sorted(self._said.get(name, ()), key=lambda pair: pair[0])
        return list(dict.fromkeys(text for _, text in said))

    def text(self, name: str) -> str:
        """Return all feedbacks on a value as one text; empty if there is none."""
        found = self.of(name)
        return found[0] if len(found) == 1 else "\n".join(f"- {text}" for text in found)


class Way(NamedTuple):
    """An operation that feedback passes.

    Attributes:
        step: the operation.
        inputs: the values among its inputs that depend on a variable, each once.
    """

    step: Step
    inputs: tuple[str, ...]


def ways_back(problem: Problem) -> list[Way]:
    """Return the operations between variables and outputs, consumers first.

    An operation of very many inputs comes several times, each time with some of them.
    """
    depends = set(problem.variables)
    ways: list[Way] = []
    for step in problem.steps:
        inputs = tuple(dict.fromkeys(name for _, name in step.inputs if name in depends))
        if inputs:
            depends.add(step.output)
            ways.append(Way(step, inputs))
    ways.sort(key=lambda way: way.step.level, reverse=True)
    return [
        Way(way.step, way.inputs[at : at + MOST_ASKED])
        for way in ways
        for at in range(0, len(way.inputs), MOST_ASKED)
    ]


def plain_uses(ways: Sequence[Way], variables: Container[str]) -> dict[int, str]:
    """Return which operations concern one variable and nothing else that can change.

    Whom feedback on their results is about needn't be found out: the update of the variable can
    see it as it is. Of a variable with many uses none is returned; it needs what they have in
    common.
    """
    plain = {
        at: way.inputs[0]
        for at, way in enumerate(ways)
        if len(way.inputs) == 1 and way.inputs[0] in variables
    }
    counts = Counter(plain.values())
    return {at: name for at, name in plain.items() if counts[name] <= MOST_USES}


class Flow:
    """Which operations feedback can pass next: those to whose result nobody adds any more.

    Args:
        ways: the operations; they are meant by their number here.
    """

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = ways
        self._left = Counter(name for way in ways for name in way.inputs)
        self._of_result: dict[str, list[int]] = {}
        for number, way in enumerate(ways):
            self._of_result.setdefault(way.step.output, []).append(number)

    def first(self) -> list[int]:
        """Return the operations that can be passed at once."""
        return [at for at, way in enumerate(self._ways) if not self._left[way.step.output]]

    def after(self, number: int) -> list[int]:
        """Return the operations that can be passed now that this one was."""
        found: list[int] = []
        for name in self._ways[number].inputs:
            self._left[name] -= 1
            if not self._left[name]:
                found += self._of_result.get(name, ())
        return found
