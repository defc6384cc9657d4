from __future__ import annotations

import asyncio
import base64
import pickle
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from opto.errors import ExecutionError, InvalidArgument, ServerError, WrongType
from opto.features.flows.compose import ChatHistory, TracedLLM
from opto.features.flows.tools import Toolbox
from opto.features.flows.types import TraceObject
from opto.features.predefined_agents import BasicLearner, Learner, call_llm
from opto.llm import (
    AnthropicModel,
    Choice,
    Completion,
    GeminiModel,
    Message,
    OpenAICompatible,
    usage,
)
from opto.llm.parts import content
from opto.llm.schema import check_schema
from opto.optimizers import OptoPrime
from opto.testing import ModelServer, ScriptedModel, completion_json
from opto.testing.dialects import candidates_json, message_json
from opto.trace import Node, bundle, node

PNG = b"\x89PNG\r\n\x1a\n"


def test_an_answer_is_a_node_with_what_it_depends_on() -> None:
    model = ScriptedModel(["Hello, Ada."])
    llm = TracedLLM("Be polite.", model, trainable=True, model_name="greeter")
    answer = llm("Ada")
    assert answer.data == "Hello, Ada."
    assert answer.py_name.startswith("greeter_response")
    assert [parent.data for parent in answer.parents] == ["Be polite.", "Ada"]
    assert answer.parents[1].py_name.startswith("greeter_user_query")
    assert [parameter.py_name for parameter in llm.parameters()] == ["system_prompt0"]
    assert [dict(message) for message in model.calls[0].messages] == [
        {"role": "system", "content": "Be polite."},
        {"role": "user", "content": "Ada"},
    ]


def test_feedback_reaches_the_system_prompt() -> None:
    llm = TracedLLM("Be polite.", ScriptedModel("Hi"), trainable=True)
    optimizer = OptoPrime(
        llm.parameters(),
        llm=ScriptedModel([{"reasoning": "", "suggestion": {"system_prompt0": "Be warm."}}]),
    )
    optimizer.zero_feedback()
    optimizer.backward(llm.chat("Ada"), "too cold")
    optimizer.step()
    assert llm.system_prompt is not None
    assert llm.system_prompt.data == "Be warm."


def test_names_are_counted() -> None:
    first, second = TracedLLM(llm=ScriptedModel("a")), TracedLLM(llm=ScriptedModel("a"))
    assert int(second.model_name.removeprefix("TracedLLM")) > int(
        first.model_name.removeprefix("TracedLLM")
    )
    assert not first.parameters()
    assert not TracedLLM("x", ScriptedModel("a")).parameters()


def test_turns_are_remembered_if_wanted() -> None:
    model = ScriptedModel(["one", "two", "three", "four"])
    llm = TracedLLM("S", model, chat_history_on=True)
    llm("first")
    answer = llm(node("second"))
    assert [parent.data for parent in answer.parents] == ["S", "first", "one", "second"]
    assert [message["content"] for message in model.calls[1].messages] == [
        "S",
        "first",
        "one",
        "second",
    ]
    llm("alone", False)
    assert len(model.calls[2].messages) == 2
    assert len(llm.chat_history) == 4


def test_it_can_be_awaited_by_many_at_a_time() -> None:
    llm = TracedLLM("S", ScriptedModel(lambda messages: f"to {messages[-1]['content']}"))

    async def together() -> list[Any]:
        return await asyncio.gather(*(llm.aforward(f"q{at}") for at in range(10)))

    with usage() as spent:
        answers = asyncio.run(together())
    assert [answer.data for answer in answers] == [f"to q{at}" for at in range(10)]
    assert spent.calls == 10


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_failure_is_a_node_too(how: str) -> None:
    llm = TracedLLM("S", ScriptedModel([ServerError("down")]), trainable=True)
    with pytest.raises(ExecutionError) as caught:
        llm("x") if how == "sync" else asyncio.run(llm.aforward("x"))
    assert isinstance(caught.value, ServerError)
    caught.value.exception_node.backward("it failed")
    assert llm.system_prompt is not None
    assert llm.system_prompt.feedback


