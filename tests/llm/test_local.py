from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from opto.errors import (
    BadRequest,
    BadResponse,
    ContextTooLong,
    InvalidArgument,
    MissingExtra,
    ModelError,
    Timeout,
    UnknownName,
    WeightsError,
)
from opto.llm import LLM, LocalModel, Usage
from opto.llm.llama import SHELF, threads
from opto.llm.local import MAX_TOKENS, request_bodies
from opto.llm.weights import cache_folder, is_present
from opto.testing import ModelServer

MESSAGES = [{"role": "user", "content": "hi"}]
REAL_CACHE = cache_folder()
Chunk = dict[str, Any]


def piece(text: str | None, reason: str | None = None) -> Chunk:
    return {"choices": [{"delta": {"content": text}, "finish_reason": reason}]}


USAGE: Chunk = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


class Llama:
    """Stands for ``xllamacpp``: says what `script` yields for a request."""

    def __init__(self, script: Callable[[dict[str, Any]], Iterator[Chunk]]) -> None:
        self.script = script
        self.loaded: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.running = self.most_running = 0
        self.listening_address = "http://127.0.0.1:1"

    def module(self) -> ModuleType:
        module = ModuleType("xllamacpp")
        vars(module).update(CommonParams=self._parameters, Server=self._server)
        return module

    def _parameters(self) -> Any:
        return SimpleNamespace(
            model=SimpleNamespace(path=""),
            cpuparams=SimpleNamespace(n_threads=0),
            cpuparams_batch=SimpleNamespace(n_threads=0),
        )

    def _server(self, parameters: Any) -> Any:
        if "broken" in parameters.model.path:
            message = "Failed to init server"
            raise RuntimeError(message)
        self.loaded.append(parameters)
        return SimpleNamespace(
            handle_chat_completions=self._answer, listening_address=self.listening_address
        )

    def _answer(self, body: dict[str, Any], take: Callable[[Chunk], bool]) -> None:
        self.asked.append(body)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for chunk in self.script(body):
                if take(chunk):
                    return
        finally:
            self.running -= 1


def hello(body: dict[str, Any]) -> Iterator[Chunk]:
    yield piece(None)
    yield piece("hel")
    yield piece("lo")
    yield piece(None, "stop")
    yield USAGE


def endless(body: dict[str, Any]) -> Iterator[Chunk]:
    while True:
        time.sleep(0.005)
        yield piece("x")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Llama]]:
    def loaded(script: Callable[[dict[str, Any]], Iterator[Chunk]]) -> Llama:
        llama = Llama(script)
        monkeypatch.setitem(sys.modules, "xllamacpp", llama.module())
        return llama

    yield loaded
    SHELF.close()


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "some.gguf"
    path.write_bytes(b"GGUF")
    return str(path)


def test_pieces_become_a_reply(load: Callable[..., Llama], weights: str) -> None:
    llama = load(hello)
    reply = LocalModel(weights)(messages=MESSAGES, temperature=0.5, stop=None)
    assert (reply.text, reply.choices[0].finish_reason) == ("hello", "stop")
    assert reply.usage == Usage(3, 2, 5)
    assert reply.model == weights
    body = llama.asked[0]
    assert body["messages"] == MESSAGES
    assert body["temperature"] == 0.5
    assert body["max_tokens"] == MAX_TOKENS
    assert "stop" not in body


def test_it_can_be_awaited(load: Callable[..., Llama], weights: str) -> None:
    load(hello)
    assert asyncio.run(LocalModel(weights).acall(messages=MESSAGES)).text == "hello"


def test_weights_are_loaded_once_per_file(
    load: Callable[..., Llama], weights: str, tmp_path: Path
) -> None:
    llama = load(hello)
    for _ in range(3):
        LocalModel(weights)(messages=MESSAGES)
    LocalModel(weights, context_tokens=100)(messages=MESSAGES)
    assert len(llama.loaded) == 1
    LocalModel(weights, context_tokens=100_000)(messages=MESSAGES)
    assert [parameters.n_ctx for parameters in llama.loaded] == [8192, 100_000]
    link = tmp_path / "link.gguf"
    link.symlink_to(weights)
    LocalModel(str(link))(messages=MESSAGES)
    assert len(llama.loaded) == 2
    assert llama.loaded[0].cpuparams.n_threads == threads() >= 1
    assert llama.loaded[0].api_keys


