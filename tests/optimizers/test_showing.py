from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from opto.errors import InvalidArgument, UsageError
from opto.llm.base import Abilities
from opto.optimizers import OptoPrime, OptoPrimeV2, TextGrad
from opto.optimizers.showing import view_of
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
    assert full.startswith("Step 0\n====")
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
