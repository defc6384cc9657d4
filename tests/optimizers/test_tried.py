from __future__ import annotations

from opto.optimizers.memory import Trial
from opto.optimizers.problem import Entry
from opto.optimizers.tried import table_of

NUMBERS = {"workers0": Entry(15, None, "int"), "timeout0": Entry(120, None, "int")}


def tried(workers: int, timeout: int, feedback: str) -> Trial:
    return Trial({"workers0": str(workers), "timeout0": str(timeout)}, feedback)


def test_the_present_text_stands_last() -> None:
    entries = {"p": Entry("b", None, "str")}
    memory = [Trial({"p": "c"}, "no"), Trial({"q": "x"}, "other")]
    assert table_of(entries, memory, "not yet") == "p = 'c' -> no\np = 'b' -> not yet"


def test_a_trial_is_one_line() -> None:
    assert table_of({"p": Entry("b", None, "str")}, [], "too long\nand dull") == (
        "p = 'b' -> too long; and dull"
    )


def test_numbers_that_are_told_apart_have_tables_of_their_own() -> None:
    memory = [
        tried(30, 50, "workers = 30 is too high\ntimeout = 50 is too low"),
        tried(2, 100, "workers = 2 is too low"),
    ]

    assert table_of(NUMBERS, memory, "timeout = 120 is too high").splitlines() == [
        "workers0 = 2 -> workers = 2 is too low",
        "workers0 = 15 -> nothing said against it",
        "workers0 = 30 -> workers = 30 is too high",
        "",
        "timeout0 = 50 -> timeout = 50 is too low",
        "timeout0 = 100 -> nothing said against it",
        "timeout0 = 120 -> timeout = 120 is too high",
    ]


def test_numbers_stay_together_where_a_line_is_about_both_or_neither() -> None:
    for said in ("too slow", "workers and timeout don't fit", "workers is low\ntry again"):
        table = table_of(NUMBERS, [tried(2, 100, "workers is low")], said)

        assert table.splitlines() == [
            "workers0 = 2, timeout0 = 100 -> workers is low",
            f"workers0 = 15, timeout0 = 120 -> {'; '.join(said.splitlines())}",
        ]