def test_calls_of_many_threads_take_turns(load: Callable[..., Llama], weights: str) -> None:
    llama = load(hello)
    llm = LocalModel(weights)
    callers = [threading.Thread(target=llm, kwargs={"messages": MESSAGES}) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert (len(llama.asked), llama.most_running, len(llama.loaded)) == (8, 1, 1)


def test_several_answers_are_several_requests(load: Callable[..., Llama], weights: str) -> None:
    llama = load(hello)
    reply = LocalModel(weights)(messages=MESSAGES, n=3, seed=7)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert reply.usage == Usage(9, 6, 15)
    assert [(body["seed"], body["cache_prompt"]) for body in llama.asked] == [
        (7, False),
        (8, True),
        (9, True),
    ]


def test_options_become_bodies() -> None:
    options = {"n": 2, "max_completion_tokens": 5, "timeout": 3, "model": "x", "seed": None}
    bodies = request_bodies([{"role": "user", "content": "\ud800"}], options)
    assert (
        bodies
        == [
            {
                "cache_prompt": True,
                "max_tokens": 5,
                "messages": [{"role": "user", "content": "\ufffd"}],
            }
        ]
        * 2
    )
    assert request_bodies(MESSAGES, {"seed": 1, "cache_prompt": True})[0]["cache_prompt"]


def test_a_call_ends_at_its_timeout_and_the_next_one_works(
    load: Callable[..., Llama], weights: str
) -> None:
    llama = load(endless)
    llm = LocalModel(weights, timeout=0.1)
    with pytest.raises(Timeout, match=r"within 0\.1 s"):
        llm(messages=MESSAGES)
    with pytest.raises(Timeout, match=r"within 0\.2 s"):
        asyncio.run(llm.acall(messages=MESSAGES, timeout=0.2))
    llama.script = hello
    assert llm(messages=MESSAGES, timeout=60).text == "hello"


def test_cancelling_ends_the_generation(load: Callable[..., Llama], weights: str) -> None:
    llama = load(endless)

    async def cancelled() -> None:
        task = asyncio.create_task(LocalModel(weights).acall(messages=MESSAGES))
        await asyncio.to_thread(until, lambda: llama.running == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    until(lambda: llama.running == 0)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    pytest.fail("it never happened")


def refusing(chunk: Chunk) -> Callable[[dict[str, Any]], Iterator[Chunk]]:
    return lambda body: iter([chunk])


def raising(body: dict[str, Any]) -> Iterator[Chunk]:
    message = "JSON schema error"
    raise ValueError(message)


TOO_LONG = {"error": {"type": "exceed_context_size_error", "message": "request (9 tokens) exceeds"}}
REFUSALS: list[tuple[Any, type[ModelError], str]] = [
    (refusing(TOO_LONG), ContextTooLong, "9 tokens"),
    (refusing({"error": {"message": "bad n"}}), BadRequest, "bad n"),
    (refusing({"error": "odd"}), BadRequest, "odd"),
    (raising, BadRequest, "JSON schema error"),
    (refusing(piece("cut off")), BadResponse, "ended without"),
]


@pytest.mark.parametrize(("script", "kind", "reason"), REFUSALS)
def test_errors_are_typed(
    script: Any, kind: type[ModelError], reason: str, load: Callable[..., Llama], weights: str
) -> None:
    load(script)
    with pytest.raises(kind, match=reason) as caught:
        LocalModel(weights)(messages=MESSAGES)
    assert (caught.value.provider, caught.value.model) == ("local", weights)


def test_weights_that_cant_be_loaded_are_said(load: Callable[..., Llama], tmp_path: Path) -> None:
    load(hello)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    with pytest.raises(WeightsError, match=r"can't load .*broken\.gguf"):
        LocalModel(str(broken))(messages=MESSAGES)


def test_unstorable_text_is_repaired(load: Callable[..., Llama], weights: str) -> None:
    def with_nul(body: dict[str, Any]) -> Iterator[Chunk]:
        yield piece("a\x00")
        yield piece(None, "stop")

    load(with_nul)
    message = LocalModel(weights)(messages=MESSAGES).choices[0].message
    assert (message.content, message.repaired) == ("a\ufffd", True)


def test_missing_weights_say_how_to_get_them(load: Callable[..., Llama]) -> None:
    load(hello)
    with pytest.raises(WeightsError, match=r"opto model fetch 0\.5b"):
        LocalModel("0.5b")(messages=MESSAGES)
    with pytest.raises(UnknownName, match="unknown local model"):
        LocalModel("nonsense")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, weights: str) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtra, match=r"trace-opt\[local\]"):
        LocalModel(weights)(messages=MESSAGES)


