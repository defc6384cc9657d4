from __future__ import annotations

import enum
import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opto.errors import InvalidArgument, MissingExtra, ProposalError, UsageError
from opto.llm.base import Abilities
from opto.optimizers import HybridOptimizer, OptoPrime, OptoPrimeV2, OptunaOptimizer
from opto.optimizers.bounds import Choices, Range, read_bounds
from opto.optimizers.model import value_for
from opto.optimizers.scores import mean_score, score_of, without_score
from opto.testing import ScriptedModel
from opto.testing.optimizers import OPTIMIZER_CHECKS, OptimizerCheck
from opto.trace import ParameterNode, bundle, node

PLAIN = Abilities()


class Speed(enum.Enum):
    SLOW = 1
    FAST = 2


@pytest.fixture(autouse=True)
def _skip_without_optuna(request: pytest.FixtureRequest) -> None:
    if "optuna" in request.node.name.casefold():
        pytest.importorskip("optuna")


@bundle()
def total(*parts: Any) -> Any:
    """Use the parts."""
    return parts


# ---- bounds and scores ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text", "expected"),
    [
        (3, "between 0 and 10", Range(0, 10)),
        (3, "Must be from -5 to 5.", Range(-5, 5)),
        (0.5, "a share in [0, 1]", Range(0, 1)),
        (0.5, "1e-3 <= x <= 1", Range(0.001, 1)),
        (3, "at least 1 and at most 4", Range(1, 4)),
        ("fast", "one of: slow, fast or 'faster'.", Choices(("slow", "fast", "faster"))),
        (True, "", Choices((False, True))),
        (Speed.FAST, "", Choices((Speed.SLOW, Speed.FAST))),
        (3, "a number", None),
        (3, "between 10 and 0", None),
        ("odd", "one of: slow, fast", None),
        ("text", "between 0 and 10", None),
    ],
)
def test_bounds_are_read_from_what_is_said(data: Any, text: str, expected: Any) -> None:
    assert read_bounds(ParameterNode(data, constraint=text or None)) == expected
    assert read_bounds(ParameterNode(data, description=text or None)) == expected


@pytest.mark.parametrize(
    ("data", "constraint", "good", "bad", "words"),
    [
        (3, "between 0 and 10", 10, 11, "11 isn't between 0 and 10"),
        (0.5, "in [0, 1]", 0.0, -0.1, "-0.1 isn't between 0 and 1"),
        ("a", "one of: a, b", "b", "c", "'c' isn't one of a, b"),
    ],
)
def test_proposals_keep_to_the_constraint(
    data: Any, constraint: str, good: Any, bad: Any, words: str
) -> None:
    parameter = ParameterNode(data, constraint=constraint)
    assert value_for(parameter, good) == good
    with pytest.raises(ProposalError, match=re.escape(words)):
        value_for(parameter, bad)
    assert value_for(ParameterNode(data, description=constraint), bad) == bad


@pytest.mark.parametrize(
    ("data", "constraint", "good", "bad"),
    [
        (3, "at least 1", 1, 0),
        (3, "must be at most 5.", 5, 6),
        (0.5, "a number > 0", 0.1, 0),
        (0.5, "It should be less than 1", 0.9, 1.0),
        (3, "positive", 1, 0),
        (3, "a0 must not be negative", 0, -1),
        (3, "one of: 1, 3 or 9", 9, 2),
        ("a", "Literal['a', 'b']", "b", "c"),
        ([0.5], "each between 0 and 1", [0.0, 1.0], [0.5, 1.5]),
        (np.zeros((2, 2)), "all values at least 0", [[1, 2], [3, 4]], [[1, 2], [3, -4]]),
        (["a"], "each one of: a, b", ["b", "a"], ["a", "c"]),
        ((1, 2), "every element at most 3", (3, 3), (3, 4)),
    ],
)
def test_constraints_of_other_forms_hold_too(
    data: Any, constraint: str, good: Any, bad: Any
) -> None:
    parameter = ParameterNode(data, constraint=constraint)
    value: Any = value_for(parameter, good)
    assert np.array_equal(value, good)
    with pytest.raises(ProposalError, match=r"isn't|keep to the constraint"):
        value_for(parameter, bad)


