from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence

import pytest

from opto.optimizers.memory import Trial
from opto.optimizers.problem import Entry
from opto.optimizers.tried import Tried, is_number

NUMBERS = {"workers0": Entry(15, None, "int"), "timeout0": Entry(120, None, "int")}
MIXED = {"text0": Entry("Hello", None, "str"), "rate0": Entry(0.9, None, "float")}


def tried(workers: int, timeout: int, feedback: str) -> Trial:
    return Trial({"workers0": str(workers), "timeout0": str(timeout)}, feedback)


def of(entries: dict[str, Entry], memory: Sequence[Trial], feedback: str) -> Tried:
    return Tried(entries, {name: name for name in entries}, memory, feedback)


def one(value: float, trials: Mapping[int, str] | Mapping[float, str], feedback: str) -> str:
    entries = {"x0": Entry(value, None, type(value).__name__)}
    memory = [Trial({"x0": str(past)}, said) for past, said in trials.items()]
    return of(entries, memory, feedback).table(["x0"])


def test_the_present_text_stands_last() -> None:
    entries = {"p": Entry("b", None, "str")}
    memory = [Trial({"p": "c"}, "no"), Trial({"q": "x"}, "other")]
    assert of(entries, memory, "not yet").table(["p"]) == "p = 'c' -> no\np = 'b' -> not yet"


def test_a_trial_is_one_line() -> None:
    assert of({"p": Entry("b", None, "str")}, [], "too long\nand dull").table(["p"]) == (
        "p = 'b' -> too long; and dull"
    )


def test_what_was_ever_said_about_a_text_is_put_together() -> None:
    entries = {"p": Entry("b", None, "str")}
    memory = [
        Trial({"p": "d"}, "It has 11 words; at most 6.\nName the river."),
        Trial({"p": "c"}, "End with a dot."),
    ]
    found = of(entries, memory, "It has 9.5 words; at most 6.")
    assert found.is_tried_text("p")
    assert found.demands("p").splitlines() == [
        "Demands:",
        "- Name the river.",
        "- End with a dot.",
        "- It has 9.5 words; at most 6.",
        "Not as before: 'd'",
    ]
    assert not of(entries, [], "too long").is_tried_text("p")


def test_a_text_that_came_again_is_not_shown() -> None:
    entries = {"p": Entry("c", None, "str")}
    again = of(entries, [Trial({"p": "d"}, "Be short."), Trial({"p": "c"}, "Rhyme.")], "Rhyme.")
    assert again.demands("p") == "Demands:\n- Be short.\n- Rhyme."


def test_a_text_is_tried_once_something_was_said_against_it_twice() -> None:
    same = Trial({"text0": "Hello", "rate0": "0.5"}, "rate = 0.5 is too high.")
    assert not of(MIXED, [same], "The text must greet.").is_tried_text("text0")
    said = Trial({"text0": "Hello", "rate0": "0.5"}, "The text must greet.")
    assert of(MIXED, [said], "The text must greet.").is_tried_text("text0")
    assert not of(MIXED, [said], "Nobody answered.").is_tried_text("text0")
    rates = [Trial({"text0": "Hello", "rate0": "0.5"}, "rate = 0.5 is too high.")]
    assert not of(MIXED, rates, "rate = 0.9 is too high.").is_tried_text("rate0")


def test_variables_that_are_told_apart_have_tables_of_their_own() -> None:
    memory = [
        tried(30, 50, "workers = 30 is too big\ntimeout = 50 is too short"),
        tried(2, 100, "workers = 2 is too small"),
    ]
    found = of(NUMBERS, memory, "timeout = 120 is too long")
    assert found.apart
    assert found.table(list(NUMBERS)).splitlines() == [
        "workers0 = 2 -> workers = 2 is too small",
        "workers0 = 15 -> nothing said against it",
        "workers0 = 30 -> workers = 30 is too big",
        "",
        "timeout0 = 50 -> timeout = 50 is too short",
        "timeout0 = 100 -> nothing said against it",
        "timeout0 = 120 -> timeout = 120 is too long",
    ]