def test_any_callable_is_a_model_and_nothing_else() -> None:
    assert TracedLLM(llm=lambda messages: "mine")("x").data == "mine"
    with pytest.raises(AssertionError):
        TracedLLM(llm=3)
    with pytest.raises(WrongType, match="not int"):
        TracedLLM(llm=3)
    assert TraceObject is not None


# ---- tools ---------------------------------------------------------------------------------------


@bundle()
def legs(animal: str, pairs: bool = False) -> int:
    """How many legs an animal has."""
    return 4 if pairs else 8


def plain(n: int) -> int:
    """Add one."""
    return n + 1


def wants(*calls: tuple[str, str]) -> Completion:
    asked = tuple(
        {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for at, (name, arguments) in enumerate(calls)
    )
    return Completion((Choice(Message("assistant", "", asked), "tool_calls"),))


def test_tools_are_called_and_stand_in_the_graph() -> None:
    asked = wants(("legs", '{"animal": "spider"}'), ("plain", '{"n": 1}'))
    model = ScriptedModel([asked, "Eight."])
    llm = TracedLLM("S", model, tools=[legs, plain], temperature=0.5)
    answer = llm("How many legs has a spider?")
    assert answer.data == "Eight."
    assert [parent.data for parent in answer.parents][2:] == [8, 2]
    assert answer.parents[2].py_name.startswith("legs")
    declared = model.calls[0].options["tools"][0]["function"]
    assert declared == {
        "name": "legs",
        "description": "How many legs an animal has.",
        "parameters": {
            "type": "object",
            "properties": {"animal": {"type": "string"}, "pairs": {"type": "boolean"}},
            "required": ["animal"],
        },
    }
    told = model.calls[1].messages
    assert [message["role"] for message in told[-3:]] == ["assistant", "tool", "tool"]
    assert told[-1] == {"role": "tool", "tool_call_id": "c1", "content": "2"}


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("other", "{}", "there is no tool 'other'; there are: plain"),
        ("plain", "{", "aren't JSON"),
        ("plain", "[]", "should be an object"),
        ("plain", '{"m": 1}', "plain failed: TypeError"),
    ],
)
def test_what_goes_wrong_is_told_to_the_model(name: str, arguments: str, said: str) -> None:
    model = ScriptedModel([wants((name, arguments)), "Sorry."])
    assert TracedLLM(llm=model, tools=[plain])("x").data == "Sorry."
    assert said in model.calls[1].messages[-1]["content"]


def test_a_model_that_only_wants_tools_has_to_answer_at_last() -> None:
    model = ScriptedModel([*[wants(("plain", '{"n": 1}'))] * 2, "Well."])
    assert TracedLLM(llm=model, tools=[plain], max_rounds=2)("x").data == "Well."
    assert model.calls[-1].options["tool_choice"] == "none"


def test_a_tool_needs_a_name() -> None:
    with pytest.raises(InvalidArgument, match="needs a name"):
        TracedLLM(llm=ScriptedModel("x"), tools=[lambda n: n])


async def later(n: int) -> int:
    """Add one, later."""
    await asyncio.sleep(0)
    return n + 1


async def broken(n: int) -> int:
    """Fail."""
    message = f"no {n}"
    raise ValueError(message)


def chat(llm: TracedLLM, query: Any, **options: Any) -> Any:
    return llm(query, **options)


def achat(llm: TracedLLM, query: Any, **options: Any) -> Any:
    return asyncio.run(llm.aforward(query, **options))


both = pytest.mark.parametrize("ask", [chat, achat])


