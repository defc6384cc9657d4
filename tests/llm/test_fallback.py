from __future__ import annotations

import asyncio
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from opto.errors import (
    BadRequest,
    BudgetExceeded,
    CircuitOpen,
    InvalidArgument,
    ModelError,
    ServerError,
    UsageError,
)
from opto.llm import LLM, Breaker, Budget, Cached, Fallback, OpenAICompatible, Rate, usage
from opto.testing import Fault, ModelServer, ScriptedModel
from opto.utils.llm import LLMFactory

MESSAGES = [{"role": "user", "content": "hi"}]


def broken(count: int = 50) -> ScriptedModel:
    return ScriptedModel([ServerError("down")] * count)


def test_the_next_is_asked_when_one_fails() -> None:
    llm = Fallback([broken(), ScriptedModel("second")])
    assert llm(messages=MESSAGES).text == "second"
    assert asyncio.run(llm.acall(messages=MESSAGES)).text == "second"
    assert llm.model_name == "scripted"
    assert "Fallback(" in repr(llm)


def test_the_last_error_says_all() -> None:
    llm = Fallback([ScriptedModel([ServerError("one")]), ScriptedModel([BadRequest("two")])])
    with pytest.raises(BadRequest, match="no model answered: one; two"):
        llm(messages=MESSAGES)
    with pytest.raises(ServerError, match=r"^alone$"):
        Fallback([ScriptedModel([ServerError("alone")])])(messages=MESSAGES)


def test_a_budget_ends_it() -> None:
    second = ScriptedModel("x")
    with usage(Budget(calls=0)), pytest.raises(BudgetExceeded):
        Fallback([ScriptedModel("x"), second])(messages=MESSAGES)
    assert not second.calls


def test_it_needs_a_model() -> None:
    with pytest.raises(InvalidArgument, match="at least one"):
        Fallback([])


def test_a_model_out_of_order_is_left_out() -> None:
    first = broken()
    llm = Fallback([first, ScriptedModel("second")])
    for _ in range(20):
        llm(messages=MESSAGES)
    assert len(first.calls) == 5


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_tries_and_closes() -> None:
    clock = Clock()
    model = ScriptedModel([*[ServerError("x")] * 3, "fine", "fine"])
    llm = Breaker(model, failures=2, seconds=10, clock=clock)
    for _ in range(2):
        with pytest.raises(ServerError):
            llm(messages=MESSAGES)
    with pytest.raises(CircuitOpen, match="2 times in a row; again in 10 s") as caught:
        llm(messages=MESSAGES)
    assert caught.value.retry_after == 10
    clock.now = 10.0
    with pytest.raises(ServerError):  # the trial
        llm(messages=MESSAGES)
    with pytest.raises(CircuitOpen):
        llm(messages=MESSAGES)
    clock.now = 20.0
    assert llm(messages=MESSAGES).text == "fine"
    assert llm(messages=MESSAGES).text == "fine"


def test_a_bad_request_is_no_failure_of_the_model() -> None:
    llm = Breaker(ScriptedModel([BadRequest("x")] * 9), failures=2)
    for _ in range(9):
        with pytest.raises(BadRequest):
            llm(messages=MESSAGES)


# ---- in LLM --------------------------------------------------------------------------------------


def test_a_whole_config_list_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer(Fault(401)) as one, ModelServer("fine") as two:
        entries: list[dict[str, Any]] = [
            {"model": "a", "base_url": one.url, "tags": ["x"]},
            {"model": "b", "base_url": two.url},
        ]
        assert LLM(config_list=entries)(messages=MESSAGES).text == "fine"
        monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps(entries))
        assert LLM()(messages=MESSAGES).text == "fine"
        with pytest.raises(ModelError):
            LLM(filter_dict={"tags": ["x"]})(messages=MESSAGES)


