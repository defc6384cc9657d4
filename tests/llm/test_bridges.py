"""LiteLLM and AutoGen, which stay thin and are imported when they are used."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import sys
from types import ModuleType
from typing import Any

import pytest

from opto.errors import MissingExtra, NoModel, UsageError
from opto.llm.autogen import AutoGenLLM
from opto.llm.litellm import LiteLLM
from opto.testing import ModelServer

KEY = "sk-canary-bridge"
MESSAGES = [{"role": "user", "content": "hi"}]
REPLY = {"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}


class Library:
    """Stands for both libraries and records what they are asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.configs: list[dict[str, Any]] = []

    def completion(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        return REPLY

    async def acompletion(self, **arguments: Any) -> dict[str, Any]:
        return self.completion(**arguments)

    def wrapper(self, config_list: list[dict[str, Any]]) -> Library:
        self.configs = config_list
        return self

    def create(self, **arguments: Any) -> dict[str, Any]:
        return self.completion(**arguments)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    stand_in = Library()
    litellm, autogen = ModuleType("litellm"), ModuleType("autogen")
    vars(litellm).update(completion=stand_in.completion, acompletion=stand_in.acompletion)
    vars(autogen).update(OpenAIWrapper=stand_in.wrapper)
    monkeypatch.setitem(sys.modules, "litellm", litellm)
    monkeypatch.setitem(sys.modules, "autogen", autogen)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "")
    return stand_in


def test_litellm_is_asked(library: Library) -> None:
    llm = LiteLLM("gemini/g", temperature=0.5)
    assert llm(messages=MESSAGES, max_tokens=3, stop=None).text == "fine"
    assert asyncio.run(llm.acall(messages=MESSAGES)).text == "fine"
    common = {"model": "gemini/g", "messages": MESSAGES, "caching": True, "temperature": 0.5}
    assert library.asked == [{**common, "max_tokens": 3}, common]


@pytest.mark.parametrize(
    ("variables", "model"),
    [
        ({}, "gpt-4o"),
        ({"DEFAULT_LITELLM_MODEL": "b"}, "b"),
        ({"DEFAULT_LITELLM_MODEL": "b", "TRACE_LITELLM_MODEL": "a"}, "a"),
    ],
)
def test_litellm_takes_its_model_from_the_environment(
    variables: dict[str, str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert LiteLLM().model_name == model
    assert LiteLLM("given", None, False).model_name == "given"
    assert repr(LiteLLM("x")) == "LiteLLM('x')"


def test_autogen_is_asked_with_the_list_of_the_environment(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"model": "a", "api_key": KEY}, {"model": "b", "api_key": KEY}]
    monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps(entries))
    llm = AutoGenLLM(filter_dict={"model": ["b"]})
    assert llm(messages=MESSAGES, max_tokens=3).text == "fine"
    assert llm.create(messages=MESSAGES) is REPLY
    assert library.configs == [entries[1]]
    assert library.asked[0] == {"messages": MESSAGES, "max_tokens": 3}


def test_autogen_falls_back_to_keys(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    AutoGenLLM()(messages=MESSAGES)
    assert library.configs == [{"model": "gpt-4o", "api_key": KEY}]


def test_autogen_without_any_entry(library: Library) -> None:
    with pytest.raises(NoModel, match="no entry for AutoGen"):
        AutoGenLLM()(messages=MESSAGES)


def test_pickles_hold_no_key(library: Library) -> None:
    llm = AutoGenLLM([{"model": "a", "api_key": KEY}])
    llm(messages=MESSAGES)
    assert KEY.encode() not in pickle.dumps(llm)
    assert KEY not in repr(llm)
    assert pickle.loads(pickle.dumps(llm)).config_list == [{"model": "a"}]
    assert copy.deepcopy(llm).config_list == llm.config_list
    assert pickle.loads(pickle.dumps(LiteLLM("x"))).model_name == "x"


@pytest.mark.parametrize("llm", [LiteLLM("x"), AutoGenLLM([{"model": "x"}])])
def test_a_missing_library_is_named(llm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("litellm", "autogen"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pip install 'trace-opt\["):
        llm(messages=MESSAGES)


@pytest.mark.parametrize("release", ["1.82.7", "1.82.8", "1.107.0"])
def test_a_compromised_release_is_never_imported(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    monkeypatch.setattr("opto.llm.litellm.version", lambda _: release)
    with pytest.raises(UsageError, match="steals keys"):
        LiteLLM("x")(messages=MESSAGES)
    assert "litellm" not in sys.modules


@pytest.mark.filterwarnings("ignore")  # AutoGen's own
def test_the_real_autogen_is_asked() -> None:
    pytest.importorskip("autogen")
    pytest.importorskip("openai")
    with ModelServer("fine") as server:
        entry = {"model": "m", "base_url": server.url, "api_key": KEY}
        llm = AutoGenLLM([entry])
        assert llm(messages=MESSAGES).text == "fine"
        assert server.requests[0].body["model"] == "m"
