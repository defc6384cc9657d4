"""What was tried, as tables that small models can read.

Where each line of the feedback names one variable, each has a table of its own, so that the others
don't stand between its values, and only those need to be asked about that the feedback names.
Numbers are in ascending order. Where the feedback points up at one and down at the next, those two
are all that is shown; where it only ever points one way, small steps are advised against. What was
ever said about a text can be put together, since what one version does right the next may lose
(docs/adr/0018 has what this is worth).
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from opto.optimizers.bounds import Range, bounds_in
from opto.optimizers.memory import Trial
from opto.optimizers.names import Wanted
from opto.optimizers.problem import Entries, Entry, Problem
from opto.optimizers.shortening import text_of

MOST_TRIALS = 12
NOT_NAMED = "nothing said against it"
K = TypeVar("K")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_DIRECTION = re.compile(
    r"\b(?:low|high|small|few)(?:er)?\b|\b(?:larger?|big(?:ger)?|less|more|many|much|little)\b"
    r"|\b(?:below|above|under|over|up|down|increase|decrease|raise|reduce)\b",
    re.IGNORECASE,
)

_MORE = re.compile(
    r"\btoo (?:low|small|few|little|short)\b"
    r"|\b(?:higher|larger|bigger|greater|longer|more|increase|raise)\b",
    re.IGNORECASE,
)
_LESS = re.compile(
    r"\btoo (?:high|large|big|many|much|long)\b"
    r"|\b(?:lower|smaller|less|fewer|shorter|decrease|reduce)\b",
    re.IGNORECASE,
)


class Tried:
    """What was tried of the variables of a problem, the present values last.

    Args:
        entries: all variables.
        words: what stands for each of them in feedback: its name, or that of its function.
        memory: what was tried before, the oldest first.
        feedback: on the present values.

    Attributes:
        apart: whether all that is said about the present values is about one variable each. Trials
            of which that can't be told are left out of the tables then.
    """

    def __init__(
        self, entries: Entries, words: Mapping[str, str], memory: Iterable[Trial], feedback: str
    ) -> None:
        present = {name: text_of(entry.data) for name, entry in entries.items()}
        numbers = [name for name, entry in entries.items() if is_number(entry)]
        known = [
            trial
            for trial in memory
            if present.keys() <= trial.variables.keys()
            and all(_is_written_number(trial.variables[name]) for name in numbers)
        ]
        self._entries = entries
        self._trials = [*known, Trial(present, feedback)][-MOST_TRIALS:]
        self._said = [_by_variable(words, trial.feedback) for trial in self._trials]
        self.apart = self._said[-1] is not None

    @classmethod
    def of(cls, problem: Problem, wanted: Iterable[Wanted], memory: Iterable[Trial]) -> Tried:
        """What was tried of the variables of a problem; code goes by the name of its function."""
        words = {item.name: item.function or item.name for item in wanted}
        return cls(problem.variables, words, memory, problem.user_feedback)

    @property
    def asked(self) -> list[str]:
        """The variables that the present feedback names; all, if a line names none or several."""
        said = self._said[-1] or {}
        return [name for name, lines in said.items() if lines] or list(self._entries)

    def table(self, names: Sequence[str]) -> str:
        """Write what was tried of these variables."""
        if self.apart:
            return "\n\n".join(self._of_one(name) for name in names)
        rows: dict[tuple[str, ...], str] = {}
        for trial in self._trials:
            _put(rows, tuple(trial.variables[name] for name in names), trial.feedback)
        if all(is_number(self._entries[name]) for name in names):
            rows = {key: rows[key] for key in sorted(rows, key=lambda key: [*map(float, key)])}
        entries = {name: self._entries[name] for name in names}
        return "\n".join(_line(entries, key, feedback) for key, feedback in rows.items())

    def gap(self, name: str) -> tuple[str, str] | None:
        """Return the neighbours, as texts, between which the feedback on a number turns."""
        if not self.apart or not is_number(self._entries[name]):
            return None
        rows = self._rows(name)
        turns = [
            pair
            for pair in pairwise(sorted(rows, key=float))
            if len({direction for key in pair if (direction := _direction(rows[key]))}) > 1
        ]
        return turns[0] if len(turns) == 1 else None

    def is_settled(self, name: str) -> bool:
        """Whether something was said against a variable once, and now against others alone."""
        return self.apart and name not in self.asked and bool(self._against(name))

    def _rows(self, name: str) -> dict[str, str]:
        rows: dict[str, str] = {}
        for trial, said in zip(self._trials, self._said, strict=True):
            if said is not None:
                _put(rows, trial.variables[name], "\n".join(said[name]) or NOT_NAMED)
        return rows

    def is_tried_text(self, name: str) -> bool:
        """Whether a variable is a text, and what was said of several trials of it is known."""
        data = self._entries[name].data
        plain = isinstance(data, str) and not isinstance(data, enum.Enum)
        return plain and self.apart and len(self._against(name)) > 1

    def demands(self, name: str) -> str:
        """Write what was ever said about a text; of lines that differ in numbers, the last.

        The text as it was at first says what it is about. It is left out once a text came again,
        since small models stick to the words that they see.
        """
        against = self._against(name)
        demands: dict[str, str] = {}
        for _, lines in against:
            for line in lines:
                _put(demands, _NUMBER.sub("#", line), line)
        written = ["Demands:", *(f"- {line}" for line in demands.values())]
        *before, present = (text for text, _ in against)
        if present not in before:
            written.append(f"Not as before: {against[0][0]!r}")
        return "\n".join(written)

    def _against(self, name: str) -> list[tuple[str, list[str]]]:
        """Return the values of which something was said, with it; the present one last."""
        pairs = zip(self._trials, self._said, strict=True)
        return [(t.variables[name], said[name]) for t, said in pairs if said and said[name]]

    def _of_one(self, name: str) -> str:
        entry, rows, gap = self._entries[name], self._rows(name), self.gap(name)
        keys = list(gap or (sorted(rows, key=float) if is_number(entry) else rows))
        lines = [_line({name: entry}, (key,), rows[key]) for key in keys]
        if gap is not None and _has_room(entry, *gap):
            lines.append(f"So try {name} between {gap[0]} and {gap[1]}.")
        elif is_number(entry) and len(rows) > 1 and _same_way(rows.values()):
            lines.append(f"So try {name} much further on.")
        return "\n".join(lines)

    def advice(self) -> list[str]:
        """Return a line on each number that the present feedback names: where to search for it.

        Between the two values where the feedback turns; where it only ever points one way, between
        the last value on that way and the bound, or far beyond that value. Each with an example,
        in the middle.
        """
        numbers = [name for name in self.asked if self.apart and is_number(self._entries[name])]
        return [line for name in numbers if (line := self._advice(name))]

    def _advice(self, name: str) -> str:
        entry, rows, gap = self._entries[name], self._rows(name), self.gap(name)
        if gap is not None:
            middle = _whole(entry, float(gap[0]) / 2 + float(gap[1]) / 2, math.floor)
            between = f"So try {name} between {gap[0]} and {gap[1]}, for example {middle}."
            return between if _has_room(entry, *gap) else ""
        way = _way(rows.values())
        if len(rows) < 2 or not way:
            return ""
        onward = math.ceil if way > 0 else math.floor
        last = max(map(float, rows), key=lambda value: way * value)
        reached = _whole(entry, last, onward)
        bounds = bounds_in(entry.data, entry.constraint or "")
        if not isinstance(bounds, Range):
            far = _far(last, way)
            if not math.isfinite(far):
                return ""
            example = _whole(entry, far, onward)
            return f"So try {name} far beyond {reached}, for example {example}."
        bound = bounds.high if way > 0 else bounds.low
        middle = _whole(entry, last / 2 + bound / 2, onward)
        ends = (reached, f"{bound:g}")[::way]
        return f"So try {name} between {' and '.join(ends)}, for example {middle}."


def is_number(entry: Entry) -> bool:
    """Whether a variable is a number that is written as one."""
    plain = isinstance(entry.data, (int, float)) and not isinstance(entry.data, (bool, enum.Enum))
    return plain and _is_written_number(text_of(entry.data))


def _is_written_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _put(rows: dict[K, str], key: K, feedback: str) -> None:
    """Note the latest feedback on values, as the latest of all."""
    rows.pop(key, None)
    rows[key] = feedback


def _direction(feedback: str) -> frozenset[str]:
    """Return the words of a feedback that point in a direction."""
    return frozenset(_DIRECTION.findall(feedback.lower()))


def _same_way(feedbacks: Iterable[str]) -> bool:
    directions = set(map(_direction, feedbacks))
    return len(directions) == 1 and frozenset() not in directions


def _way(feedbacks: Iterable[str]) -> int:
    """Return 1 if all feedbacks ask for a larger number, -1 for a smaller one, else 0."""
    ways = {bool(_MORE.search(text)) - bool(_LESS.search(text)) for text in feedbacks}
    return ways.pop() if len(ways) == 1 else 0


def _whole(entry: Entry, value: float, rounded: Callable[[float], int]) -> str:
    """Write a number as one that a variable may have."""
    return str(rounded(value)) if isinstance(entry.data, int) else f"{value:g}"


def _far(last: float, way: int) -> float:
    """Return twice a number or half of it, whichever lies that way; 1 or -1 for 0."""
    return last * 2.0 ** math.copysign(1, way * last) if last else float(way)


def _has_room(entry: Entry, low: str, high: str) -> bool:
    return isinstance(entry.data, float) or float(high) - float(low) > 1


def _line(entries: Mapping[str, Entry], key: tuple[str, ...], feedback: str) -> str:
    pairs = [
        f"{name} = {text!r}" if isinstance(entry.data, str) else f"{name} = {text}"
        for (name, entry), text in zip(entries.items(), key, strict=True)
    ]
    return f"{', '.join(pairs)} -> {'; '.join(feedback.splitlines())}"


def _by_variable(words: Mapping[str, str], feedback: str) -> dict[str, list[str]] | None:
    """Return what was said about each variable; None if a line is about none of them or several."""
    lines = [line.strip() for line in feedback.splitlines() if line.strip()]
    if len(words) == 1:
        return dict.fromkeys(words, lines)
    patterns = {
        name: re.compile(rf"\b{re.escape(word.rstrip('0123456789'))}\d*\b", re.IGNORECASE)
        for name, word in words.items()
    }
    said: dict[str, list[str]] = {name: [] for name in words}
    for line in lines:
        about = [name for name, pattern in patterns.items() if pattern.search(line)]
        if len(about) != 1:
            return None
        said[about[0]].append(line)
    return said
