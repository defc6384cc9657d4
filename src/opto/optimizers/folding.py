"""Makes a problem fit a number of characters; what matters most stays whole.

First values get shorter, then what repeats is shown the first and the last time with the values
that differ, then the operations far from the variables and the outputs are told by kind alone, with
the way of each variable to an output. Variables, constraints, outputs and feedback are never
touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TypeVar

from opto.optimizers.layout import Layout
from opto.optimizers.problem import Entries, Problem
from opto.optimizers.repeats import Part
from opto.optimizers.shortening import text_of
from opto.optimizers.telling import FoldedCode, Kinds, call_of, ways_of

T = TypeVar("T")

CHARACTERS_PER_TOKEN = 3  # of code and numbers; English has more
LIMITS = (2000, 500, 120)  # characters of a value; the first is used where there is room
_SHORTEST_LINE = 12
_AROUND_VALUE = 20
_MOST_TRIES = 8


def fold(problem: Problem, characters: int) -> tuple[Problem, int]:
    """Return the problem as it fits, and how many characters a value may have in it."""
    return Folding(problem).within(characters)


def fold_measured(
    problem: Problem, tokens: int, measured: Callable[[Problem, int], int], *, characters: int
) -> tuple[Problem, int]:
    """Return the problem as it fits by the count of a tokenizer.

    Args:
        problem: the run and its feedback.
        tokens: how many there is room for.
        measured: counts the tokens of a folded problem.
        characters: how many to begin with, which is more than fit or about as many.
    """
    room = characters
    folding = Folding(problem)
    folded, limit = folding.within(room)
    for _ in range(_MOST_TRIES):
        count = measured(folded, limit)
        if count <= tokens:
            break
        room = min(room, size_of(folded, limit)) * tokens * 9 // (count * 10)
        folded, limit = folding.within(room)
    return folded, limit


class Folding:
    """A problem that can be made to fit several lengths; what that needs is worked out once."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self.problem)

    @cached_property
    def _kinds(self) -> Kinds:
        return Kinds(self._layout)

    @cached_property
    def _ways(self) -> list[str]:
        return list(ways_of(self._layout))

    def within(self, characters: int) -> tuple[Problem, int]:
        """Return the problem as it fits, and how many characters a value may have in it."""
        problem = self.problem
        if len(problem.steps) * _SHORTEST_LINE <= characters:
            for limit in LIMITS:
                if size_of(problem, limit) <= characters:
                    return problem.whole(), limit
        parts = self._layout.parts
        repeats = sum(1 for part in parts if part.body)
        if repeats and (len(parts) - repeats) * _SHORTEST_LINE <= characters:
            folded = self._shown(range(len(parts)))
            for limit in LIMITS[1:]:
                if size_of(folded, limit) <= characters:
                    return folded, limit
        return self._nearest(characters), LIMITS[-1]

    def _nearest(self, characters: int) -> Problem:
        """Return the problem with as many parts shown as there is room for."""
        limit = LIMITS[-1]
        parts = self._layout.parts
        order = list(islice(self._layout.near(parts), characters // _SHORTEST_LINE))
        sizes = [_part_size(self._layout, parts[index], limit) for index in order]
        bare = self._shown([])
        room = characters - size_of(bare, limit)
        while room >= _SHORTEST_LINE:
            problem = self._shown(sorted(_fitting(order, sizes, room)))
            if size_of(problem, limit) <= characters:
                return problem
            room = room * 2 // 3
        return bare

    def _shown(self, kept: Sequence[int]) -> Problem:
        """Return the problem with these parts shown, in order, and the others told by kind."""
        layout, parts = self._layout, self._layout.parts
        code = FoldedCode(layout)
        covered: list[int] = []
        for index in kept:
            part = parts[index]
            code.add(part)
            covered += range(part.start, part.start + part.length)
        if len(kept) < len(parts):
            code.lines += [*self._kinds.told(covered, code.named), *self._ways]
        run, named = layout.run, sorted(code.named)
        functions = {layout.function(place) for place in code.shown}
        return replace(
            self.problem,
            steps=tuple(layout.step(place) for place in code.shown),
            folded=tuple(code.lines),
            documentation=_chosen(self.problem.documentation, functions),
            inputs=run.entries(value for value in named if value in layout.inputs),
            others=run.entries(
                value for value in named if layout.place[value] >= 0 and value not in run.outputs
            ),
        )


def _fitting(order: Sequence[int], sizes: Sequence[int], room: int) -> Iterator[int]:
    """Yield what there is room for, the first before the others."""
    for index, size in zip(order, sizes, strict=True):
        if size <= room:
            room -= size
            yield index


def _part_size(layout: Layout, part: Part, limit: int) -> int:
    """Return about how many characters it takes to show a part, its values included."""
    size = 0
    for item in (*part.body, *part.body) if part.body else (part,):
        text, named = call_of(layout, item.start)
        made = layout.run.entry(named[0])
        size += len(text) + len(made.kind) + len(text_of(made.data, limit)) + _AROUND_VALUE
    return size


def _chosen(items: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
    return {name: item for name, item in items.items() if name in names}


def size_of(problem: Problem, limit: int) -> int:
    """Return about how many characters the problem has with values of at most `limit`."""
    code = sum(len(line) + 1 for line in problem.code)
    documents = sum(len(text) + 1 for text in problem.documentation.values())
    values = (problem.inputs, problem.others, problem.outputs)
    shown = sum(_entries_size(entries, limit) for entries in values)
    said = sum(len(name) + len(text) + 2 for name, text in problem.feedbacks)
    return code + documents + shown + said + _entries_size(problem.variables, None)


def _entries_size(entries: Entries, limit: int | None) -> int:
    return sum(
        len(name)
        + len(entry.kind)
        + 5
        + len(text_of(entry.data, limit))
        + len(entry.constraint or "")
        for name, entry in entries.items()
    )


def nearest_first(problem: Problem) -> list[int]:
    """Return the indices of the steps by their distance from variables and outputs."""
    layout = Layout(problem)
    parts = [Part(at) for at in range(len(layout.order))]
    return [layout.order[at] for at in layout.near(parts)]
