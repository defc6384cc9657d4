"""Makes a problem fit a number of characters; what matters most stays whole.

First values get shorter, then what repeats is shown the first and the last time with the values
that differ, then the operations far from the variables and the outputs are told by kind alone, with
the way of each variable to an output. Variables, constraints, outputs and feedback are never
touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from opto.optimizers.layout import Layout
from opto.optimizers.problem import Entries, Problem, Step
from opto.optimizers.repeats import Part
from opto.optimizers.shortening import text_of
from opto.optimizers.telling import FoldedCode, call_of, kinds_of, ways_of

T = TypeVar("T")

CHARACTERS_PER_TOKEN = 3  # of code and numbers; English has more
LIMITS = (2000, 500, 120)  # characters of a value; the first is used where there is room
_SHORTEST_LINE = 12
_MOST_TRIES = 8


def fold(problem: Problem, characters: int) -> tuple[Problem, int]:
    """Return the problem as it fits, and how many characters a value may have in it."""
    if len(problem.steps) * _SHORTEST_LINE <= characters:
        for limit in LIMITS:
            if size_of(problem, limit) <= characters:
                return problem, limit
    layout = Layout(problem)
    parts = layout.parts()
    repeats = sum(1 for part in parts if part.body)
    if repeats and (len(parts) - repeats) * _SHORTEST_LINE <= characters:
        folded = _shown(layout, parts, range(len(parts)))
        for limit in LIMITS[1:]:
            if size_of(folded, limit) <= characters:
                return folded, limit
    return _nearest(layout, parts, characters), LIMITS[-1]


def fold_measured(
    problem: Problem, characters: int, measured: Callable[[Problem, int], int]
) -> tuple[Problem, int]:
    """Return the problem as it fits by the count of a tokenizer.

    Args:
        problem: the run and its feedback.
        characters: how many there would be room for at the usual length of tokens.
        measured: counts the tokens of a folded problem.
    """
    tokens, room = characters // CHARACTERS_PER_TOKEN, characters * 2
    folded, limit = fold(problem, room)
    for _ in range(_MOST_TRIES):
        count = measured(folded, limit)
        if count <= tokens:
            break
        room = min(room, size_of(folded, limit)) * tokens * 9 // (count * 10)
        folded, limit = fold(problem, room)
    return folded, limit


def _nearest(layout: Layout, parts: list[Part], characters: int) -> Problem:
    """Return the problem with as many parts shown as there is room for."""
    limit = LIMITS[-1]
    order = list(islice(layout.near(parts), characters // _SHORTEST_LINE))
    room = characters
    while True:
        kept, left = [], room // 2
        for index in order:
            left -= _part_size(layout, parts[index], limit)
            if left < 0:
                break
            kept.append(index)
        problem = _shown(layout, parts, sorted(kept))
        if not kept or size_of(problem, limit) <= characters:
            return problem
        room //= 3


def _part_size(layout: Layout, part: Part, limit: int) -> int:
    """Return about how many characters it takes to show a part, its values included."""
    shown = (*part.body, *part.body) if part.body else (part,)
    size = 0
    for item in shown:
        step = layout.steps[item.start]
        size += len(call_of(step, layout.problem.variables)[0]) + limit
    return size


def _shown(layout: Layout, parts: list[Part], kept: Collection[int]) -> Problem:
    """Return the problem with these parts shown and the others told by kind."""
    problem = layout.problem
    code = FoldedCode(layout)
    far: list[Step] = []
    shown = set(kept)
    for index, part in enumerate(parts):
        if index in shown:
            code.add(part)
        else:
            far += layout.steps[part.start : part.start + part.length]
    if far:
        code.lines += [*kinds_of(far, layout, code.named), *ways_of(layout)]
    functions = {step.function for step in code.steps}
    named = code.named
    return replace(
        problem,
        steps=tuple(code.steps),
        folded=tuple(code.lines),
        documentation=_chosen(problem.documentation, functions),
        inputs=_chosen(problem.inputs, named),
        others=_chosen(problem.others, named),
    )


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
    index = {step.output: at for at, step in enumerate(problem.steps)}
    parts = [Part(at) for at in range(len(layout.steps))]
    return [index[layout.steps[at].output] for at in layout.near(parts)]
