from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.llm.base import Abilities
from opto.optimizers import TextGrad
from opto.optimizers.backprop import MOST_ASKED, Way
from opto.optimizers.budget import Budget
from opto.optimizers.problem import Entry, Problem, Step
from opto.optimizers.prompts import Prompts
from opto.optimizers.questions import (
    MOST_INPUTS,
    Questions,
    call_text,
    groups_of,
    shown_inputs,
)
from opto.testing import ScriptedModel
from opto.trace import bundle, node

MANY = tuple((f"a{at}", f"v{at}") for at in range(40))


def questions(problem: Problem, tokens: int, print_limit: int = 2000) -> Questions:
    return Questions(problem, Prompts(), Budget(ScriptedModel([]), 100, tokens), print_limit)


def long_problem() -> Problem:
    return Problem(
        (Step(1, "out", "join", (("x", "p"), ("y", "k"))),),
        {"join": "Puts them together."},
        {"p": Entry("parameter " * 100, None, "str")},
        {"k": Entry("input " * 1000, None, "str")},
        {},
        {"out": Entry("output " * 1000, None, "str")},
        (("out", "feedback " * 100),),
    )


def test_values_get_shorter_first() -> None:
    problem = long_problem()
    feedback = problem.feedbacks[0][1]
    _, user = questions(problem, 1000).backward(Way(problem.steps[0], ("p",)), feedback)
    assert len(user) <= 3000
    assert "parameter " * 100 in user
    assert feedback in user
    assert "(6000 characters in all)" in user
    assert "(7000 characters in all)" in user


def test_then_all_else() -> None:
    problem = long_problem()
    _, user = questions(problem, 300).backward(Way(problem.steps[0], ("p",)), "feedback " * 500)
    assert len(user) <= 3 * 300
    assert "(1000 characters in all)" in user
    assert "(4500 characters in all)" in user
    assert "How should p change?" in user


def test_with_room_everything_is_whole() -> None:
    problem = long_problem()
    _, user = questions(problem, 10_000, print_limit=10_000).backward(
        Way(problem.steps[0], ("p",)), "feedback"
    )
    assert "characters in all" not in user


def test_uses_get_shorter_until_half_of_the_room_is_enough() -> None:
    problem = long_problem()
    feedback = "feedback " * 100
    whole = questions(problem, 20_000, print_limit=10_000).uses("p", [(problem.steps[0], feedback)])
    assert "input " * 999 in whole
    assert "p = the value above\n" in whole
    assert "parameter" not in whole
    short = questions(problem, 600).uses("p", [(problem.steps[0], feedback)] * 2)
    assert len(short) <= 3 * 300
    assert "(6000 characters in all)" in short
    assert "(900 characters in all)" in short
    assert short.count("Operation: ") == 1, "the same use is shown once"


def test_a_summary_is_bounded_as_well() -> None:
    asked = questions(long_problem(), 1000)
    (group, *_) = groups_of(["said " * 50] * 100, asked.most)
    system, user = asked.summary("p", group)
    assert len(system) + len(user) <= 3 * 1000


@given(st.lists(st.text(max_size=30)), st.integers(8, 60))
def test_groups_have_every_text_in_order(texts: list[str], most: int) -> None:
    groups = groups_of(texts, most)
    assert all(groups)
    assert sum(map(len, groups)) == len(texts)
    flat = [text for group in groups for text in group]
    assert all(len(text) > most or text == cut for text, cut in zip(texts, flat, strict=True))
    assert all(len(group) == 1 or sum(map(len, group)) <= most for group in groups)


def test_calls_of_few_inputs_are_shown_as_they_are() -> None:
    step = Step(1, "r", "f", MANY[:MOST_INPUTS])
    shown = shown_inputs(step, ())
    assert call_text(step, shown) == step.text


def test_of_many_inputs_those_asked_about_are_shown() -> None:
    step = Step(1, "r", "f", MANY)
    shown = shown_inputs(step, ("v9", "v10"))
    assert call_text(step, shown) == (
        "r = f(a0=v0, a1=v1, a2=v2, a3=v3, a4=v4, a5=v5, ... 3 more ..., a9=v9, a10=v10, "
        "... 23 more ..., a34=v34, a35=v35, a36=v36, a37=v37, a38=v38, a39=v39)"
    )


@bundle()
def join(*texts: Any) -> str:
    """Put texts together."""
    return " ".join(map(str, texts))


@pytest.mark.parametrize("context", [4_000, 8_000])
def test_no_question_of_a_step_is_longer_than_there_is_room_for(context: int) -> None:
    def answer(messages: Any) -> str:
        prompt = messages[1]["content"]
        if "Name: " in prompt:
            return "<IMPROVED_VARIABLE>better</IMPROVED_VARIABLE>"
        return "say less and say it better, " * 20

    llm = ScriptedModel(answer, abilities=Abilities(context))
    x = node("word " * 100, name="x", trainable=True)
    optimizer = TextGrad([x], llm=llm, max_tokens=1000)
    parts = [x + f"part {at} " * 300 for at in range(100)]
    optimizer.backward(join(*parts), "It is much too long. " * 50)
    assert optimizer.step() == {x: "better"}
    assert max(len(call.prompt) for call in llm.calls) <= 3 * (context - 1000)
    assert len([call for call in llm.calls if "join0 = join(" in call.prompt]) >= 100 // MOST_ASKED
