"""Walks over anything that has inputs; iterative, linear, and without knowledge of nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

N = TypeVar("N")
Inputs = Callable[[Any], Sequence[Any]]


def ancestors(starts: Iterable[N], inputs: Inputs) -> list[N]:
    """Return `starts` and all that they were made from, each once, by identity."""
    stack = list(starts)
    seen: dict[int, N] = {}
    while stack:
        item = stack.pop()
        if id(item) not in seen:
            seen[id(item)] = item
            stack.extend(inputs(item))
    return list(seen.values())


def inputs_first(starts: Iterable[N], inputs: Inputs) -> list[N]:
    """Return `starts` and their ancestors, each once and after all of its inputs."""
    order: list[N] = []
    placed: dict[int, bool] = {}  # False: entered
    stack = list(starts)
    stack.reverse()
    while stack:
        item = stack[-1]
        key = id(item)
        if key not in placed:
            placed[key] = False
            stack.extend(reversed(inputs(item)))
        else:
            stack.pop()
            if not placed[key]:
                placed[key] = True
                order.append(item)
    return order


def consumers_first(starts: Iterable[N], inputs: Inputs) -> list[N]:
    """Return `starts` and their ancestors, each once and after all of its consumers."""
    order = inputs_first(starts, inputs)
    order.reverse()
    return order


def levels(order: Iterable[N], inputs: Inputs) -> dict[int, int]:
    """Return the level by ``id`` of each item of an `inputs_first` order.

    Roots have level 0, anything else one more than its highest input.
    """
    level: dict[int, int] = {}
    for item in order:
        level[id(item)] = 1 + max((level.get(id(p), 0) for p in inputs(item)), default=-1)
    return level


def between(sources: Collection[N], outputs: Iterable[N], inputs: Inputs) -> list[N]:
    """Return what lies on the ways from `sources` to `outputs`, ends included, inputs first.

    Time is linear in the ancestors of `outputs`.
    """
    wanted = {id(item) for item in sources}
    kept: list[N] = []
    for item in inputs_first(outputs, inputs):
        if id(item) in wanted or any(id(parent) in wanted for parent in inputs(item)):
            wanted.add(id(item))
            kept.append(item)
    return kept
