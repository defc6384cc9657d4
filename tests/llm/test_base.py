from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import BadResponse
from opto.llm import (
    Abilities,
    Choice,
    Completion,
    Message,
    Metered,
    OpenAICompatible,
    Usage,
    abilities_of,
    completion_of,
    text_completion,
)
from opto.llm.base import ChatModel, usage_of
from opto.llm.storable import storable, storable_text
from opto.testing import ScriptedModel


def test_a_completion_reads_like_a_reply_of_openai() -> None:
    reply = text_completion("a", "b")
    assert reply.choices[0].message.content == reply.text == "a"
    assert [choice.index for choice in reply.choices] == [0, 1]
    assert not reply.usage.known


def test_only_a_choice_that_ran_out_of_room_is_cut() -> None:
    message = Message("assistant", "x")
    assert Choice(message, "length").cut
    assert not Choice(message, "stop").cut
    assert not Choice(message).cut


def test_usage_adds_up_and_stays_unknown_once_it_was() -> None:
    assert Usage(1, 2, 3) + Usage(10, 20, 30) == Usage(11, 22, 33)
    assert not (Usage(1, 2, 3) + Usage(known=False)).known


def test_the_models_of_this_package_are_chat_models() -> None:
    for model in (ScriptedModel(), OpenAICompatible("m", "http://127.0.0.1:1"), Metered(print)):
        assert isinstance(model, ChatModel)


def test_a_plain_callable_counts_as_large_and_without_schema() -> None:
    assert abilities_of(print) == Abilities(None, json_schema=False, size="large")
    assert abilities_of(SimpleNamespace(abilities="many")) == Abilities()
    small = Abilities(512, json_schema=True, size="small")
    assert abilities_of(ScriptedModel(abilities=small)) == small


AS_OBJECT = SimpleNamespace(
    choices=[SimpleNamespace(message=SimpleNamespace(content="hi"), finish_reason="stop")],
    usage=SimpleNamespace(prompt_tokens=1, completion_tokens=2, total_tokens=3),
)
AS_DICT = {
    "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}


@pytest.mark.parametrize("reply", [AS_OBJECT, AS_DICT])
def test_a_reply_of_the_shape_of_the_contract_becomes_a_completion(reply: object) -> None:
    expected = Choice(Message("assistant", "hi"), "stop")
    assert completion_of(reply) == Completion((expected,), Usage(1, 2, 3))


def test_a_completion_stays_itself_and_a_text_becomes_one() -> None:
    reply = text_completion("x")
    assert completion_of(reply) is reply
    assert completion_of("x").text == "x"


NO_REPLIES: list[Any] = [None, 5, {}, {"choices": []}, {"choices": "text"}, {"choices": [{}]}]
NO_TEXTS = [{"choices": [{"message": {"content": content}}]} for content in (None, 3, ["a"])]


@pytest.mark.parametrize("reply", [*NO_REPLIES, *NO_TEXTS])
def test_any_other_reply_is_a_bad_response(reply: object) -> None:
    with pytest.raises(BadResponse, match=r"content|choices"):
        completion_of(reply)


@pytest.mark.parametrize(
    "value",
    [None, {}, "many", {"prompt_tokens": float("nan"), "completion_tokens": 1}]
    + [{"prompt_tokens": bad, "completion_tokens": 1} for bad in (-1, True, "7", 10**30, 1.5)],
)
def test_usage_that_is_no_count_is_unknown(value: object) -> None:
    assert not usage_of(value).known


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_what_is_storable_survives_any_encoder(value: Any) -> None:
    text = json.dumps(storable(value), allow_nan=False, ensure_ascii=False)
    assert b"\x00" not in text.encode("utf-8")
    assert storable(storable(value)) == storable(value)


def test_storable_text_keeps_what_is_storable() -> None:
    assert storable_text("a\U0001f600\n\u200f") == "a\U0001f600\n\u200f"
    assert storable_text("a\x00b\ud800c") == "a\ufffdb\ufffdc"
