from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any

import pytest

from opto.errors import NoModel, UsageError
from opto.llm import LLM, Abilities, Completion, OpenAICompatible
from opto.testing import ModelServer, ScriptedModel

KEY = "sk-canary-default"
MESSAGES = [{"role": "user", "content": "hi"}]


def test_making_one_needs_nothing_and_calling_it_says_what_is_missing() -> None:
    llm = LLM()
    assert llm.abilities == Abilities()
    assert repr(llm) == "LLM(not chosen yet)"
    with pytest.raises(NoModel, match="Ways to get one"):
        llm(messages=MESSAGES)
    with pytest.raises(NoModel):
        asyncio.run(llm.acall(messages=MESSAGES))


def test_the_environment_is_read_at_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = LLM()
    with ModelServer("fine") as server:
        monkeypatch.setenv("OPTO_MODEL", f"{server.url}#m")
        assert llm(messages=MESSAGES).text == "fine"
        monkeypatch.delenv("OPTO_MODEL")
        assert llm.create(messages=MESSAGES).text == "fine"
        assert asyncio.run(llm.acall(messages=MESSAGES)).text == "fine"
    assert llm.model_name == "m"


def test_a_model_can_be_named_in_the_call() -> None:
    with ModelServer("fine") as server:
        for llm in (LLM(f"{server.url}#m"), LLM(model=f"{server.url}#m", temperature=0.5)):
            assert llm(messages=MESSAGES).text == "fine"
        assert server.requests[1].body["temperature"] == 0.5


def test_a_callable_is_taken_as_it_is() -> None:
    model = ScriptedModel(["a", "b"])
    llm = LLM(model)
    assert llm.choose().model is model
    assert llm(messages=MESSAGES).text == "a"
    assert asyncio.run(llm.acall(messages=MESSAGES)).text == "b"
    assert llm.abilities == model.abilities
    assert llm.model_name == "scripted"


def test_a_synchronous_callable_can_be_awaited() -> None:
    reply = asyncio.run(LLM(returns_text).acall(messages=MESSAGES))
    assert isinstance(reply, Completion)
    assert reply.text == "1 messages"


def returns_text(messages: list[Any]) -> str:
    return f"{len(messages)} messages"


def test_a_backend_can_be_named() -> None:
    llm = LLM("m", backend="CustomLLM", base_url="http://127.0.0.1:1/v1")
    chosen = llm.choose()
    assert isinstance(chosen.model, OpenAICompatible)
    assert chosen.model.base_url == "http://127.0.0.1:1/v1"
    assert "CustomLLM" in chosen.why
    assert LLM(backend="autogen", config_list=[{"model": "x"}]).choose().model.config_list


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        ((), {"backend": "nonsense"}, "Unknown LLM backend"),
        (("a", "b"), {}, "takes one model"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    args: tuple[Any, ...], kwargs: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        LLM(*args, **kwargs)


def test_a_model_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"given: 'int'"):
        LLM(5).choose()


def test_it_is_chosen_once_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    llm = LLM()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(llm.choose().model)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(model) for model in found}) == 1


def test_a_pickle_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chosen = LLM()
    chosen.choose()
    for llm in (
        chosen,
        LLM("gpt-4o", api_key=KEY),
        LLM([{"model": "x", "api_key": KEY}]),
        LLM(OpenAICompatible("m", api_key=KEY)),
    ):
        pickled = pickle.dumps(llm)
        assert KEY.encode() not in pickled
        assert KEY not in repr(llm)
        assert isinstance(pickle.loads(pickled).choose().model, OpenAICompatible)


def test_a_copy_is_the_same_model() -> None:
    llm = LLM(ScriptedModel("x"))
    assert copy.deepcopy(llm) is llm