@both
def test_tools_may_be_asynchronous(ask: Any) -> None:
    asked = wants(("later", '{"n": 1}'), ("broken", '{"n": 1}'), ("legs", '{"animal": "ant"}'))
    model = ScriptedModel([asked, "done"])
    answer = ask(TracedLLM(llm=model, tools=[later, broken, legs]), "x")
    assert answer.data == "done"
    told = [message["content"] for message in model.calls[1].messages[-3:]]
    assert told == ["2", "broken failed: ValueError: no 1", "8"]
    assert [parent.data for parent in answer.parents[1:]] == [2, told[1], 8]


def test_a_slow_tool_keeps_no_loop_from_other_work() -> None:
    started, ready = threading.Event(), threading.Event()

    def waits() -> bool:
        """Wait for the loop."""
        started.set()
        return ready.wait(20)

    async def together() -> Any:
        model = ScriptedModel([wants(("waits", "{}")), "done"])
        task = asyncio.create_task(TracedLLM(llm=model, tools=[waits]).aforward("x"))
        await asyncio.to_thread(started.wait, 20)
        ready.set()  # from the loop, while the tool waits
        answer = await task
        return answer.parents[-1].data

    assert asyncio.run(together()) is True


@both
def test_several_turns_with_tools_images_and_a_prompt_to_train(ask: Any) -> None:
    model = ScriptedModel([wants(("legs", '{"animal": "ant"}')), "six", "as I said, six"])
    llm = TracedLLM("Count.", model, chat_history_on=True, trainable=True, tools=[legs])
    first = ask(llm, "How many legs?", images=[PNG])
    second = ask(llm, node("Sure?", name="doubt"))
    assert [message["role"] for message in model.calls[2].messages] == [
        *("system", "user", "assistant", "user"),
    ]
    assert model.calls[2].messages[1]["content"][1]["type"] == "image_url"
    assert first in second.parents
    assert len(llm.chat_history) == 4
    second.backward("Be exact.")
    assert llm.system_prompt is not None
    assert llm.system_prompt.feedback
    (parameter,) = llm.parameters()
    parameter._set("Count twice.")
    model._replies.append("seven")
    ask(llm, "Again?")
    assert model.calls[3].messages[0] == {"role": "system", "content": "Count twice."}


@both
def test_a_query_may_be_parts(ask: Any) -> None:
    model = ScriptedModel("fine")
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    llm = TracedLLM(llm=model)
    ask(llm, parts)
    ask(llm, node(parts), images=["https://example.org/a.jpg"])
    assert model.calls[0].messages[0]["content"] == parts
    assert [part["type"] for part in model.calls[1].messages[0]["content"]] == [
        *("text", "text", "image_url"),
    ]


def typed(
    kind: Literal["ant", "spider"],
    many: list[int],
    where: Annotated[str, "a city"],
    maybe: int | None = None,
    pairs: tuple[str, int] = ("a", 1),
    thing: object = None,
) -> str:
    """Take all kinds."""
    return f"{kind}{many}{where}{maybe}{pairs}{thing}"


def test_what_a_tool_takes_is_read_from_its_annotations() -> None:
    (declared,) = Toolbox([typed]).declared()
    parameters = declared["function"]["parameters"]
    assert parameters["required"] == ["kind", "many", "where"]
    assert parameters["properties"] == {
        "kind": {"enum": ["ant", "spider"]},
        "many": {"type": "array", "items": {"type": "integer"}},
        "where": {"type": "string", "description": "a city"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "pairs": {"type": "array"},
        "thing": {},
    }
    check_schema(parameters)


def openai_call() -> Any:
    reply = completion_json("")
    call = {"name": "legs", "arguments": '{"animal": "ant"}'}
    reply["choices"][0]["message"] = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": call}],
    }
    return reply


def anthropic_call() -> Any:
    use = {"type": "tool_use", "id": "c1", "name": "legs", "input": {"animal": "ant"}}
    return {**message_json(""), "content": [use], "stop_reason": "tool_use"}


def google_call() -> Any:
    part = {"functionCall": {"name": "legs", "args": {"animal": "ant"}}}
    content = {"role": "model", "parts": [part]}
    return {**candidates_json(""), "candidates": [{"content": content, "finishReason": "STOP"}]}


