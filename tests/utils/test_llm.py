from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from opto.llm import Completion
from opto.testing import ModelServer
from opto.utils.llm import (
    LLM,
    AbstractModel,
    AutoGenLLM,
    CustomLLM,
    DummyLLM,
    LiteLLM,
    auto_construct_oai_config_list_from_env,
)

KEY = "sk-canary-utils"
MESSAGES = [{"role": "user", "content": "hi"}]


def test_a_custom_server_is_found_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer("fine") as server:
        monkeypatch.setenv("TRACE_CUSTOMLLM_URL", server.url)
        monkeypatch.setenv("TRACE_CUSTOMLLM_MODEL", "mine")
        monkeypatch.setenv("TRACE_CUSTOMLLM_API_KEY", KEY)
        assert CustomLLM()(messages=MESSAGES).choices[0].message.content == "fine"
        assert CustomLLM("other").create(messages=MESSAGES).text == "fine"
        assert [request.body["model"] for request in server.requests] == ["mine", "other"]
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.covers("A79")
def test_a_custom_server_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer("fine") as server:
        llm = CustomLLM("m", reset_freq=0, base_url=server.url, api_key=KEY)
        assert llm(messages=MESSAGES).text == "fine"
        assert copy.deepcopy(llm)(messages=MESSAGES).text == "fine"
        assert {request.headers["authorization"] for request in server.requests} == {
            f"Bearer {KEY}"
        }
        assert llm.model_name == "m"


def greet(*args: Any, messages: Sequence[Any] = (), **kwargs: Any) -> str:
    return f"{len(args)} {len(messages)} {sorted(kwargs)}"


def test_a_function_that_returns_text_is_a_model() -> None:
    reply = DummyLLM(greet)(messages=MESSAGES, max_tokens=5)
    assert isinstance(reply, Completion)
    assert reply.choices[0].message.content == "0 1 ['max_tokens']"
    assert DummyLLM(greet, 5)("x").text == "1 0 []"


@pytest.mark.parametrize(
    "model",
    [
        LLM(),
        LLM("gpt-4o", api_key=KEY),
        CustomLLM("m", base_url="http://127.0.0.1:1", api_key=KEY),
        LiteLLM("m"),
        AutoGenLLM([{"model": "m", "api_key": KEY}]),
        DummyLLM(greet),
        AbstractModel(dict),
    ],
)
def test_all_can_be_pickled_without_keys_and_copied(model: Any) -> None:
    pickled = pickle.dumps(model)
    assert KEY.encode() not in pickled
    assert type(pickle.loads(pickled)) is type(model)
    assert type(copy.deepcopy(model)) is type(model)
    assert KEY not in repr(model)


def test_the_config_list_is_returned_and_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    before = dict(os.environ)
    assert auto_construct_oai_config_list_from_env() == [
        {"model": "claude-3-5-sonnet-latest", "api_key": KEY}
    ]
    assert dict(os.environ) == before
