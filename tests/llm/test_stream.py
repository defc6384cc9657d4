"""Streams: whole, through every wrapper, with faults, left early; sync and async."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from opto.errors import (
    BadResponse,
    BudgetExceeded,
    ContentFiltered,
    Disconnected,
    ModelError,
    OversizedResponse,
    QuotaExceeded,
    RateLimited,
    ServerError,
    Timeout,
    UsageError,
)
from opto.llm import (
    LLM,
    Budget,
    Budgeted,
    Cached,
    CallRecord,
    Completion,
    Fallback,
    Limits,
    Metered,
    OpenAICompatible,
    Rate,
    Recorded,
    Retrying,
    RetryPolicy,
    Usage,
    usage,
)
from opto.llm.limiter import Limited
from opto.testing import Fault, ModelServer, ScriptedModel, completion_json, stream_events
from tests.llm.test_openai_compatible import wait_until

MESSAGES = [{"role": "user", "content": "hi"}]
KEY = "sk-canary-stream-0123456789"
QUICK = RetryPolicy(max_attempts=3, base_delay=0.01, max_delay=5.0)
Read = Callable[[Any], tuple[list[str], Completion]]


def sync(llm: Any, **options: Any) -> tuple[list[str], Completion]:
    with llm.stream(messages=MESSAGES, **options) as stream:
        return [str(piece) for piece in stream], stream.completion()


def asynchronous(llm: Any, **options: Any) -> tuple[list[str], Completion]:
    async def read() -> tuple[list[str], Completion]:
        async with llm.astream(messages=MESSAGES, **options) as stream:
            return [str(piece) async for piece in stream], await stream.completion()

    return asyncio.run(read())


both = pytest.mark.parametrize("read", [sync, asynchronous])


def client(server: ModelServer, **settings: Any) -> OpenAICompatible:
    settings = {"api_key": KEY, "timeout": 20.0, "retry": QUICK, **settings}
    return OpenAICompatible("m", server.url, **settings)


@both
def test_pieces_come_and_then_the_whole(read: Read) -> None:
    with ModelServer("eight hairy legs") as server, usage() as spent:
        pieces, reply = read(client(server))
        assert server.requests[0].body["stream_options"] == {"include_usage": True}
    assert pieces == ["eight ", "hairy ", "legs"]
    assert (reply.text, reply.choices[0].finish_reason) == ("eight hairy legs", "stop")
    assert reply.usage == Usage(7, 3, 10) == spent.usage
    assert (reply.model, reply.id, spent.calls) == ("served", "chatcmpl-served", 1)


@both
def test_a_piece_can_be_read_before_the_next_is_sent(read: Read) -> None:
    arrived = threading.Event()
    waiting = Fault(events=stream_events("a b"), drip=0.02)

    def one(llm: OpenAICompatible) -> None:
        stream = llm.stream(messages=MESSAGES)
        assert str(next(stream)) == "a "
        arrived.set()
        assert stream.completion().text == "a b"

    async def aone(llm: OpenAICompatible) -> None:
        stream = llm.astream(messages=MESSAGES)
        assert str(await anext(stream)) == "a "
        arrived.set()
        assert (await stream.completion()).text == "a b"

    with ModelServer(waiting) as server:
        one(client(server)) if read is sync else asyncio.run(aone(client(server)))
    assert arrived.is_set()


@both
def test_several_answers_and_tools(read: Read) -> None:
    body = completion_json("first one")
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    second = {"index": 1, "finish_reason": "stop", "message": {"content": "second one"}}
    third = {"index": 2, "finish_reason": "tool_calls", "message": {"tool_calls": [call]}}
    body["choices"] += [second, third]
    with ModelServer(body) as server:
        reply = read(client(server))[1]
        stream = client(server).stream(messages=MESSAGES)
        by_index = [(piece.index, piece.text) for piece in stream]
    assert [choice.message.content for choice in reply.choices] == ["first one", "second one", ""]
    assert reply.choices[2].message.tool_calls == (call,)
    assert by_index == [(0, "first "), (0, "one"), (1, "second "), (1, "one")]


def test_arguments_of_tools_are_put_together() -> None:
    parts: list[dict[str, Any]] = [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x'}},
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": '": 2}'}},
    ]
    deltas: list[dict[str, Any]] = [{"tool_calls": [part]} for part in parts]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    with ModelServer(Fault(events=[*chunks, end])) as server:
        message = sync(client(server))[1].choices[0].message
    called = [
        (c["id"], c["function"]["name"], c["function"]["arguments"]) for c in message.tool_calls
    ]
    assert called == [("a", "f", '{"x": 2}'), ("b", "g", "{}")]


@both
def test_a_server_that_does_not_stream_is_read_whole(read: Read) -> None:
    with ModelServer(Fault(body=b'{"choices": [{"message": {"content": "whole"}}]}')) as server:
        assert read(client(server))[0] == ["whole"]


# ---- faults --------------------------------------------------------------------------------------

GOOD = stream_events("one two three")
SHORT = GOOD[:3]


def failing(error: dict[str, Any]) -> Fault:
    return Fault(events=[*SHORT, {"error": error}])


def ending(reason: str) -> Fault:
    return Fault(events=[*SHORT, {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}])


MIDWAY: dict[str, tuple[Fault, type[ModelError]]] = {
    "an event that is no JSON": (Fault(events=[*SHORT, b"data: {oops\n\n"]), BadResponse),
    "an event that is no object": (Fault(events=[*SHORT, b"data: [1]\n\n"]), BadResponse),
    "a piece that is a number": (
        Fault(events=[*SHORT, {"choices": [{"delta": {"content": 4}}]}]),
        BadResponse,
    ),
    "a reset in the middle": (Fault(events=SHORT, reset="during"), Disconnected),
    "closed in the middle": (Fault(events=SHORT, half=True), Disconnected),
    "an end in the middle": (Fault(events=SHORT), Disconnected),
    "an end in the middle of an event": (Fault(events=[*SHORT, b'data: {"cho']), Disconnected),
    "neither a reason nor [DONE]": (Fault(events=GOOD[:-3]), Disconnected),
    "an error event: server": (failing({"message": "oops"}), ServerError),
    "an error event: rate": (failing({"message": "slow", "code": 429}), RateLimited),
    "an error event: quota": (failing({"code": "insufficient_quota"}), QuotaExceeded),
    "an error event by name": (Fault(events=[*SHORT, b"event: error\ndata: {}\n\n"]), ServerError),
    "filtered in the middle": (ending("content_filter"), ContentFiltered),
    "silence": (Fault(events=GOOD, drip=2.0), Timeout),
    "endless": (Fault(events=GOOD[1:2], endless=True), OversizedResponse),
}


PATIENCE = {"silence": 0.7}


@both
@pytest.mark.parametrize("name", MIDWAY)
def test_a_fault_in_the_middle_is_typed_and_not_retried(name: str, read: Read) -> None:
    fault, expected = MIDWAY[name]
    limits = Limits(max_bytes=200_000, silence=PATIENCE.get(name, 10.0), timeout=20.0)
    with ModelServer(fault) as server, usage() as spent:
        llm = client(server, timeout=None, limits=limits)
        with pytest.raises(ModelError) as caught:
            read(llm)
        assert type(caught.value) is expected
        assert (caught.value.attempts, caught.value.model) == (1, "m")
        wait_until(lambda: server.in_flight == 0)
        assert len(server.requests) == 1
    assert (spent.calls, spent.total.failures) == (1, 1)


BEFORE: dict[str, Fault] = {
    "503": Fault(503),
    "a reset before the reply": Fault(reset="before"),
    "a reset before the first piece": Fault(events=GOOD[:1], reset="during"),
    "no JSON before the first piece": Fault(events=[b"data: {oops\n\n"]),
    "an error before the first piece": Fault(events=[{"error": {"message": "busy"}}]),
    "nothing": Fault(events=[]),
    "HTML": Fault(body="<html>"),
}


@both
@pytest.mark.parametrize("name", BEFORE)
def test_a_fault_before_the_first_piece_is_retried(name: str, read: Read) -> None:
    with ModelServer([BEFORE[name], "fine then"]) as server:
        assert read(client(server))[0] == ["fine ", "then"]
        assert len(server.requests) == 2


@both
def test_the_deadline_holds_for_the_whole_stream(read: Read) -> None:
    with ModelServer(Fault(events=GOOD[1:2], endless=True, drip=0.02)) as server:
        with pytest.raises(Timeout, match="deadline"):
            read(client(server, timeout=0.5))
        wait_until(lambda: server.in_flight == 0)


def test_a_missing_done_is_no_fault_where_the_answer_says_that_it_is_whole() -> None:
    with ModelServer(Fault(events=GOOD[:-2])) as server:
        reply = sync(client(server))[1]
    assert (reply.text, reply.usage.known) == ("one two three", False)


def test_a_done_without_a_last_empty_line_counts() -> None:
    with ModelServer(Fault(events=[*SHORT, b"data: [DONE]"])) as server:
        assert sync(client(server))[1].text == "one two "


def test_the_connection_is_kept_after_a_stream() -> None:
    with ModelServer("one two") as server:
        llm = client(server)
        for _ in range(3):
            sync(llm)
        assert server.connections == 1


@both
def test_the_key_is_in_no_error_of_a_stream(read: Read) -> None:
    said = {"error": {"message": f"bad key {KEY}", "code": 401}}
    for events in ([said], [*SHORT, said], [f"data: {KEY}\n\n".encode()]):
        with ModelServer(Fault(events=events)) as server, pytest.raises(ModelError) as caught:
            read(client(server, max_attempts=1))
        assert KEY not in str(caught.value) + repr(caught.value)


# ---- left early ----------------------------------------------------------------------------------

ENDLESS = Fault(events=GOOD[1:2], endless=True, drip=0.01)


@pytest.mark.parametrize("how", ["close", "with", "drop"])
def test_leaving_a_stream_ends_its_request(how: str) -> None:
    with ModelServer(ENDLESS) as server, usage() as spent:
        llm = client(server, timeout=600)
        stream = llm.stream(messages=MESSAGES)
        if how == "with":
            with stream:
                assert str(next(stream)) == "one "
        elif how == "close":
            next(stream)
            stream.close()
            stream.close()
        if how == "drop":
            for piece in stream:
                assert piece.text == "one "
                break
            del stream
            gc.collect()
        else:
            assert (spent.calls, spent.total.failures, spent.usage.known) == (1, 1, False)
            assert list(stream) == []
            with pytest.raises(UsageError, match="left before"):
                stream.completion()
        wait_until(lambda: server.in_flight == 0)
        wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("how", ["aclose", "with", "cancel", "drop"])
def test_leaving_an_asynchronous_stream_ends_its_request(how: str) -> None:
    async def leave(llm: OpenAICompatible) -> None:
        if how == "with":
            async with llm.astream(messages=MESSAGES) as stream:
                await anext(stream)
        elif how == "aclose":
            stream = llm.astream(messages=MESSAGES)
            await anext(stream)
            await stream.aclose()
        elif how == "drop":
            async for _ in llm.astream(messages=MESSAGES):
                break
            await asyncio.sleep(0)
        else:
            task = asyncio.create_task(_drain(llm))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with ModelServer(ENDLESS) as server, usage() as spent:
        asyncio.run(leave(client(server, timeout=600)))
        wait_until(lambda: server.in_flight == 0)
        wait_until(lambda: server.open_connections == 0)
        wait_until(lambda: spent.calls == 1)


async def _drain(llm: OpenAICompatible) -> None:
    async for _ in llm.astream(messages=MESSAGES):
        pass


def test_an_interrupt_ends_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def get(self) -> Any:
            raise KeyboardInterrupt

    with ModelServer(ENDLESS) as server:
        stream = client(server, timeout=600).stream(messages=MESSAGES)
        next(stream)
        monkeypatch.setattr(stream, "_items", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        wait_until(lambda: server.in_flight == 0)


# ---- wrappers ------------------------------------------------------------------------------------


def test_through_everything_that_stands_around_a_model(tmp_path: Path) -> None:
    model = ScriptedModel("a b c")
    metered = Metered(Retrying(Limited(model, Rate(in_flight=1))))
    llm = LLM(Budgeted(Recorded(Cached(metered, tmp_path / "c"), tmp_path / "r"), Budget(calls=1)))
    assert sync(llm)[0] == ["a ", "b ", "c"]
    assert asynchronous(Recorded(model, tmp_path / "r"))[0] == ["a b c"]
    assert (metered.calls, len(model.calls)) == (1, 1)


@both
def test_what_is_kept_is_replayed_as_a_stream(read: Read, tmp_path: Path) -> None:
    model = ScriptedModel(["a b", "c d"])
    for llm in (Cached(model, tmp_path / "c"), Recorded(model, tmp_path / "r")):
        whole = llm(messages=MESSAGES).text
        again = llm if isinstance(llm, Cached) else Recorded(model, tmp_path / "r", "replay")
        with usage() as spent:
            assert read(again)[0] == [whole]
        assert (spent.calls, spent.total.hits) == (0, 1)


@both
def test_a_streamed_answer_is_kept(read: Read, tmp_path: Path) -> None:
    with ModelServer(["a b c"]) as server:
        llm = Cached(client(server), tmp_path / "c")
        read(llm)
        assert llm(messages=MESSAGES).text == "a b c"


@both
def test_another_model_is_asked_before_the_first_piece_only(read: Read) -> None:
    with ModelServer([Fault(503), Fault(events=SHORT, half=True)]) as server:
        first = client(server, max_attempts=1)
        llm = Fallback([first, ScriptedModel("second answers")])
        assert read(llm)[0] == ["second ", "answers"]
        with pytest.raises(Disconnected):
            read(llm)


def test_nothing_is_asked_twice_after_a_piece() -> None:
    with ModelServer(Fault(events=SHORT, half=True)) as server:
        llm = Retrying(client(server, max_attempts=1), QUICK)
        with pytest.raises(Disconnected):
            sync(llm)
        assert len(server.requests) == 1


def test_two_answers_are_never_mixed() -> None:
    class Twice(Metered):
        def steps(self, request: Any) -> Any:
            yield from super().steps(request)
            return (yield from super().steps(request))

    with pytest.raises(BadResponse, match="asked again"):
        sync(Twice(ScriptedModel(["a b", "c d"])))


def test_a_budget_refuses_before_anything_is_sent() -> None:
    model = ScriptedModel("x")
    with usage(Budget(calls=0)), pytest.raises(BudgetExceeded):
        sync(model)
    assert not model.calls


def test_the_models_that_a_function_asks_are_its_own_affair() -> None:
    inner = ScriptedModel(["draft one", "draft two"])

    def best(messages: Sequence[Any]) -> str:
        return max(inner(messages=messages).text for _ in range(2)) + "!"

    async def abest(messages: Sequence[Any]) -> str:
        return (await inner.acall(messages=messages)).text

    assert sync(LLM(best))[0] == ["draft two!"]
    inner.__init__(["only one"])  # type: ignore[misc] # a new script
    assert sync(LLM(abest))[0] == ["only one"]


def test_streams_in_many_threads_and_tasks_do_not_mix() -> None:
    with ModelServer(lambda request: str(request.body["messages"][0]["content"])) as server:
        llm = client(server)
        found: dict[int, list[str]] = {}

        def one(number: int) -> None:
            text = " ".join([str(number)] * 5)
            stream = llm.stream(messages=[{"role": "user", "content": text}])
            found[number] = [piece.text.strip() for piece in stream]

        threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {number: [str(number)] * 5 for number in range(20)}


def test_records_of_a_stream_are_those_of_a_call() -> None:
    records: list[CallRecord] = []
    with ModelServer("a b") as server, usage(on_call=records.append):
        sync(client(server))
        client(server)(messages=MESSAGES)
    assert (records[0].usage, records[0].error) == (records[1].usage, "")


# ---- misuse --------------------------------------------------------------------------------------


def test_stream_is_no_option_of_a_call() -> None:
    with ModelServer() as server, pytest.raises(UsageError, match=r"use llm\.stream"):
        client(server)(messages=MESSAGES, stream=True)


def test_an_asynchronous_stream_needs_a_loop() -> None:
    with pytest.raises(UsageError, match="running event loop"):
        ScriptedModel("x").astream(messages=MESSAGES)


def test_a_stream_that_would_wait_for_itself_is_refused() -> None:
    async def inside(messages: Sequence[Any]) -> str:
        return sync(ScriptedModel("x"))[1].text

    with pytest.raises(UsageError, match="wait for itself"):
        LLM(inside)(messages=MESSAGES)


def test_an_exhausted_stream_stays_so() -> None:
    stream = ScriptedModel("a").stream(messages=MESSAGES)
    assert [str(piece) for piece in stream] == ["a"]
    assert list(stream) == []
    failed = ScriptedModel([ServerError("x")]).stream(messages=MESSAGES)
    with pytest.raises(ServerError):
        list(failed)
    assert list(failed) == []
    with pytest.raises(ServerError):
        failed.completion()