@both
@pytest.mark.parametrize(
    ("kind", "first"),
    [
        (OpenAICompatible, openai_call),
        (AnthropicModel, anthropic_call),
        (GeminiModel, google_call),
    ],
)
def test_every_protocol_carries_tools_images_and_turns(kind: Any, first: Any, ask: Any) -> None:
    with ModelServer([first(), "Six.", "Yes."]) as server:
        model = kind("m", server.url)
        llm = TracedLLM("Count.", model, tools=[legs], chat_history_on=True, trainable=True)
        answer = ask(llm, "How many?", images=[PNG])
        again = ask(llm, "Sure?")
        bodies = [repr(request.body) for request in server.requests]
    assert (answer.data, again.data) == ("Six.", "Yes.")
    assert answer.parents[2].data == 8
    encoded = base64.b64encode(PNG).decode()
    assert [encoded in body for body in bodies] == [True, True, True]
    assert "8" in bodies[1]
    assert "Six." in bodies[2]
    again.backward("right")
    assert llm.parameters()[0].feedback


# ---- images --------------------------------------------------------------------------------------


def test_images_are_told_with_the_query(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    model = ScriptedModel(["a spider", "yes"])
    llm = TracedLLM(llm=model, chat_history_on=True)
    llm("What is it?", images=["https://example.org/a.jpg", tmp_path / "a.png", b"GIF89a"])
    text, url, png, gif = model.calls[0].messages[0]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert url["image_url"]["url"] == "https://example.org/a.jpg"
    encoded = base64.b64encode(PNG).decode()
    assert png["image_url"]["url"] == f"data:image/png;base64,{encoded}"
    assert gif["image_url"]["url"].startswith("data:image/gif")
    llm("Sure?")
    assert model.calls[1].messages[0]["content"][1] == url
    assert content("alone") == "alone"


@pytest.mark.parametrize("image", [b"text", "file.txt"])
def test_what_is_no_image_is_refused(image: Any, empty_home: Path) -> None:
    (empty_home / "file.txt").write_text("text")
    with pytest.raises(InvalidArgument, match="is no PNG"):
        content("x", [image])


# ---- history and agents --------------------------------------------------------------------------


def test_a_history_is_trimmed_but_for_its_first_turn() -> None:
    history = ChatHistory(max_len=3)
    for at in range(3):
        history.add(f"q{at}", "user")
        history.append({"role": "assistant", "content": f"a{at}"})
    assert [message["content"] for message in history.get_messages()] == ["q0", "q2", "a2"]
    assert all(isinstance(one, Node) for one in history.get_messages_as_node("x"))
    assert "3 turns" in repr(history)
    with pytest.raises(ValueError, match="'user' or 'assistant'"):
        history.add("x", "system")
    with pytest.raises(InvalidArgument, match="at least 1"):
        ChatHistory(max_len=0)
    single = ChatHistory(max_len=1)
    single.add("a", "user")
    single.add("b", "assistant")
    assert [turn.role for turn in single] == ["assistant"]


def test_a_learner_has_two_prompts_to_train() -> None:
    model = ScriptedModel("fine")
    learner = BasicLearner("S", "Q: {message}", llm=model)
    answer = learner("{x}")
    assert answer.data == "fine"
    assert model.calls[0].messages[1]["content"] == "Q: {x}"
    assert len([p for p in learner.parameters() if "prompt" in p.name]) == 2
    assert Learner is BasicLearner
    with pytest.raises(ValueError, match="placeholder"):
        call_llm(model, "S", "no place", "m")


def test_a_traced_model_can_be_pickled() -> None:
    llm = TracedLLM("S", ScriptedModel("fine"), chat_history_on=True)
    llm("x")
    again = pickle.loads(pickle.dumps(llm))
    assert again("y").data == "fine"
    assert len(again.chat_history) == 4
