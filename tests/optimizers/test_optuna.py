"""What words in the feedback tell the classical optimizer beside the score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opto.llm.base import Abilities
from opto.optimizers import HybridOptimizer, OptunaOptimizer
from opto.optimizers.bounds import Range
from opto.testing import ScriptedModel
from opto.trace import ParameterNode, bundle, node

pytest.importorskip("optuna")


@bundle()
def total(*parts: Any) -> Any:
    """Use the parts."""
    return parts


def number(value: float, name: str = "x", words: str = "between 0 and 100") -> ParameterNode[Any]:
    return node(value, name=name, trainable=True, constraint=words)


def said(optimizer: Any, values: dict[ParameterNode[Any], Any], feedback: str) -> dict[str, Any]:
    """Set values, give feedback on them, and return what is proposed next."""
    for parameter, value in values.items():
        parameter._set(value)
    optimizer.zero_feedback()
    optimizer.backward(total(*values), feedback)
    return {parameter.py_name: value for parameter, value in optimizer.step().items()}


@pytest.mark.parametrize("seed", range(5))
def test_once_the_words_turn_the_range_is_halved(seed: int) -> None:
    x = number(50)
    optimizer = OptunaOptimizer([x], seed=seed)
    lows, highs = set[int](), set[int]()
    turned = 0
    for _ in range(100):
        if 70 <= x.data <= 72:
            break
        low = x.data < 70
        (lows if low else highs).add(x.data)
        turned += bool(lows and highs)
        said(optimizer, {x: x.data}, f"score: 0.5\nx = {x.data} is too {'low' if low else 'high'}")
        if turned:
            assert x.data == (max(lows) + min(highs)) // 2
    assert 70 <= x.data <= 72
    assert turned <= 6, "from 100 to 3 by halves"


def test_words_and_scores_stand_in_the_reasoning() -> None:
    x, y = number(20), number(5, "y")
    optimizer = OptunaOptimizer([x, y], seed=1)
    said(optimizer, {x: 20, y: 5}, "x is too low\ny is too low\nscore: 0.1")
    said(optimizer, {x: 60, y: 7}, "x is too high\ny is too low\nscore: 0.3")
    assert said(optimizer, {x: 39, y: 80}, "x is too low\nscore: 0.6") == {"x0": 49, "y0": 80}
    assert optimizer.standing().endswith("the best of 3 tried is 0.6 with x0=39, y0=80")
    assert optimizer.summary_log is not None
    assert optimizer.summary_log[-1]["reasoning"] == (
        "score 0.6; the best of 3 tried is 0.6 with x0=39, y0=80; next x0 is between 39 and 60, "
        "as was said; next y0 stays, nothing more was said against it"
    )


def test_the_middle_of_small_numbers_is_their_geometric_mean() -> None:
    rate = number(1e-4, "rate", "a rate")
    optimizer = OptunaOptimizer([rate], bounds={rate: Range(1e-6, 1, log=True)}, seed=1)
    said(optimizer, {rate: 1e-4}, "score 0.1: too low")
    found = said(optimizer, {rate: 1e-2}, "score 0.2: too high")
    assert found["rate0"] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    "feedback",
    [
        "score: 0.4",
        "score: 0.4\nit is too high",
        "score: 0.4\nx and y are too high",
        "score: 0.4\nz is too high",
    ],
)
def test_words_about_none_or_several_leave_the_numbers_to_the_sampler(feedback: str) -> None:
    x, y = number(20), number(5, "y")
    optimizer = OptunaOptimizer([x, y], seed=1)
    said(optimizer, {x: 20, y: 5}, "x is too low, score: 0.1")
    said(optimizer, {x: 60, y: 5}, feedback)
    assert optimizer.summary_log is not None
    assert "next" not in optimizer.summary_log[-1]["reasoning"]


def test_a_middle_that_was_tried_is_not_proposed_again() -> None:
    x = number(20)
    optimizer = OptunaOptimizer([x], seed=1)
    said(optimizer, {x: 20}, "too low, score: 0.1")
    assert said(optimizer, {x: 60}, "too high, score: 0.1") == {"x0": 40}
    said(optimizer, {x: 40}, "score: 0.8")
    assert optimizer.summary_log is not None
    assert "next" not in optimizer.summary_log[-1]["reasoning"]


def test_values_outside_of_the_bounds_say_where_to_go_too() -> None:
    x = number(20)
    optimizer = OptunaOptimizer([x], bounds={x: Range(1, 81, log=True)}, seed=1)
    said(optimizer, {x: -7}, "too low, score: 0.1")
    said(optimizer, {x: 4}, "too low, score: 0.3")
    assert said(optimizer, {x: 500}, "too high, score: 0.2") == {"x0": 18}
    other = OptunaOptimizer([x], bounds={x: Range(1, 81, log=True)}, seed=1)
    said(other, {x: 81}, "too high, score: 0.1")
    assert said(other, {x: -7}, "too low, score: 0.2") == {"x0": 9}


def test_neighbours_have_no_middle() -> None:
    x = number(20)
    optimizer = OptunaOptimizer([x], seed=1)
    said(optimizer, {x: 20}, "too low, score: 0.1")
    said(optimizer, {x: 21}, "too high, score: 0.1")
    assert optimizer.summary_log is not None
    assert "next" not in optimizer.summary_log[-1]["reasoning"]


def test_choices_stay_as_well_and_have_no_middle() -> None:
    speed = node("slow", name="speed", trainable=True, constraint="one of: slow, fast")
    x = number(20)
    optimizer = OptunaOptimizer([x, speed], seed=1)
    said(optimizer, {x: 20, speed: "slow"}, "speed is too low\nx is too low\nscore: 0.1")
    said(optimizer, {x: 30, speed: "slow"}, "speed is too low\nx is too low\nscore: 0.1")
    found = said(optimizer, {x: 60, speed: "fast"}, "x is too high\nscore: 0.4")
    assert found == {"x0": 45, "speed0": "fast"}


def test_words_about_a_text_alone_keep_no_number_from_changing() -> None:
    x, text = number(20), node("a", name="text", trainable=True)
    llm = ScriptedModel(
        [{"suggestion": {"text0": f"text {step}"}} for step in range(6)], abilities=Abilities()
    )
    optimizer = HybridOptimizer([x, text], llm=llm, numbers={"seed": 1})
    seen = {x.data}
    for _ in range(6):
        said(optimizer, {x: x.data, text: text.data}, "score: 0.3\nthe text says too little")
        seen.add(x.data)
    assert len(seen) > 3


def test_words_about_a_function_are_known_from_those_about_a_number() -> None:
    x = number(20)

    @bundle(trainable=True)
    def scale(x: float) -> float:
        """Scale."""
        return x * 2

    llm = ScriptedModel("TERMINATE", abilities=Abilities())
    optimizer = HybridOptimizer([x, scale.parameter], llm=llm, numbers={"seed": 1})
    for value, word in ((20, "low"), (60, "high")):
        x._set(value)
        optimizer.zero_feedback()
        optimizer.backward(scale(x), f"x is too {word}\nscale must return a text\nscore: 0.1")
        optimizer.step()
    assert x.data == 40


def test_what_was_said_goes_through_files(tmp_path: Path) -> None:
    x = number(20)
    first = OptunaOptimizer([x], seed=1)
    said(first, {x: 20}, "too low, score: 0.1")
    first.save(tmp_path / "it.txt")
    again = OptunaOptimizer([x], seed=1)
    again.load(tmp_path / "it.txt")
    assert said(again, {x: 60}, "too high, score: 0.2") == {"x0": 40}

    state = first.kept_state()
    for trial in state["study"]["tried"]:
        del trial["said"]  # as files of before have it
    older = OptunaOptimizer([x], seed=1)
    older.restore_state(state)
    assert len(older.study.trials) == 2
