from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality_table import (
    difference,
    overview,
    page,
    pair_table,
    pairs,
    rows_of,
    sign_test,
    spent,
    wilson,
)


def row(subject: str, task: str = "total", seed: int = 0, **changed: Any) -> dict[str, Any]:
    return {
        "subject": subject,
        "task": task,
        "kind": "code",
        "seed": seed,
        "protocol": 1,
        "solved": True,
        "calls": 2,
        "failed_steps": 0,
        "error": "",
        "prompt_tokens": 300,
        "completion_tokens": 80,
        "model_seconds": 9.0,
        "wall_seconds": 10.0,
        "settings": {"slots": 1},
        "commit": "abc1234",
        "when": "2026-11-22T20:00:00+00:00",
        **changed,
    }


OURS, THEIRS = "ours OptoPrime", "original OptoPrime"


@pytest.mark.parametrize(
    ("solved", "count", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_intervals_as_in_the_literature(solved: int, count: int, low: float, high: float) -> None:
    """The last is the example of Newcombe (1998)."""
    assert wilson(solved, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 50), st.integers(0, 50))
def test_the_rate_is_inside_its_interval(solved: int, others: int) -> None:
    count = solved + others
    low, high = wilson(solved, count)
    assert 0 <= low <= high <= 1
    if count:
        assert low - 1e-12 <= solved / count <= high + 1e-12


def test_the_sign_test() -> None:
    assert sign_test(0, 0) == 1
    assert sign_test(3, 3) == 1
    assert sign_test(0, 5) == pytest.approx(2 / 32)
    assert sign_test(1, 9) == pytest.approx(22 / 1024)
    assert sign_test(9, 1) == sign_test(1, 9)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_the_difference_turns_with_its_sides(one: int, other: int, alike: int) -> None:
    count = one + other + alike
    low, high = difference(one, other, count)
    turned = difference(other, one, count)
    assert -1 <= low <= high <= 1
    assert turned == pytest.approx((-high, -low))


def test_no_difference_is_not_certain() -> None:
    low, high = difference(0, 0, 20)
    assert low < 0 < high


def test_pairs_are_of_the_same_task_and_seed() -> None:
    rows = [
        row(OURS, seed=0),
        row(OURS, seed=1),
        row(OURS, seed=2, solved=False),
        row(OURS, seed=3, solved=False),
        row(OURS, seed=4),  # alone
        row(THEIRS, seed=0),
        row(THEIRS, seed=1, solved=False),
        row(THEIRS, seed=2),
        row(THEIRS, seed=3, solved=False),
        row(THEIRS, "other", seed=4),
        row("ours OPRO", seed=0),
    ]
    assert pairs(rows, OURS, THEIRS) == (1, 1, 1, 1)
    assert pairs(rows, OURS, THEIRS, "code") == (1, 1, 1, 1)
    assert pairs(rows, OURS, THEIRS, "numbers") == (0, 0, 0, 0)


def test_the_paired_table() -> None:
    rows = [row(OURS, seed=seed) for seed in range(6)]
    rows += [row(THEIRS, seed=seed, solved=False) for seed in range(6)]
    lines = pair_table(rows, OURS, THEIRS).splitlines()
    assert lines[2].startswith("| code | 6 | 0 | 6 | 0 | 0 | +100 (")
    assert lines[2].endswith("| 0.031 |")
    assert lines[3].startswith("| all | 6 ")


def test_the_overview_marks_what_cannot_be_chance() -> None:
    rows = [
        row(name, seed=seed, kind=kind, solved=solves)
        for kind, (ours, theirs) in {"code": (True, False), "mixed": (False, True)}.items()
        for name, solves in ((OURS, ours), (THEIRS, theirs))
        for seed in range(10)
    ]
    rows += [row(name, "other", kind="repair", seed=1) for name in (OURS, THEIRS)]
    for item in rows:
        item["task"] = item["kind"]
    head, _, line = overview(rows, THEIRS).splitlines()
    assert head == "| optimizer | numbers | prompts | code | repair | mixed | all |"
    name, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
    assert name == OURS
    assert cells[:2] == ["–", "–"]
    assert cells[2].startswith("**+100 (+")
    assert cells[3].startswith("+0 (")
    assert cells[4].startswith("**-100 (-")
    assert cells[5].startswith("+0 (")


def test_a_small_probability_is_not_written_as_none() -> None:
    rows = [
        row(name, seed=seed, solved=name == OURS) for name in (OURS, THEIRS) for seed in range(12)
    ]
    assert pair_table(rows, OURS, THEIRS).endswith(" | < 0.001 |")


def test_rows_of_one_protocol_are_read(tmp_path: Path) -> None:
    path = tmp_path / "quality.jsonl"
    assert rows_of(path, 1) == []
    lines = [json.dumps(row(OURS)), json.dumps(row(OURS, protocol=2)), '{"subject": "ou']
    path.write_text("\n".join(lines), encoding="utf-8")
    assert [item["protocol"] for item in rows_of(path, 1)] == [1]

    path.write_text("\n".join(reversed(lines)), encoding="utf-8")
    with pytest.raises(ValueError, match="Unterminated"):
        rows_of(path, 1)


def test_time_spent_is_a_mean() -> None:
    rows = [row(OURS), row(OURS, wall_seconds=20.0), row(THEIRS, settings={"slots": 2})]
    assert spent(rows) == {OURS: 15.0, THEIRS: 5.0}


def test_the_page() -> None:
    rows = [
        row(OURS, "oven", kind="numbers", calls=3),
        row(OURS, calls=1),
        row(THEIRS, "oven", kind="numbers", solved=False, calls=8, error="ended with -24: "),
        row(THEIRS, calls=8, failed_steps=2),
    ]
    text = page(rows)
    assert (
        "4 runs, seeds 0, 2026-11-22 to 2026-11-22, code abc1234; the model run by xllamacpp."
        in text
    )
    assert "| ours OptoPrime | 1 of 1 (21–100 %) | – | 1 of 1 (21–100 %) | – | – | 2 of 2" in text
    assert "| ours OptoPrime | 2 (1–3) | 2.0 | 150 | 40 | 0 | 0 |" in text
    assert "| original OptoPrime | 8 (8–8) | 8.0 | 38 | 10 | 2 | 1 |" in text
    assert "### ours OptoPrime" in text
    assert "### original" not in text
    assert "| oven | numbers | 1/1 | 0/1 |" in text


def test_the_page_says_what_ran_the_model() -> None:
    rows = [row(OURS), row(OURS, "oven", settings={"slots": 1, "engine": "a native build"})]
    assert "the model run by a native build, xllamacpp." in page(rows)


def test_the_page_before_anything_was_run() -> None:
    assert page([]).endswith("Nothing has been run yet.\n")