def test_it_is_small_and_keeps_to_a_schema() -> None:
    abilities = LocalModel("135m", context_tokens=512).abilities
    assert (abilities.context_tokens, abilities.json_schema, abilities.size) == (512, True, "small")


def test_an_answer_can_be_read_while_it_is_written(
    load: Callable[..., Llama], weights: str
) -> None:
    load(hello)
    stream = LocalModel(weights).stream(messages=MESSAGES)
    assert [str(part) for part in stream] == ["hel", "lo"]
    assert stream.completion().usage == Usage(3, 2, 5)
    several = [(part.text, part.index) for part in LocalModel(weights).stream(MESSAGES, n=2)]
    assert several == [("hel", 0), ("lo", 0), ("hel", 1), ("lo", 1)]


def test_leaving_a_stream_ends_the_generation(load: Callable[..., Llama], weights: str) -> None:
    llama = load(endless)
    llm = LocalModel(weights)
    with llm.stream(messages=MESSAGES) as stream:
        assert str(next(stream)) == "x"
    for _ in range(1000):
        if not llama.running:
            break
        time.sleep(0.01)
    assert llama.running == 0


TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
        },
    },
}


def saying(*texts: str) -> Callable[[dict[str, Any]], Iterator[Chunk]]:
    left = list(texts)

    def script(body: dict[str, Any]) -> Iterator[Chunk]:
        yield piece(left.pop(0))
        yield piece(None, "stop")
        yield USAGE

    return script


def test_tools_are_asked_for_by_a_grammar(load: Callable[..., Llama], weights: str) -> None:
    call, answer = '{"tool": "add", "arguments": {"x": 1, "y": 2}}', '{"answer": "three"}'
    llama = load(saying(call, answer, answer))
    llm = LocalModel(weights)
    asked = llm(messages=MESSAGES, tools=[TOOL]).choices[0]
    assert (asked.finish_reason, asked.message.content) == ("tool_calls", "")
    (wanted,) = asked.message.tool_calls
    assert wanted["function"] == {"name": "add", "arguments": '{"x": 1, "y": 2}'}
    told: list[dict[str, Any]] = [
        *MESSAGES,
        {"role": "assistant", "content": "", "tool_calls": [wanted]},
        {"role": "tool", "tool_call_id": wanted["id"], "content": "3"},
    ]
    reply = asyncio.run(llm.acall(messages=told, tools=[TOOL]))
    assert (reply.text, reply.choices[0].finish_reason) == ("three", "stop")
    assert [str(part) for part in llm.stream(messages=told, tools=[TOOL])] == ["three"]
    assert "tools" not in llama.asked[0]
    assert llama.asked[0]["response_format"]["type"] == "json_schema"
    assert llama.asked[1]["messages"][-1] == {"role": "user", "content": "add gave: 3"}


def test_tokens_are_counted_by_the_models_tokenizer(
    load: Callable[..., Llama], weights: str
) -> None:
    llama = load(hello)
    with ModelServer(lambda request: {"tokens": list(request.body["content"])}) as server:
        llama.listening_address = server.url.removesuffix("/v1")
        assert LocalModel(weights).count_tokens("abc") == 3
        assert LLM(LocalModel(weights)).count_tokens("ab") == 2
        assert server.requests[0].path == "/tokenize"
        assert len(server.requests[0].headers["authorization"]) == len("Bearer ") + 32
    with pytest.raises(BadResponse, match="doesn't count tokens"):
        LocalModel(weights).count_tokens("abc")


