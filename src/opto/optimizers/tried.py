"""What was tried, as a table that small models can read.

Numbers are in ascending order: where one should search is then plain to see. Where each line of the
feedback is about one number, each number has a table of its own, so that the others don't stand
between its values (docs/benchmarks/demo.md has what this is worth).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from opto.optimizers.memory import Trial
from opto.optimizers.problem import Entries, Entry
from opto.optimizers.shortening import text_of

MOST_TRIALS = 12
NOT_NAMED = "nothing said against it"
_Tried = dict[tuple[str, ...], str]


def table_of(entries: Entries, memory: Iterable[Trial], feedback: str) -> str:
    """Write a line for each trial, ``x0 = 5 -> too low``, the present values last."""
    present = {name: text_of(entry.data) for name, entry in entries.items()}
    latest: _Tried = {}
    for trial in (*memory, Trial(present, feedback)):
        if present.keys() <= trial.variables.keys():
            key = tuple(trial.variables[name] for name in present)
            latest.pop(key, None)
            latest[key] = trial.feedback
    tried = {key: latest[key] for key in list(latest)[-MOST_TRIALS:]}
    if not all(_is_number(entry.data) for entry in entries.values()):
        return "\n".join(_line(entries, key, tried[key]) for key in tried)
    tables = _by_variable(entries, tried)
    if tables is None:
        return "\n".join(_line(entries, key, tried[key]) for key in _ascending(tried))
    blocks = (
        [_line({name: entries[name]}, key, table[key]) for key in _ascending(table)]
        for name, table in tables.items()
    )
    return "\n\n".join("\n".join(lines) for lines in blocks)


def _ascending(tried: _Tried) -> list[tuple[str, ...]]:
    return sorted(tried, key=lambda key: [float(text) for text in key])


def _line(entries: Entries, key: tuple[str, ...], feedback: str) -> str:
    pairs = [
        f"{name} = {text!r}" if isinstance(entry.data, str) else f"{name} = {text}"
        for (name, entry), text in zip(entries.items(), key, strict=True)
    ]
    return f"{', '.join(pairs)} -> {'; '.join(feedback.splitlines())}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _by_variable(entries: Mapping[str, Entry], tried: _Tried) -> dict[str, _Tried] | None:
    """Return what was said about each number; None if a line is about none of them or several."""
    if len(entries) < 2:
        return None
    words = {
        name: re.compile(rf"\b{re.escape(name.rstrip('0123456789'))}\d*\b") for name in entries
    }
    tables: dict[str, _Tried] = {name: {} for name in entries}
    for key, feedback in tried.items():
        said: dict[str, list[str]] = {name: [] for name in entries}
        for line in filter(None, map(str.strip, feedback.splitlines())):
            about = [name for name, word in words.items() if word.search(line)]
            if len(about) != 1:
                return None
            said[about[0]].append(line)
        for (name, lines), value in zip(said.items(), key, strict=True):
            tables[name].pop((value,), None)
            tables[name][(value,)] = "; ".join(lines) or NOT_NAMED
    return tables