@pytest.mark.parametrize(
    ("data", "constraint", "value"),
    [
        (3, "the number of examples; at least 5 of them are needed elsewhere", 1),
        (3, "positive numbers are slower", -1),
        ("long", "at least 5 characters", "a"),
        (True, "at least 1", False),
        ([1], "between 2 and 5 items", [9]),
    ],
)
def test_what_is_said_of_something_else_refuses_nothing(
    data: Any, constraint: str, value: Any
) -> None:
    assert value_for(ParameterNode(data, constraint=constraint), value) == value


@pytest.mark.parametrize("wrong", [(3, 3), (5, 1), (0, float("inf"))])
def test_a_range_goes_upwards(wrong: tuple[float, float]) -> None:
    with pytest.raises(InvalidArgument, match="from a lower to a higher"):
        Range(*wrong)


def test_wrong_bounds() -> None:
    with pytest.raises(InvalidArgument, match="above 0"):
        Range(0, 1, log=True)
    with pytest.raises(InvalidArgument, match="nothing to choose"):
        Choices(())


@pytest.mark.parametrize(
    ("feedback", "expected"),
    [
        (3, 3.0),
        (True, 1.0),
        ("0.5", 0.5),
        ("score: 0.7, too formal", 0.7),
        ("The accuracy is 80", 80.0),
        ("Reward = -1.5", -1.5),
        ("too low", None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_scores_are_read_from_feedback(feedback: object, expected: float | None) -> None:
    assert score_of(feedback) == expected


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("score: 0.3\nx is too low", "x is too low"),
        ("0.5", ""),
        ("1e-05", ""),
        ("Score = 1e-3.", ""),
        ("x is too low, score: 0.3", "x is too low, score: 0.3"),
        ("x is too low\n\nloss 3", "x is too low\n"),
        ("", ""),
    ],
)
def test_lines_of_a_score_alone_say_no_more(text: str, left: str) -> None:
    assert without_score(text) == left


def test_a_batch_counts_by_its_mean() -> None:
    assert mean_score([1, "3"]) == 2.0
    with pytest.raises(UsageError, match="'too low' has none"):
        mean_score([1, "too low"])


# ---- numbers alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_optuna_finds_a_number(sampler: str) -> None:
    x = node(9.0, name="x", trainable=True, constraint="between 0 and 10")
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    optimizer = OptunaOptimizer([x], sampler=sampler, seed=1, maximize=False)
    best = 100.0
    for _ in range(40):
        out = total(x)
        score = (x.data - 3) ** 2
        best = min(best, score)
        optimizer.zero_feedback()
        optimizer.backward(out, score)
        optimizer.step()
        assert 0 <= x.data <= 10
    assert best < 0.5
    assert len(optimizer.study.trials) == 41


def test_optuna_chooses_bools_enums_and_words() -> None:
    flag = node(False, name="flag", trainable=True)
    speed = node(Speed.SLOW, name="speed", trainable=True)
    word = node("a", name="word", trainable=True)
    count = node(1, name="count", trainable=True)
    optimizer = OptunaOptimizer(
        [flag, speed, word, count],
        bounds={"word0": ["a", "b"], count: (1, 4), "speed:0": list(Speed)},
        seed=3,
    )
    seen: set[Any] = set()
    for _ in range(30):
        good = flag.data + (speed.data is Speed.FAST) + (word.data == "b") + count.data
        optimizer.zero_feedback()
        optimizer.backward(total(flag, speed, word, count), f"score: {good}")
        optimizer.step()
        seen |= {flag.data, speed.data, word.data}
        assert type(flag.data) is bool
        assert type(count.data) is int
    assert seen == {True, False, *Speed, "a", "b"}
    assert optimizer.study.best_value == 7


def test_optuna_records_values_that_were_set_by_others() -> None:
    x = node(1, name="x", trainable=True, constraint="between 0 and 10")
    optimizer = OptunaOptimizer([x], seed=1)
    optimizer.backward(total(x), 1)
    optimizer.step(bypassing=True)
    x._set(5)
    optimizer.zero_feedback()
    optimizer.backward(total(x), 2)
    optimizer.step()
    told = [(t.params, t.value) for t in optimizer.study.trials if t.value is not None]
    assert told == [({"x0": 1}, 1.0), ({"x0": 5}, 2.0)]
    x._set(99)  # outside of the bounds: nothing to learn from
    optimizer.zero_feedback()
    optimizer.backward(total(x), 3)
    assert optimizer.step()
    assert len([t for t in optimizer.study.trials if t.value is not None]) == 2


def test_optuna_takes_the_mean_of_a_batch_and_own_scores() -> None:
    x = node(1, name="x", trainable=True, constraint="between 0 and 10")
    optimizer = OptunaOptimizer([x], seed=1, score=lambda feedback: float(len(str(feedback))))
    optimizer.backward(total(x), "ab")
    optimizer.backward(total(x, 1), "abcd")
    optimizer.step()
    assert optimizer.study.trials[0].value == 3.0


def test_optuna_needs_bounds_and_scores() -> None:
    x = node(1, name="x", trainable=True)
    with pytest.raises(InvalidArgument, match=r"x0: no bounds; pass bounds={'x0': \(low, high\)}"):
        OptunaOptimizer([x])
    with pytest.raises(InvalidArgument, match="bounds for y0, but the parameters are x0"):
        OptunaOptimizer([x], bounds={"y0": (0, 1)})
    with pytest.raises(InvalidArgument, match="bounds are a pair"):
        OptunaOptimizer([x], bounds={"x0": 3})  # type: ignore[dict-item]  # wrong on purpose
    with pytest.raises(InvalidArgument, match="no sampler 'best'"):
        OptunaOptimizer([x], bounds={"x0": (0, 1)}, sampler="best")
    text = node("a", name="text", trainable=True)
    with pytest.raises(InvalidArgument, match="a range is for numbers"):
        OptunaOptimizer([text], bounds={text: (0, 1)})
    optimizer = OptunaOptimizer([x], bounds={"x0": (0, 3)})
    optimizer.backward(total(x), "too low")
    with pytest.raises(UsageError, match="has none"):
        optimizer.step()


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    x = node(1, trainable=True, constraint="between 0 and 10")
    with pytest.raises(MissingExtra, match=r"trace-opt\[optuna\]"):
        OptunaOptimizer([x])


def constant(feedback: object) -> float:
    return 1.0


@pytest.mark.parametrize("check", OPTIMIZER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["Optuna", "Hybrid over Optuna"])
def test_they_conform(check: OptimizerCheck, kind: str) -> None:
    def make(parameters: list[ParameterNode[Any]]) -> Any:
        if kind == "Optuna":
            return OptunaOptimizer(parameters, seed=2, score=constant)
        return HybridOptimizer(parameters, numbers={"seed": 2, "score": constant})

    check(make)


# ---- mixed ---------------------------------------------------------------------------------------


def mixed(*replies: Any, **settings: Any) -> tuple[Any, Any, HybridOptimizer, ScriptedModel]:
    number = node(1, name="number", trainable=True, constraint="between 0 and 10")
    text = node("hello", name="text", trainable=True)
    llm = ScriptedModel(replies, abilities=PLAIN)
    optimizer = HybridOptimizer([number, text], llm=llm, numbers={"seed": 1}, **settings)
    optimizer.backward(total(number, text), "score: 0.5, be kinder")
    return number, text, optimizer, llm


def test_optuna_and_a_model_in_one_step() -> None:
    number, text, optimizer, llm = mixed({"suggestion": {"text0": "dear friend"}})
    update = optimizer.step()
    assert set(update) == {number, text}
    assert text.data == "dear friend"
    assert number.data == update[number]
    (call,) = llm.calls
    assert "#Variables\n(str) text0=hello\n" in call.prompt
    assert "(int) number0=1" in call.prompt.partition("#Inputs")[2]


def test_with_optuna_a_refused_reply_leaves_the_numbers_too() -> None:
    number, text, optimizer, _ = mixed("no", {"suggestion": {"text0": "hi"}})
    assert optimizer.step() == {}
    assert (number.data, text.data) == (1, "hello")
    assert isinstance(optimizer.refused[0], ProposalError)
    assert optimizer.step()
    assert text.data == "hi"
    assert isinstance(optimizer.by_model, OptoPrime)
    assert "the reply has no JSON" in str(optimizer.by_model.log)


def test_with_optuna_no_model_is_asked_for_numbers_alone() -> None:
    number = node(1, name="number", trainable=True, constraint="between 0 and 10")
    llm = ScriptedModel([])
    optimizer = HybridOptimizer([number], llm=llm)
    assert optimizer.by_model is None
    optimizer.backward(total(number), 1.0)
    assert optimizer.step()
    assert llm.calls == []


def test_text_alone_needs_no_score() -> None:
    text = node("hello", name="text", trainable=True)
    reply = "<variable><name>text0</name><value>hi</value></variable>"
    optimizer = HybridOptimizer([text], llm=ScriptedModel([reply]), text_optimizer=OptoPrimeV2)
    assert optimizer.by_score is None
    optimizer.backward(total(text), "shorter")
    assert optimizer.step() == {text: "hi"}


def test_optuna_alone_if_only_the_numbers_have_feedback() -> None:
    number, _, optimizer, llm = mixed()
    optimizer.zero_feedback()
    optimizer.backward(total(number), 0.1)
    assert set(optimizer.step()) == {number}
    assert llm.calls == []


# ---- feedback without a score --------------------------------------------------------------------


def test_without_a_score_the_optuna_parameters_go_to_the_model() -> None:
    number, text, optimizer, llm = mixed(
        {"suggestion": {"text0": "dear friend", "number0": 4}}, bounds={"number0": (0, 5)}
    )
    optimizer.zero_feedback()
    optimizer.backward(total(number, text), "the number is too low, and be kinder")
    assert optimizer.step() == {text: "dear friend", number: 4}
    (call,) = llm.calls
    assert "#Variables\n(int) number0=1\n(str) text0=hello\n" in call.prompt
    assert "(int) number0: between 0 and 10; between 0 and 5" in call.prompt


def test_the_model_is_kept_to_the_bounds_of_optuna() -> None:
    number, text, optimizer, llm = mixed(
        {"suggestion": {"text0": "dear", "number0": 7}},
        {"suggestion": {"text0": "dear", "number0": 5}},
        bounds={"number0": (0, 5)},
    )
    optimizer.zero_feedback()
    optimizer.backward(total(number, text), "too low")
    assert optimizer.step() == {}
    assert (number.data, text.data) == (1, "hello")
    assert optimizer.step() == {text: "dear", number: 5}
    assert "number0: 7 isn't between 0 and 5" in llm.calls[1].prompt


def test_one_feedback_without_a_score_is_enough_for_optuna_to_wait() -> None:
    number, _, optimizer, llm = mixed({"suggestion": {"number0": 4}})
    optimizer.backward(total(number), "too low")
    assert optimizer.step() == {number: 4}
    assert len(llm.calls) == 1
    assert optimizer.by_score is not None
    assert not optimizer.by_score.study.trials


def test_optuna_parameters_alone_go_to_the_model_only_for_words() -> None:
    number = node(1, name="number", trainable=True, constraint="between 0 and 10")
    llm = ScriptedModel([{"suggestion": {"number0": 6}}], abilities=PLAIN)
    optimizer = HybridOptimizer([number], llm=llm, numbers={"seed": 1})
    optimizer.backward(total(number), 0.5)
    assert optimizer.step()
    assert llm.calls == []
    optimizer.zero_feedback()
    optimizer.backward(total(number), "lower")
    assert optimizer.step() == {number: 6}
    assert len(llm.calls) == 1


def test_a_score_of_your_own_keeps_to_optuna() -> None:
    number, text, optimizer, llm = mixed({"suggestion": {"text0": "hi"}})
    optimizer = HybridOptimizer([number, text], llm=llm, numbers={"score": constant})
    optimizer.zero_feedback()
    optimizer.backward(total(number, text), "too low")
    assert set(optimizer.step()) == {number, text}
    assert optimizer.by_score is not None
    assert [trial.value for trial in optimizer.by_score.study.trials][:1] == [1.0]


def test_after_a_refused_reply_optuna_is_told_once() -> None:
    _, _, optimizer, _ = mixed("no", {"suggestion": {"text0": "hi"}})
    optimizer.step()
    optimizer.step()
    assert optimizer.by_score is not None
    assert [trial.value for trial in optimizer.by_score.study.trials] == [0.5, None]


# ---- files ---------------------------------------------------------------------------------------


def played(optimizer: Any, rounds: int) -> None:
    """Some rounds in which the best number is 3."""
    for _ in range(rounds):
        number = optimizer.parameters[0]
        optimizer.zero_feedback()
        optimizer.backward(total(*optimizer.parameters), -((number.data - 3.0) ** 2))
        optimizer.step()


def numbers() -> list[ParameterNode[Any]]:
    return [
        node(9.0, name="number", trainable=True, constraint="between 0 and 10"),
        node("a", name="word", trainable=True, constraint="one of: a, b"),
    ]


def tried(study: Any) -> list[tuple[list[Any], Any]]:
    return [(list(trial.params.values()), trial.value) for trial in study.trials]


def test_an_optuna_study_goes_on_after_loading(tmp_path: Path) -> None:
    first = OptunaOptimizer(numbers(), seed=1)
    played(first, 6)
    first.save(tmp_path / "it.txt")

    again = OptunaOptimizer(numbers(), seed=2)
    old_study = again.study
    again.load(tmp_path / "it.txt")
    assert [p.data for p in again.parameters] == [p.data for p in first.parameters]
    assert tried(again.study) == tried(first.study)
    assert not old_study.trials
    played(again, 1)
    assert len([t for t in again.study.trials if t.value is not None]) == 7, "the open one is told"
    assert again.study.trials[6].state.name == "COMPLETE"


def test_an_optuna_study_of_the_wrong_size_changes_nothing(tmp_path: Path) -> None:
    first = OptunaOptimizer(numbers(), seed=1)
    played(first, 2)
    state = first.kept_state()
    state["study"]["tried"][0]["values"].append(1)
    other = OptunaOptimizer(numbers(), seed=1)
    before = other.study
    with pytest.raises(ValueError, match="zip"):
        other.restore_state(state)
    assert other.study is before


def test_a_hybrid_optimizer_over_optuna_goes_on_after_loading(tmp_path: Path) -> None:
    number, text, first, _ = mixed({"suggestion": {"text0": "hi"}})
    first.step()
    first.save(tmp_path / "it.txt")

    llm = ScriptedModel([{"suggestion": {"text0": "ho"}}], abilities=PLAIN)
    again = HybridOptimizer([number, text], llm=llm, numbers={"seed": 1})
    number._set(1)
    again.load(tmp_path / "it.txt")
    assert first.by_score is not None
    assert again.by_score is not None
    assert tried(again.by_score.study) == tried(first.by_score.study)
    assert isinstance(again.by_model, OptoPrime)
    assert isinstance(first.by_model, OptoPrime)
    assert again.by_model.log == first.by_model.log


def test_a_hybrid_optimizer_keeps_what_its_model_knew_for_later(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    number = node(1, name="number", trainable=True, constraint="between 0 and 10")
    llm = ScriptedModel([{"suggestion": {"number0": 6}}] * 2, abilities=PLAIN)
    first = HybridOptimizer([number], llm=llm)
    first.backward(total(number), "lower")
    first.step()
    first.save(tmp_path / "one.txt")
    again = HybridOptimizer([number], llm=llm)
    again.load(tmp_path / "one.txt")
    assert again.by_model is None
    again.save(tmp_path / "two.txt")
    again.zero_feedback()
    again.backward(total(number), "lower")
    again.step()
    assert isinstance(again.by_model, OptoPrime)
    assert len(again.by_model.log or []) == 2
