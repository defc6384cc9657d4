"""The bookkeeping of textual gradients: what was said of which value, and whom to ask next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from opto.optimizers.problem import Problem, Step

MOST_ASKED = 16  # inputs in one question


class Gradients:
    """What was said of each value; what is said twice of one value counts once."""

    def __init__(self, feedbacks: Iterable[tuple[str, str]] = ()) -> None:
        self._texts: dict[str, dict[str, None]] = {}
        for name, text in feedbacks:
            self.add(name, text)

    def add(self, name: str, text: str) -> None:
        """Add a feedback on a value."""
        if text.strip():
            self._texts.setdefault(name, {})[text.strip()] = None

    def replace(self, name: str, texts: Iterable[str]) -> None:
        """Put other feedbacks in the place of all on a value, unless they are empty."""
        kept = {text.strip(): None for text in texts if text.strip()}
        self._texts[name] = kept or self._texts.get(name, {})

    def of(self, name: str) -> list[str]:
        """Return all feedbacks on a value."""
        return list(self._texts.get(name, ()))

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


def backward_waves(problem: Problem) -> Iterator[list[Way]]:
    """Yield the operations between variables and outputs, consumers first.

    Those of one wave don't need one another's feedback. An operation of very many inputs comes
    several times.
    """
    depends = set(problem.variables)
    ways: list[Way] = []
    for step in problem.steps:
        inputs = tuple(dict.fromkeys(name for _, name in step.inputs if name in depends))
        if inputs:
            depends.add(step.output)
            ways.append(Way(step, inputs))
    ways.sort(key=lambda way: way.step.level, reverse=True)
    for _, wave in groupby(ways, key=lambda way: way.step.level):
        yield [part for way in wave for part in _parts(way)]


def _parts(way: Way) -> Iterator[Way]:
    """Yield an operation of very many inputs several times, each time with some of them."""
    for at in range(0, len(way.inputs), MOST_ASKED):
        yield Way(way.step, way.inputs[at : at + MOST_ASKED])