def test_slots_generate_at_the_same_time(load: Callable[..., Llama], weights: str) -> None:
    together = threading.Barrier(2)

    def script(body: dict[str, Any]) -> Iterator[Chunk]:
        together.wait(20)
        yield from hello(body)

    llama = load(script)
    llm = LocalModel(weights, slots=2, context_tokens=512)

    async def both() -> list[Any]:
        return await asyncio.gather(*(llm.acall(messages=MESSAGES) for _ in range(2)))

    assert [reply.text for reply in asyncio.run(both())] == ["hello", "hello"]
    assert (llama.loaded[0].n_parallel, llama.loaded[0].n_ctx) == (2, 1024)
    with pytest.raises(InvalidArgument, match="at least 1"):
        LocalModel(weights, slots=0)


def test_waiting_threads_do_not_spin(load: Callable[..., Llama], weights: str) -> None:
    load(hello)
    os.environ.pop("OMP_WAIT_POLICY", None)
    LocalModel(weights)(messages=MESSAGES)
    assert os.environ["OMP_WAIT_POLICY"] == "passive"


def test_it_can_be_pickled(load: Callable[..., Llama], weights: str) -> None:
    load(hello)
    llm = LocalModel(weights, temperature=0.1)
    llm(messages=MESSAGES)
    again = pickle.loads(pickle.dumps(llm))
    assert again(messages=MESSAGES).text == "hello"
    assert again.options == {"temperature": 0.1}


# ---- with real weights ---------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "out", "strict": True, "schema": SCHEMA}}


@pytest.fixture
def smallest(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalModel]:
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("OPTO_CACHE", str(REAL_CACHE))
    if not is_present("135m"):
        pytest.skip("needs the weights: opto model fetch 135m")
    yield LocalModel("135m")
    SHELF.close()


@pytest.mark.local_llm
def test_a_real_model_keeps_to_a_schema(smallest: LocalModel) -> None:
    reply = smallest(messages=MESSAGES, response_format=FORMAT, max_tokens=200, temperature=0.7)
    if not reply.choices[0].cut:
        assert isinstance(json.loads(reply.text)["x"], int)
    assert reply.usage.known
    assert reply.usage.completion_tokens > 0


@pytest.mark.local_llm
def test_a_real_model_calls_a_tool_and_counts_and_streams(smallest: LocalModel) -> None:
    asked = [{"role": "user", "content": "What is 2 plus 3?"}]
    named = {"type": "function", "function": {"name": "add"}}
    with_tool = {"tools": [TOOL], "tool_choice": named, "max_tokens": 200, "temperature": 0}
    reply = smallest(messages=asked, **with_tool)
    if not reply.choices[0].cut:
        (wanted,) = reply.choices[0].message.tool_calls
        assert wanted["function"]["name"] == "add"
        assert isinstance(json.loads(wanted["function"]["arguments"]), dict)
    assert smallest.count_tokens("hello world") == 2
    stream = smallest.stream(messages=MESSAGES, max_tokens=8)
    assert "".join(str(part) for part in stream) == stream.completion().text


@pytest.mark.local_llm
def test_a_real_model_repeats_itself_with_a_seed(smallest: LocalModel) -> None:
    asked: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 12, "n": 3, "seed": 5}
    first = smallest(**asked)
    smallest(messages=[{"role": "user", "content": "something else"}], max_tokens=3)
    assert smallest(**asked).choices == first.choices
    assert len({choice.message.content for choice in first.choices}) > 1


@pytest.mark.local_llm
def test_a_real_model_refuses_what_is_too_long(smallest: LocalModel) -> None:
    with pytest.raises(ContextTooLong):
        smallest(messages=[{"role": "user", "content": "word " * 20_000}])


@pytest.mark.local_llm
def test_a_real_model_can_be_stopped(smallest: LocalModel) -> None:
    with pytest.raises(Timeout):
        smallest(messages=MESSAGES, max_tokens=1000, timeout=0.01)
    assert smallest(messages=MESSAGES, max_tokens=2).text


@pytest.mark.local_llm
def test_a_program_with_a_real_model_ends_cleanly(smallest: LocalModel) -> None:
    program = """
from opto.llm import LocalModel
print(LocalModel("135m")(messages=[{"role": "user", "content": "hi"}], max_tokens=3).text)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