@pytest.mark.parametrize(
    "said", ["too slow", "workers and timeout don't fit", "workers is low\ntry again"]
)
def test_numbers_stay_together_where_a_line_is_about_both_or_neither(said: str) -> None:
    found = of(NUMBERS, [tried(2, 100, "workers is low")], said)
    assert not found.apart
    assert found.asked == list(NUMBERS)
    assert found.table(list(NUMBERS)).splitlines() == [
        "workers0 = 2, timeout0 = 100 -> workers is low",
        f"workers0 = 15, timeout0 = 120 -> {'; '.join(said.splitlines())}",
    ]


@pytest.mark.parametrize(
    ("feedback", "asked"),
    [
        ("The text must greet.\nrate = 0.9 is too high.", ["text0", "rate0"]),
        ("rate = 0.9 is too high.", ["rate0"]),
        ("The Text must greet.", ["text0"]),
        ("Nobody answered.", ["text0", "rate0"]),
        ("", ["text0", "rate0"]),
    ],
)
def test_only_what_the_feedback_names_is_asked(feedback: str, asked: list[str]) -> None:
    assert of(MIXED, [], feedback).asked == asked


def test_trials_of_which_it_is_unclear_what_they_say_are_left_out() -> None:
    before = Trial({"text0": "Hi", "rate0": "0.5"}, "Nobody answered.")
    found = of(MIXED, [before], "rate = 0.9 is too high.")
    assert found.apart
    assert found.asked == ["rate0"]
    assert found.table(["rate0"]) == "rate0 = 0.9 -> rate = 0.9 is too high."


def test_small_steps_one_way_are_advised_against() -> None:
    assert one(8, {5: "too low", 6: "too low"}, "too low").splitlines()[-1] == (
        "So try x0 much further on."
    )
    for trials in ({}, {5: "wrong"}, {5: "too low"}):
        assert "So try" not in one(8, trials, "wrong")
    assert "So try" not in one(8, {}, "too low")


def test_code_is_named_by_its_function() -> None:
    entries = {"__code0": Entry("def f(): ...", None, "code"), **MIXED}
    words = {"__code0": "total", "text0": "text0", "rate0": "rate0"}
    assert Tried(entries, words, [], "total([1]) returned 2").asked == ["__code0"]


def test_where_the_direction_turns_two_values_are_shown_and_what_lies_between() -> None:
    trials = {10.0: "too low, go higher", 900.0: "It is too high", 400.0: "It is too high"}
    assert one(20.0, trials, "too low, go higher").splitlines() == [
        "x0 = 20.0 -> too low, go higher",
        "x0 = 400.0 -> It is too high",
        "So try x0 between 20.0 and 400.0.",
    ]


def test_advice_is_given_for_the_numbers_that_the_feedback_names() -> None:
    memory = [
        tried(2, 900, "workers is too low\ntimeout is too high"),
        tried(40, 900, "workers is too high\ntimeout is too high"),
    ]
    low = of(NUMBERS, memory, "workers = 15 is too low\ntimeout = 120 is too high")
    assert low.advice() == [
        "So try workers0 between 15 and 40, for example 27.",
        "So try timeout0 far beyond 120, for example 60.",
    ]
    assert of(NUMBERS, memory, "workers = 15 is too low").advice() == [
        "So try workers0 between 15 and 40, for example 27."
    ]
    assert of(NUMBERS, memory, "Both are wrong.").advice() == []
    assert of(MIXED, [], "The text must greet.").advice() == []


