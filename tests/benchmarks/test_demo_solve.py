"""The tables of how often the demo solves its tasks."""

from __future__ import annotations

from typing import Any

from benchmarks.demo_solve import runs, table


def row(task: str, after: float, seconds: float, **more: Any) -> dict[str, Any]:
    same = {"label": "abc", "model": "1.5b", "calls": 4, "tokens": 1000}
    return {**same, "task": task, "after": after, "seconds": seconds, **more}


ROWS = [
    row("a number", 1.0, 10),
    row("sort", 1.0, 90),
    row("a number", 1.0, 30),
    row("sort", 0.5, 100),
    row("a number", 1.0, 20, tokens=None),
    row("sort", 1.0, 581),
]


def test_a_task_is_solved_if_all_hidden_cases_are() -> None:
    assert table(ROWS).splitlines()[2:] == [
        "| abc | 1.5b | a number | 3 of 3 | 20 (10–30) | 4 | 1,000 |",
        "| abc | 1.5b | sort | 2 of 3 | 100 (90–581) | 4 | 1,000 |",
    ]


def test_a_run_counts_if_all_its_tasks_are_solved_and_in_time() -> None:
    assert runs(ROWS).splitlines()[2:] == ["| abc | 1.5b | 2 of 3 | 1 of 3 | 130 (100–601) |"]


def test_models_are_counted_apart_and_a_run_that_was_cut_off_is_not_counted() -> None:
    small = [row("a number", 1.0, 5, model="0.5b"), row("sort", 0.0, 40, model="0.5b")]
    rows = [*ROWS[:2], *small, row("a number", 1.0, 9)]

    assert runs(rows).splitlines()[2:] == [
        "| abc | 0.5b | 0 of 1 | 0 of 1 | 45 |",
        "| abc | 1.5b | 1 of 1 | 1 of 1 | 100 |",
    ]
