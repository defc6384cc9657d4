from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

import pytest

from opto.errors import InvalidArgument, UsageError
from opto.llm.base import Abilities
from opto.optimizers import (
    OPRO,
    HybridOptimizer,
    ModelOptimizer,
    Optimizer,
    OptoPrime,
    OptoPrimeV2,
    OptunaOptimizer,
    TextGrad,
)
from opto.optimizers.optimizer import UpdateDict
from opto.optimizers.showing import StepView, view_of
from opto.testing import ScriptedModel
from opto.trace import bundle, node
from opto.trace.utils import render_opt_step

NEW = 'def greet(name: str) -> str:\n    """Say hello."""\n    return "Hello " + name'


def stepped(kind: type[OptoPrime], *replies: Any) -> OptoPrime:
    @bundle(trainable=True)
    def greet(name: str) -> str:
        """Say hello."""
        return name

    x = node(1, name="x", trainable=True)
    parameters = [x, greet.parameter]
    optimizer = kind(parameters, llm=ScriptedModel(replies, abilities=Abilities()))
    for at in range(len(replies)):
        optimizer.zero_feedback()
        optimizer.backward(greet("<Ada>") * x, f"greet her, {at}")
        optimizer.step(bypassing=True)
    return optimizer


def says(**values: Any) -> dict[str, Any]:
    return {"reasoning": "She wasn't greeted.", "answer": "", "suggestion": values}


def test_a_step_shows_problem_feedback_reasoning_and_change() -> None:
    optimizer = stepped(OptoPrime, says(x0=2, __code0=NEW), says(x0=3))
    view = view_of(optimizer, 0)
    assert view.sections["Feedback"] == "greet her, 0"
    assert "#Variables" in view.sections["Problem"]
    assert view.sections["Reasoning"] == "She wasn't greeted."
    assert "x0: 1 → 2" in view.sections["Change"]
    assert '-    return name\n+    return "Hello " + name' in view.sections["Change"]
    assert view_of(optimizer, -1).number == 1
    assert view_of(optimizer, 1).sections["Change"] == "x0: 1 → 3"


def test_tagged_answers_are_shown_too() -> None:
    reply = "<reasoning>why</reasoning><variable><name>x0</name><value>4</value></variable>"
    view = view_of(stepped(OptoPrimeV2, reply), 0)
    assert view.sections["Reasoning"] == "why"
    assert view.sections["Change"] == "x0: 1 → 4"


def test_what_was_refused_is_shown_as_such() -> None:
    optimizer = stepped(OptoPrime, "I can't.")
    before = len(optimizer.refused)
    view = view_of(optimizer, 0)
    assert "I can't.\n\nThis was refused: the reply has no" in view.sections["Reasoning"]
    assert view.sections["Change"] == "(nothing was changed)"
    assert len(optimizer.refused) == before


def test_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    optimizer = stepped(OptoPrime, says(x0=2))
    render_opt_step(0, optimizer)
    full = capsys.readouterr().out
    assert full.startswith("Step 0 of OptoPrime\n====")
    assert "--- Feedback\ngreet her, 0\n" in full
    render_opt_step(0, optimizer, no_trace_graph=True, no_improvement=True)
    short = capsys.readouterr().out
    assert "--- Problem" not in short
    assert "--- Change" not in short


def test_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    package, module = ModuleType("IPython"), ModuleType("IPython.display")
    module.display = shown.append  # type: ignore[attr-defined]  # a stand-in
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    render_opt_step(0, stepped(OptoPrime, says(x0=2)))
    html = shown[0]._repr_html_()
    assert "&lt;Ada&gt;" in html
    assert "<Ada>" not in html
    assert "x0: 1 → 2" in html


def test_steps_that_are_not_there() -> None:
    optimizer = stepped(OptoPrime, says(x0=2))
    with pytest.raises(InvalidArgument, match="no step 1; 1 were made"):
        view_of(optimizer, 1)
    with pytest.raises(UsageError, match="TextGrad keeps no summary_log"):
        view_of(TextGrad([node(1, trainable=True)], llm=ScriptedModel()), 0)


def view_after(optimizer: Optimizer, feedback: object) -> StepView:
    """What is shown of a step; the terminal and the notebook take it, too."""
    optimizer.backward(together(*optimizer.parameters), feedback)
    optimizer.step()
    view = view_of(optimizer, -1)
    assert list(view.sections) == ["Problem", "Feedback", "Reasoning", "Change"]
    assert str(view).startswith(f"Step 0 of {type(optimizer).__name__}")
    assert "<details" in view._repr_html_()
    return view


@bundle()
def together(*parts: Any) -> str:
    """Put the parts together."""
    return " ".join(map(str, parts))


def test_opro_shows_what_was_tried() -> None:
    x = node(1, name="x", trainable=True)
    optimizer = OPRO([x], llm=ScriptedModel([{"reasoning": "why", "suggestion": {"x0": 2}}]))
    view = view_after(optimizer, "more")
    assert '"x0": "1"' in view.sections["Problem"]
    assert view.sections["Reasoning"] == "why"
    assert view.sections["Change"] == "x0: 1 → 2"


def test_textgrad_shows_the_feedback_on_each_parameter() -> None:
    x = node(1, name="x", trainable=True)
    replies = ["It is too small.\n<IMPROVED_VARIABLE>2</IMPROVED_VARIABLE>"]
    view = view_after(TextGrad([x], llm=ScriptedModel(replies), log=True), "more")
    assert "together0 = together(args_0=x0)" in view.sections["Problem"]
    assert view.sections["Reasoning"] == "x0: It is too small."
    assert view.sections["Change"] == "x0: 1 → 2"