def test_all_can_be_wished_for_at_once(tmp_path: Path) -> None:
    with ModelServer("fine") as server:
        llm = LLM(
            broken(),
            fallback=f"{server.url}#m",
            rate={"in_flight": 2},
            cache=tmp_path / "c.sqlite3",
            record=tmp_path / "run.jsonl",
            budget={"calls": 2},
        )
        assert llm(messages=MESSAGES).text == "fine"
        assert llm(messages=MESSAGES).text == "fine"
        with pytest.raises(BudgetExceeded):
            llm(messages=MESSAGES, seed=1)
        assert len(server.requests) == 1
        client = OpenAICompatible("m", server.url)
        assert LLM(client, rate=Rate(in_flight=1))(messages=MESSAGES).text == "fine"
        assert client.limiter.rate.in_flight == 1


def test_a_function_may_stand_in() -> None:
    llm = LLM(broken(), fallback=[lambda messages: "mine"], cache=False)
    assert llm(messages=MESSAGES).text == "mine"


def test_the_users_own_cache(empty_home: Path) -> None:
    llm = LLM(ScriptedModel(["a", "b"]), cache=True)
    assert [llm(messages=MESSAGES).text for _ in range(2)] == ["a", "a"]
    assert isinstance(llm.choose().model, Cached)
    assert (empty_home / ".cache/opto/replies.sqlite3").exists()
    assert pickle.loads(pickle.dumps(llm))(messages=MESSAGES).text == "a"


# ---- profiles ------------------------------------------------------------------------------------


def test_profiles_of_files_and_of_the_environment(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer("fine") as server:
        (empty_home / "pyproject.toml").write_text(
            f"[tool.opto.llm.profiles.mine]\nmodel = '{server.url}#a'\ntemperature = 0.5\n"
            "[tool.opto.llm.profiles.cheap]\nmodel = 'never'\n"
        )
        (empty_home / "opto.toml").write_text(
            f"[llm.profiles.cheap]\nmodel = '{server.url}#b'\nbudget = {{ calls = 1 }}\n"
        )
        (empty_home / "below").mkdir()
        monkeypatch.chdir(empty_home / "below")
        LLM(profile="mine")(messages=MESSAGES)
        LLM(profile="mine", temperature=0.1)(messages=MESSAGES)
        cheap = LLM(profile="cheap")
        cheap(messages=MESSAGES)
        with pytest.raises(BudgetExceeded):
            cheap(messages=MESSAGES)
        monkeypatch.setenv("OPTO_PROFILE_CHEAP", f"{server.url}#c")
        LLM(profile="cheap")(messages=MESSAGES)
        asked = [
            (request.body["model"], request.body.get("temperature")) for request in server.requests
        ]
    assert asked == [("a", 0.5), ("a", 0.1), ("b", None), ("c", None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[llm.profiles.x]\napi_key = 'sk-planted'", "keys belong in the environment"),
        ("[llm]\nprofiles = 3", "table of tables"),
        ("[llm.profiles]\nx = 3", "should be a table"),
        ("[llm", "can't be read"),
    ],
)
def test_a_file_that_is_wrong_is_named(text: str, said: str, empty_home: Path) -> None:
    (empty_home / "opto.toml").write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        LLM(profile="x")
    assert "sk-planted" not in str(caught.value)


def test_the_factory_of_the_original() -> None:
    assert {"default", "premium", "cheap", "fast", "reasoning"} <= set(LLMFactory.list_profiles())
    assert LLMFactory.get_profile_info("cheap") == {"model": "gpt-4o-mini"}
    assert LLMFactory.get_llm("cheap").model_name == "gpt-4o-mini"
    LLMFactory.register_profile("own", "openai", model="x", api_key="k")
    try:
        assert LLMFactory.get_llm("own").model_name == "x"
        assert "own" in LLMFactory.get_profile_info()
    finally:
        LLMFactory._registered.clear()
    with pytest.raises(ValueError, match=r"unknown profile: 'own'; known: .*cheap"):
        LLMFactory.get_llm("own")
