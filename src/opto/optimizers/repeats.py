"""Finds what a sequence repeats one after the other, repetitions within repetitions included."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import count
from typing import NamedTuple

LONGEST = 300  # a longer stretch isn't looked for
FEWEST = 4  # fewer are no repetition worth a word
_DEEPEST = 4


class Part(NamedTuple):
    """An item of a sequence, or a stretch of it that repeats.

    Attributes:
        start: position of the first item.
        length: how many items there are in all.
        body: the parts of the first time; empty for an item.
        times: how often the body stands there.
    """

    start: int
    length: int = 1
    body: tuple[Part, ...] = ()
    times: int = 1

    @property
    def period(self) -> int:
        """How many items the body has."""
        return self.length // self.times


def parts_of(sequence: Sequence[Hashable]) -> list[Part]:
    """Return the parts of a sequence in order; time is about linear in its length."""
    numbers = {item: number for number, item in enumerate(dict.fromkeys(sequence))}
    symbols = [numbers[item] for item in sequence]
    parts = [Part(index) for index in range(len(symbols))]
    fresh = count(len(numbers))
    known: dict[tuple[tuple[int, ...], int], int] = {}
    for _ in range(_DEEPEST):
        runs = _runs(symbols)
        if not runs:
            break
        parts, symbols = _joined(parts, symbols, runs, known, fresh)
    return parts


def _runs(symbols: list[int]) -> list[tuple[int, int, int]]:
    """Return start, period and end of what repeats, in order and apart from each other."""
    runs: list[tuple[int, int, int]] = []
    last: dict[int, int] = {}
    index, total = 0, len(symbols)
    while index < total:
        symbol = symbols[index]
        period = index - last.get(symbol, -LONGEST)
        if period < LONGEST:
            body = symbols[index - period : index]
            end = index
            while symbols[end : end + period] == body:
                end += period
            if end - index >= period * (FEWEST - 1):
                runs.append((index - period, period, end))
                last.clear()
                index = end
                continue
        last[symbol] = index
        index += 1
    return runs


def _joined(
    parts: list[Part],
    symbols: list[int],
    runs: list[tuple[int, int, int]],
    known: dict[tuple[tuple[int, ...], int], int],
    fresh: count[int],
) -> tuple[list[Part], list[int]]:
    """Put one part in the place of each run."""
    new_parts: list[Part] = []
    new_symbols: list[int] = []
    done = 0
    for start, period, end in runs:
        new_parts += parts[done:start]
        new_symbols += symbols[done:start]
        done = end
        times = (end - start) // period
        first, last = parts[start], parts[end - 1]
        length = last.start + last.length - first.start
        new_parts.append(Part(first.start, length, tuple(parts[start : start + period]), times))
        key = (tuple(symbols[start : start + period]), times)
        if key not in known:
            known[key] = next(fresh)
        new_symbols.append(known[key])
    return new_parts + parts[done:], new_symbols + symbols[done:]