def test_textgrad_shows_what_it_asked_about_an_operation() -> None:
    x, y = node(1, name="x", trainable=True), node(1, name="y", trainable=True)
    replies = [
        "<variable><name>y0</name><value>Too small.</value></variable>",
        "<IMPROVED_VARIABLE>2</IMPROVED_VARIABLE>",
    ]
    of_two = TextGrad([x, y], llm=ScriptedModel(replies), log=True)
    assert view_after(of_two, "more").sections["Reasoning"] == "y0: Too small."


def test_textgrad_shows_what_was_said_before_it_was_refused() -> None:
    x = node(1, name="x", trainable=True)
    replies = ["It is too small.\n<IMPROVED_VARIABLE>many</IMPROVED_VARIABLE>"]
    view = view_after(TextGrad([x], llm=ScriptedModel(replies), log=True), "more")
    assert view.sections["Reasoning"].startswith("x0: It is too small.\n\nThis was refused: x0: ")


def test_optuna_shows_scores() -> None:
    pytest.importorskip("optuna")
    x = node(1, name="x", trainable=True, constraint="between 0 and 10")
    optimizer = OptunaOptimizer([x], seed=1)
    view = view_after(optimizer, 0.5)
    assert view.sections["Problem"] == "(int) x0=1, between 0 and 10"
    assert view.sections["Feedback"] == "0.5"
    assert view.sections["Reasoning"] == "score 0.5; the best of 1 tried is 0.5 with x0=1"
    assert view.sections["Change"] == f"x0: 1 → {x.data}"


def test_hybrid_shows_both() -> None:
    pytest.importorskip("optuna")
    x = node(1, name="x", trainable=True, constraint="between 0 and 10")
    text = node("hello", name="text", trainable=True)
    llm = ScriptedModel([says(text0="hi")], abilities=Abilities())
    view = view_after(HybridOptimizer([x, text], llm=llm, numbers={"seed": 1}), "score: 0.5")
    assert "#Variables\n(str) text0=hello" in view.sections["Problem"]
    assert "(int) x0=1, between 0 and 10" in view.sections["Problem"]
    assert view.sections["Reasoning"].startswith("She wasn't greeted.\nscore 0.5;")
    assert view.sections["Change"] == f"text0: hello → hi\nx0: 1 → {x.data}"


def test_hybrid_shows_what_was_refused() -> None:
    text = node("hello", name="text", trainable=True)
    view = view_after(HybridOptimizer([text], llm=ScriptedModel(["no"])), "kinder")
    assert view.sections["Reasoning"].startswith("no\n\nThis was refused: the reply has no JSON")
    assert view.sections["Change"] == "(nothing was changed)"


def test_the_candidate_that_was_chosen_is_the_one_that_is_shown() -> None:
    x = node(1, name="x", trainable=True)
    replies = [{"reasoning": f"to {value}", "suggestion": {"x0": value}} for value in (2, 9, 4)]
    llm = ScriptedModel(replies, abilities=Abilities())
    optimizer = OptoPrime([x], llm=llm, candidates=3, select=lambda update: max(update.values()))
    assert view_after(optimizer, "more").sections["Reasoning"] == "to 9"


def test_each_step_shows_its_own_replies() -> None:
    x = node(1, name="x", trainable=True)
    optimizer = OptoPrime([x], llm=ScriptedModel([says(x0=2), "no", says(x0=3)]))
    for _ in range(3):
        optimizer.zero_feedback()
        optimizer.backward(x + 1, "more")
        optimizer.step()
    assert [view_of(optimizer, at).sections["Change"] for at in range(3)] == [
        "x0: 1 → 2",
        "(nothing was changed)",
        "x0: 2 → 3",
    ]
    assert "refused" in view_of(optimizer, 1).sections["Reasoning"]


def test_long_problems_are_folded_up_and_lines_of_a_change_are_marked() -> None:
    html = view_of(stepped(OptoPrime, says(x0=2, __code0=NEW)), 0)._repr_html_()
    assert re.search(r"<details style=[^>]*><summary><b>Problem</b> <small>\(\d+ lines\)", html)
    assert re.search(r'<span style="background[^"]*">\+    return &quot;Hello &quot;', html)
    assert "<script" not in html


def test_hybrid_shows_what_an_optimizer_does_that_keeps_nothing_itself() -> None:
    text = node("hello", name="text", trainable=True)
    replies = ["It is too short. <IMPROVED_VARIABLE>hello there</IMPROVED_VARIABLE>"]
    optimizer = HybridOptimizer([text], llm=ScriptedModel(replies), text_optimizer=TextGrad)
    view = view_after(optimizer, "longer")
    assert view.sections["Reasoning"] == "text0: It is too short."
    assert view.sections["Change"] == "text0: hello → hello there"


class Longer(ModelOptimizer):
    """Says nothing of its steps."""

    def _step(self, **_: Any) -> UpdateDict:
        reply = self.call_llm("Answer in JSON.", "Make text0 longer.")
        return self.converted(self.read(reply, self.wanted()), reply=reply)


def test_a_step_that_says_nothing_is_shown_by_parameters_and_feedback() -> None:
    text = node("hello", name="text", trainable=True)
    view = view_after(Longer([text], llm=ScriptedModel([says(text0="hello there")])), "longer")
    assert view.sections == {
        "Problem": "(str) text0=hello",
        "Feedback": "longer",
        "Reasoning": "She wasn't greeted.",
        "Change": "text0: hello → hello there",
    }


def test_nothing_is_shown_where_nothing_is_kept() -> None:
    text = node("hello", name="text", trainable=True)
    optimizer = Longer([text], llm=ScriptedModel([says(text0="ho")]), log=False)
    optimizer.backward(together(text), "longer")
    optimizer.step()
    with pytest.raises(UsageError, match="Longer keeps no summary_log"):
        optimizer.render_step()
