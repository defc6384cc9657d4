"""Makes a problem fit a number of characters; what matters most stays whole.

First values get shorter, then the operations far from the variables and the outputs are left out,
counted by kind. Variables, constraints, outputs and feedback are never touched.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

from opto.optimizers.problem import Entries, Problem, Step
from opto.optimizers.shortening import text_of

CHARACTERS_PER_TOKEN = 3
LIMITS = (2000, 500, 120)  # characters of a value; the first is used where there is room


def fold(problem: Problem, characters: int) -> tuple[Problem, int]:
    """Return the problem as it fits, and how many characters a value may have in it."""
    for limit in LIMITS:
        if size_of(problem, limit) <= characters:
            return problem, limit
    limit = LIMITS[-1]
    order = nearest_first(problem)
    keep = len(order)
    folded = problem
    while keep > 0 and size_of(folded, limit) > characters:
        keep //= 2
        folded = only(problem, set(order[:keep]))
    return folded, limit


def size_of(problem: Problem, limit: int) -> int:
    """Return about how many characters the problem has with values of at most `limit`."""
    code = sum(len(step.text) + 1 for step in problem.steps) + len(problem.code_note)
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
    touching: dict[str, list[int]] = {}
    for index, step in enumerate(problem.steps):
        for name in (step.output, *(name for _, name in step.inputs)):
            touching.setdefault(name, []).append(index)
    starts = [*problem.outputs, *problem.variables]
    queue = deque(index for name in starts for index in touching.get(name, ()))
    order: dict[int, None] = {}
    while queue:
        index = queue.popleft()
        if index in order:
            continue
        order[index] = None
        step = problem.steps[index]
        for name in (step.output, *(name for _, name in step.inputs)):
            queue.extend(touching.pop(name, ()))
    return list(order)


def only(problem: Problem, kept: set[int]) -> Problem:
    """Return the problem with these steps alone, the others counted."""
    steps = tuple(step for index, step in enumerate(problem.steps) if index in kept)
    named = {name for step in steps for name in (step.output, *(n for _, n in step.inputs))}
    functions = {step.function for step in steps}
    gone = [step for index, step in enumerate(problem.steps) if index not in kept]
    return replace(
        problem,
        steps=steps,
        documentation={k: v for k, v in problem.documentation.items() if k in functions},
        inputs={name: entry for name, entry in problem.inputs.items() if name in named},
        others={name: entry for name, entry in problem.others.items() if name in named},
        code_note=_note(gone),
    )


def _note(gone: list[Step]) -> str:
    counts = Counter(step.function for step in gone).most_common(8)
    listed = ", ".join(f"{function} {count} times" for function, count in counts)
    return f"# {len(gone)} operations farther away are left out: {listed}" if gone else ""
