from __future__ import annotations

import asyncio
import json
import pickle
import threading

import pytest

from opto.errors import ServerError, UsageError
from opto.llm import Abilities, Usage, abilities_of, text_completion
from opto.testing import ScriptedModel

MESSAGES = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]


def test_replies_come_in_order() -> None:
    llm = ScriptedModel(["a", {"x": 1}, text_completion("c")])
    texts = [llm(messages=MESSAGES).text for _ in range(3)]
    assert texts == ["a", '{"x": 1}', "c"]
    assert json.loads(texts[1]) == {"x": 1}
    assert llm.remaining == 0


def test_one_text_is_for_every_call() -> None:
    llm = ScriptedModel("same")
    assert {llm(messages=MESSAGES).text for _ in range(3)} == {"same"}


def test_a_function_sees_the_messages() -> None:
    llm = ScriptedModel(lambda messages: messages[-1]["content"].upper())
    assert llm(messages=MESSAGES).text == "HI"


def test_an_exception_is_raised() -> None:
    llm = ScriptedModel([ServerError("down"), "up"])
    with pytest.raises(ServerError, match="down"):
        llm(messages=MESSAGES)
    assert llm(messages=MESSAGES).text == "up"


def test_several_answers_take_several_replies() -> None:
    reply = ScriptedModel(["a", "b", "c"])(messages=MESSAGES, n=2)
    assert [(choice.index, choice.message.content) for choice in reply.choices] == [
        (0, "a"),
        (1, "b"),
    ]


def test_a_script_that_has_run_out_says_so() -> None:
    llm = ScriptedModel(["a"])
    llm(messages=MESSAGES)
    with pytest.raises(UsageError, match=r"has 1 replies and all were given; call 2 asked"):
        llm(messages=MESSAGES)


def test_calls_are_recorded_as_they_were() -> None:
    messages = [dict(message) for message in MESSAGES]
    llm = ScriptedModel("x")
    llm(messages=messages, temperature=0.5)
    messages[1]["content"] = "changed"
    assert llm.calls[0].messages == tuple(MESSAGES)
    assert llm.calls[0].options == {"temperature": 0.5}
    assert llm.calls[0].prompt == "be kind\n\nhi"


def test_usage_is_counted() -> None:
    llm = ScriptedModel("12345678")
    reply = llm(messages=[{"role": "user", "content": "1234"}])
    asyncio.run(llm.acall(messages=[{"role": "user", "content": "1234"}]))
    assert reply.usage == Usage(1, 2, 3)
    assert llm.usage == Usage(2, 4, 6)


def test_abilities_can_be_set() -> None:
    small = Abilities(100, size="small")
    assert abilities_of(ScriptedModel(abilities=small)) is small


def test_threads_get_each_reply_once() -> None:
    llm = ScriptedModel([str(number) for number in range(200)])
    texts: list[str] = []

    def some() -> None:
        texts.extend(llm(messages=MESSAGES).text for _ in range(25))

    threads = [threading.Thread(target=some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts, key=int) == [str(number) for number in range(200)]


def test_it_can_be_pickled_in_mid_script() -> None:
    llm = ScriptedModel(["a", "b"])
    llm(messages=MESSAGES)
    assert pickle.loads(pickle.dumps(llm))(messages=MESSAGES).text == "b"
    assert pickle.loads(pickle.dumps(ScriptedModel("x")))(messages=MESSAGES).text == "x"
