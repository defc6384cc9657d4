from __future__ import annotations

import json
from typing import Any

import pytest

from opto.cli import main
from opto.cli.diagnosis import EXTRAS, described, diagnose, installed, render
from opto.llm import LLM, LocalModel, OpenAICompatible, choice
from opto.llm.litellm import LiteLLM
from tests.cli.doctor_screens import EXECUTION, KEY, PAGE, SCREENS, page, screen_of


def test_the_page_of_screens_is_what_the_doctor_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
    assert KEY not in page()


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.title)
def test_no_line_is_too_long_and_no_key_is_shown(screen: Any) -> None:
    said = screen_of(screen)
    assert max(len(line) for line in said.splitlines()) <= 100
    assert KEY not in said


def looked(modules: set[str]) -> Any:
    return diagnose(installed=modules.__contains__, execution=lambda: EXECUTION)


def test_a_model_whose_extra_is_missing_is_no_model_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "is_present", "0.5b".__eq__)
    found = looked(set())
    assert found.chosen
    assert not found.well
    assert "but xllamacpp is missing: pip install 'trace-opt[local]'" in render(found)
    assert looked({"xllamacpp"}).well


def test_an_error_of_a_rule_is_shown_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAI_CONFIG_LIST", f"[{KEY}")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = looked(set())
    assert not found.well
    assert "-> 5. OAI_CONFIG_LIST: error: OAI_CONFIG_LIST should be a JSON list" in render(found)


def test_profiles_that_cant_be_read_are_said(empty_home: Any) -> None:
    (empty_home / "opto.toml").write_text("not toml", encoding="utf-8")
    assert "profiles: error: " in render(looked(set()))


def test_profiles_of_the_environment_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTO_PROFILE_MY_JUDGE", "gpt-4o")
    assert "my-judge" in looked(set()).profiles


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (OpenAICompatible("m", "http://u:p@h/v1?k=1", api_key=KEY), "m at http://h/v1, a key"),
        (OpenAICompatible("m", "http://h/v1"), "m at http://h/v1, without a key"),
        (LocalModel("0.5b"), "0.5b in this process"),
        (LiteLLM("mistral/x"), "mistral/x by LiteLLM"),
        (LLM("m"), "LLM(not chosen yet)"),
    ],
)
def test_models_in_words(model: Any, words: str) -> None:
    assert described(model) == words


def test_it_can_be_read_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["chosen"], set(found["extras"])) == (0, set(EXTRAS))
    assert found["rules"][0]["looks_at"] == "OPTO_MODEL"


def test_modules_are_looked_for_without_importing() -> None:
    assert installed("json")
    assert not installed("no_such_package_of_ours")
    assert not installed("no_such_package_of_ours.inner")
