"""The demo's flow, with a model that says what a script says; and once with a real one."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import ModuleType
from typing import Any

import pytest

from opto import trace
from opto.errors import ServerError
from opto.execution import Report
from opto.llm.base import Abilities
from opto.registry import Registry
from opto.testing import ScriptedModel
from tests.snippets import ROOT

DEMO = ROOT / "examples" / "demo.py"
SMALL = Abilities(context_tokens=4096, json_schema=True, size="small")
Messages = Sequence[Mapping[str, Any]]

GOOD = {
    "strange_sort_list": """
def strange_sort_list(lst):
    rest, strange = sorted(lst), []
    while rest:
        strange.append(rest.pop(0 if len(strange) % 2 == 0 else -1))
    return strange
""",
    "decide_lang": """
def decide_lang(self, response):
    return "es" if "Spanish" in response else "en"
""",
    "greet": """
def greet(self, lang, user_name):
    return f"{'Hola' if lang == 'es' else 'Hello'}, {user_name}!"
""",
}


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The demo as a fresh module, with a registry of its own to put its model into."""
    monkeypatch.setattr(trace.operators, "MODELS", Registry[Any]("model"))
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo", module)
    monkeypatch.syspath_prepend(str(DEMO.parent))
    monkeypatch.delitem(sys.modules, "demo_tasks", raising=False)
    spec.loader.exec_module(module)
    return module


def able(messages: Messages) -> str:
    """A model that solves everything."""
    asked = str(messages[-1]["content"])
    if "heater0" in asked:
        return '{"heater0": 21}'
    for name, code in GOOD.items():
        if f"version of {name} is wrong" in asked:
            return f"```python{code}```"
    return name_of(asked) if "name" in asked.split("\n", maxsplit=1)[0] else language_of(asked)


def name_of(asked: str) -> str:
    return re.findall(r"[A-Z]\w+", asked)[-1] if "bicycle" not in asked else "Tom"


def language_of(asked: str) -> str:
    return "Spanish" if re.search("Hola|Buen[oa]s", asked) else "English"


def run(demo: ModuleType, rule: Callable[[Messages], str], *arguments: str) -> int:
    llm = ScriptedModel(rule, abilities=SMALL)
    code: int = demo.main(["--seconds", "0.2", *arguments], llm)
    return code


def test_an_able_model_solves_all_three(
    demo: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(demo, able) == 0
    shown = capsys.readouterr().out
    assert shown.count("  solved") == 3
    assert "not solved" not in shown
    assert "\r" not in shown
    assert "\x1b" not in shown
    for text in ("before", "after", "calls", "tokens", "seconds", "What to try next"):
        assert text in shown
    assert "strange.append(rest.pop" in shown


def test_the_good_parts_of_several_proposals_are_put_together(
    demo: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = count()

    def moody(messages: Messages) -> str:
        """Have one good idea about `decide_lang` among several."""
        text = str(messages[-1]["content"])
        if "version of decide_lang is wrong" in text and next(asked) > 0:
            return "```python\ndef decide_lang(self, response):\n    return 'es'\n```"
        return able(messages)

    assert run(demo, moody, "--task", "agent") == 0
    shown = capsys.readouterr().out
    assert "kept 100%" in shown
    assert "  solved" in shown


def test_code_that_cannot_cross_loses(demo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def reaching(messages: Messages) -> str:
        if "version of greet is wrong" in str(messages[-1]["content"]):
            return "```python\ndef greet(self, lang, user_name):\n    return self.instruct1\n```"
        return able(messages)

    assert run(demo, reaching, "--task", "agent") == 0
    assert "not solved" in capsys.readouterr().out


def test_a_weak_model_is_told_of_and_is_no_failure(
    demo: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(demo, lambda _: "I would rather not.") == 0
    shown = capsys.readouterr().out
    assert shown.count("not solved") == 3
    assert "none can be used" in shown


def test_a_failure_of_the_software_is_one(demo: ModuleType) -> None:
    def down(_: Messages) -> str:
        raise ServerError("the model is down")

    with pytest.raises(ServerError):
        run(demo, down)


def test_a_failure_ends_the_program_with_a_message_and_a_status() -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO), "--model", "no-such-model"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode != 0
    assert "The demo failed" in done.stderr
    assert "no-such-model" in done.stderr


def test_code_that_does_not_end_is_stopped_and_loses(
    demo: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "CODE_SECONDS", 0.3)
    endless = "```python\ndef strange_sort_list(lst):\n    while True:\n        pass\n```"
    assert run(demo, lambda _: endless, "--task", "sorting") == 0
    assert "not solved" in capsys.readouterr().out


def test_where_code_cannot_be_isolated_the_demo_says_so_and_goes_on(
    demo: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "report", lambda: Report(works=False, reason="old", mechanisms={}))
    monkeypatch.setattr(sys.modules["demo_tasks"], "RUN_SECONDS", 0.05)
    endless = "```python\ndef strange_sort_list(lst):\n    while True:\n        pass\n```"
    assert run(demo, lambda _: endless, "--task", "sorting") == 0
    shown = capsys.readouterr().out
    assert "unconfined: old" in shown
    assert "not solved" in shown


def test_hidden_cases_are_in_no_prompt(demo: ModuleType) -> None:
    llm = ScriptedModel(able, abilities=SMALL)
    assert demo.main(["--seconds", "0.5"], llm) == 0
    prompts = [call.prompt for call in llm.calls if "wrong" in call.prompt]
    assert prompts
    assert not [text for text in prompts if "Carlos" in text or "[0, 2, 2" in text]


@pytest.mark.local_llm
def test_with_a_real_model() -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO), "--task", "number", "--seconds", "30"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    assert "What to try next" in done.stdout