@pytest.mark.parametrize(
    ("value", "constraint", "past", "said", "advice"),
    [
        (51, "between 0 and 100", 50, "too low", "between 51 and 100, for example 76"),
        (99, "between 0 and 100", 50, "increase it", "between 99 and 100, for example 100"),
        (50, "between 0 and 100", 51, "too high", "between 0 and 50, for example 25"),
        (0.5, "between 0 and 1", 0.6, "must be less", "between 0 and 0.5, for example 0.25"),
        (9, None, 8, "it must be larger", "far beyond 9, for example 18"),
        (-8, None, -9, "It is too low", "far beyond -8, for example -4"),
        (-9, None, -8, "it is too high", "far beyond -9, for example -18"),
        (9, None, 10, "it is too high", "far beyond 9, for example 4"),
        (1_500_000, None, 8, "too low", "far beyond 1500000, for example 3000000"),
        (0, None, -1, "too few", "far beyond 0, for example 1"),
        (10**308, None, 8, "too low", None),
        (
            1.5e308,
            "between 0 and 1.7e308",
            1e308,
            "too low",
            "between 1.5e+308 and 1.7e+308, for example 1.6e+308",
        ),
        (9, None, 8, "wrong", None),
        (9, None, 8, "less is more", None),
        (9, None, 9, "too low", None),
    ],
)
def test_where_to_search_on_one_side(
    value: float, constraint: str | None, past: float, said: str, advice: str | None
) -> None:
    entries = {"x0": Entry(value, constraint, type(value).__name__)}
    found = of(entries, [Trial({"x0": str(past)}, said)], said)
    assert found.advice() == ([f"So try x0 {advice}."] if advice else [])


def test_no_advice_between_neighbours() -> None:
    entries = {"x0": Entry(5, None, "int")}
    assert of(entries, [Trial({"x0": "6"}, "too high")], "too low").advice() == []


def test_nothing_is_to_try_between_neighbours() -> None:
    assert "So try" not in one(5, {6: "too high"}, "too low")
    assert "So try" in one(5, {7: "too high"}, "too low")


def test_how_far_off_it_is_is_no_direction() -> None:
    trials = {100: "too low, it must be higher. It is far off."}
    assert one(200, trials, "too low, it must be higher. It is near.").splitlines() == [
        "x0 = 100 -> too low, it must be higher. It is far off.",
        "x0 = 200 -> too low, it must be higher. It is near.",
        "So try x0 much further on.",
    ]


def test_no_place_is_named_where_the_direction_turns_more_than_once() -> None:
    text = one(3, {1: "too low", 2: "too high"}, "too low")
    assert text.splitlines() == ["x0 = 1 -> too low", "x0 = 2 -> too high", "x0 = 3 -> too low"]


def test_the_twelve_latest_are_shown() -> None:
    trials = dict.fromkeys(range(20), "worse")
    assert one(50, trials, "worse").splitlines()[0] == "x0 = 9 -> worse"


class Size(enum.IntEnum):
    SMALL = 1


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, True),
        (0.5, True),
        (True, False),
        ("1", False),
        (None, False),
        (Size.SMALL, False),
        (math.nan, False),
        (10**400, False),
    ],
)
def test_what_a_number_is(value: object, number: bool) -> None:
    assert is_number(Entry(value, None, "")) is number


def test_what_was_no_number_then_is_left_out() -> None:
    entries = {"x0": Entry(5, None, "int")}
    memory = [Trial({"x0": text}, "too low") for text in ("None", "nan", "2.5")]
    assert of(entries, memory, "too high").table(["x0"]).splitlines() == [
        "x0 = 2.5 -> too low",
        "x0 = 5 -> too high",
        "So try x0 between 2.5 and 5.",
    ]


def test_what_was_said_against_once_and_no_more_is_settled() -> None:
    memory = [tried(15, 120, "workers are too few\ntimeout is too high")]
    found = of(NUMBERS, memory, "timeout is too high")
    assert found.is_settled("workers0")
    assert not found.is_settled("timeout0")
    assert not of(NUMBERS, [], "timeout is too high").is_settled("workers0"), "it was never named"
    assert not of(NUMBERS, memory, "both are wrong").is_settled("workers0")
