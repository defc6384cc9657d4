"""Models that users bring, however they can be called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from opto.errors import WrongType
from opto.llm import LLM, text_completion, usage
from opto.llm.own import Own, as_model, by_keyword
from opto.testing import ScriptedModel
from opto.utils.llm import DummyLLM

MESSAGES = [{"role": "user", "content": "hi"}]


def by_name(messages: Any, **_: Any) -> str:
    return f"{len(messages)}"


def by_place(m: Any, **_: Any) -> Any:
    return text_completion(f"{len(m)}")


async def awaited(messages: Any, **_: Any) -> str:
    await asyncio.sleep(0)
    return f"{len(messages)}"


class Awaited:
    async def __call__(self, messages: Any) -> str:
        return await awaited(messages)


class Client:
    def create(self, messages: Any, **_: Any) -> Any:
        return {"choices": [{"message": {"content": f"{len(messages)}"}}]}


MODELS = [by_name, by_place, awaited, Awaited(), Client(), partial(awaited)]


@pytest.mark.parametrize("model", MODELS)
def test_sync_and_async(model: Any) -> None:
    with usage() as spent:
        assert Own(model)(messages=MESSAGES).text == "1"
        assert asyncio.run(Own(model).acall(messages=MESSAGES)).text == "1"
    assert spent.calls == 2
    assert "Own(" in repr(Own(model))


def test_an_async_model_can_be_asked_from_within_a_loop() -> None:
    async def inside() -> str:
        return LLM(awaited)(messages=MESSAGES).text

    assert asyncio.run(inside()) == "1"


def test_what_counts_by_itself_is_left_alone() -> None:
    model = ScriptedModel("x")
    assert as_model(model) is model
    assert LLM(model).choose().model is model


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(WrongType, match="not int"):
        by_keyword(3)


def test_a_builtin_without_signature_is_called_by_keyword() -> None:
    assert by_keyword(dict) is dict


def function(answer: str) -> Callable[..., str]:
    return lambda m, **k: f"{m[0]['content']} {answer} {sorted(k)}"


def test_a_dummy_takes_functions_whose_parameter_has_another_name() -> None:
    llm = DummyLLM(function("there"))
    assert llm(messages=MESSAGES, n=1).text == "hi there ['n']"
    assert llm(MESSAGES).text == "hi there []"
