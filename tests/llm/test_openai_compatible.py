"""The rows of FAULTS.md §1, each synchronously and asynchronously, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import copy
import gzip
import io
import json
import logging
import os
import pickle
import threading
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from opto.errors import (
    AuthenticationFailed,
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    Disconnected,
    ModelError,
    OversizedResponse,
    QuotaExceeded,
    RateLimited,
    ServerError,
    Timeout,
    UsageError,
)
from opto.llm import Completion, OpenAICompatible, RetryPolicy
from opto.llm.secret import ApiKey
from opto.testing import Fault, ModelServer, completion_json

KEY = "sk-canary-5f3a9c-planted"
MESSAGES = [{"role": "user", "content": "hi"}]
QUICK = RetryPolicy(max_attempts=3, base_delay=0.01, max_delay=5.0)
TIMEOUT = 20.0

Asked = Callable[[OpenAICompatible], Completion]


def sync(llm: OpenAICompatible, **options: Any) -> Completion:
    return llm(messages=MESSAGES, **options)


def asynchronous(llm: OpenAICompatible, **options: Any) -> Completion:
    return asyncio.run(llm.acall(messages=MESSAGES, **options))


both = pytest.mark.parametrize("ask", [sync, asynchronous])


def client(server: ModelServer, **settings: Any) -> OpenAICompatible:
    settings = {"api_key": KEY, "timeout": TIMEOUT, "retry": QUICK, **settings}
    return OpenAICompatible("m", server.url, **settings)


def error(message: str, **fields: str) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


@dataclass(frozen=True)
class Row:
    """A fault, what must come of it, and with how many requests."""

    script: Sequence[Fault | str] | Fault
    expected: type[ModelError] | str
    requests: int


def content(**message: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


HALF = json.dumps(completion_json("never")).encode()[:80]
INVALID = b'{"choices":[{"message":{"content":"a\xff"}}]}'
ROWS = {
    "429 once": Row([Fault(429), "fine"], "fine", 2),
    "429 with a long Retry-After": Row(Fault(429, {"Retry-After": "3600"}), RateLimited, 1),
    "429 for ever": Row(Fault(429), RateLimited, 3),
    "429 insufficient_quota": Row(
        Fault(429, body=error("no", code="insufficient_quota")), QuotaExceeded, 1
    ),
    "500 once": Row([Fault(500), "fine"], "fine", 2),
    "reset before the reply, once": Row([Fault(reset="before"), "fine"], "fine", 2),
    "reset during the reply, once": Row([Fault(reset="during"), "fine"], "fine", 2),
    "closed in the middle, once": Row([Fault(half=True), "fine"], "fine", 2),
    "503 for ever": Row(Fault(503), ServerError, 3),
    "resets for ever": Row(Fault(reset="before"), Disconnected, 3),
    "401 that echoes the key": Row(Fault(401, body=error(f"bad {KEY}")), AuthenticationFailed, 1),
    "400 context length": Row(
        Fault(400, body=error("long", code="context_length_exceeded")), ContextTooLong, 1
    ),
    "half a JSON body, once": Row([Fault(body=HALF), "fine"], "fine", 2),
    "half a JSON body for ever": Row(Fault(body=HALF), BadResponse, 3),
    "HTML with status 200": Row(Fault(body="<html>"), BadResponse, 3),
    "an empty body": Row(Fault(body=b""), BadResponse, 3),
    "an error object with status 200": Row(Fault(body=error("no")), BadResponse, 3),
    "choices empty": Row(Fault(body={"choices": []}), BadResponse, 3),
    "choices null": Row(Fault(body={"choices": None}), BadResponse, 3),
    "choices missing": Row(Fault(body={}), BadResponse, 3),
    "content null": Row(Fault(body=content(content=None)), BadResponse, 3),
    "content a number": Row(Fault(body=content(content=4)), BadResponse, 3),
    "content parts": Row(Fault(body=content(content=[{"text": "a"}, {"text": "b"}])), "ab", 1),
    "content filter": Row(
        Fault(body={"choices": [{"message": {}, "finish_reason": "content_filter"}]}),
        ContentFiltered,
        1,
    ),
    "refusal": Row(Fault(body=content(content=None, refusal="no")), ContentFiltered, 1),
    "an array": Row(Fault(body=[1]), BadResponse, 3),
    "a text": Row(Fault(body='"hello"'), BadResponse, 3),
    "invalid UTF-8": Row(Fault(body=INVALID), "a\ufffd", 1),
    "NUL": Row(Fault(body=content(content="a\x00")), "a\ufffd", 1),
    "120 MB": Row(Fault(size=120_000_000), OversizedResponse, 1),
    "endless": Row(Fault(endless=True), OversizedResponse, 1),
}


@both
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_fault(row: Row, ask: Asked, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    script = row.script if isinstance(row.script, Fault) else list(row.script)
    with ModelServer(script) as server:
        llm = client(server)
        if isinstance(row.expected, str):
            assert ask(llm).text == row.expected
        else:
            with pytest.raises(row.expected) as caught:
                ask(llm)
            failure = caught.value
            assert type(failure) is row.expected
            assert failure.attempts == row.requests
            assert (failure.provider, failure.model) == ("127.0.0.1", "m")
            assert KEY not in leftovers(failure, llm)
        assert len(server.requests) == row.requests
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        llm.close()
    assert KEY not in caplog.text


def leftovers(failure: BaseException, llm: OpenAICompatible) -> str:
    """All that a failing call leaves behind, as text."""
    seen: list[str] = [repr(llm), str(llm), repr(vars(llm)), str(pickle.dumps(llm))]
    chain: BaseException | None = failure
    while chain is not None:
        seen += [str(chain), repr(chain), repr(vars(chain)), str(pickle.dumps(chain))]
        chain = chain.__cause__ or chain.__context__
    return "\n".join(seen)


@both
def test_the_advised_wait_is_kept(ask: Asked) -> None:
    with ModelServer([Fault(429, {"Retry-After": "1"}), "fine"]) as server:
        assert ask(client(server)).text == "fine"
        first, second = server.requests
        assert second.arrived - first.arrived >= 1.0


@both
def test_the_advised_time_is_on_the_error(ask: Asked) -> None:
    fault = Fault(429, {"Retry-After": "3600", "x-request-id": "r-7"})
    with ModelServer(fault) as server, pytest.raises(RateLimited) as caught:
        ask(client(server))
    assert (caught.value.retry_after, caught.value.request_id) == (3600.0, "r-7")
    assert caught.value.status == 429


@both
@pytest.mark.parametrize(
    "fault",
    [Fault(delay=60.0), Fault(drip=0.05), Fault(status=503, delay=0.25)],
    ids=["silent", "dripping", "slow and failing"],
)
def test_the_deadline_holds_for_the_whole_call(fault: Fault, ask: Asked) -> None:
    patient = RetryPolicy(max_attempts=50, base_delay=0.01)
    with ModelServer(fault) as server:
        started = time.monotonic()
        with pytest.raises((Timeout, ServerError)) as caught:
            ask(client(server, timeout=0.6, retry=patient))
        elapsed = time.monotonic() - started
    if fault.status == 200:
        assert isinstance(caught.value, TimeoutError)
    assert elapsed < 5.0  # the deadline, with room for a busy machine; not 50 times anything


@both
def test_a_timeout_can_be_given_with_the_call(ask: Callable[..., Completion]) -> None:
    with ModelServer(Fault(delay=60.0)) as server, pytest.raises(Timeout):
        ask(client(server), timeout=0.2)


@both
def test_a_long_reply_is_not_kept_in_memory(ask: Asked) -> None:
    with ModelServer(Fault(size=120_000_000)) as server:
        llm = client(server)
        tracemalloc.start()
        with pytest.raises(OversizedResponse):
            ask(llm)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 32 * 1024 * 1024


@both
def test_a_compressed_reply_is_read_up_to_the_limit(ask: Asked) -> None:
    packed = gzip.compress(json.dumps(completion_json("packed")).encode())
    bomb = gzip.compress(b" " * 100_000_000)
    zipped = {"content-encoding": "gzip"}
    script = [Fault(headers=zipped, body=packed), Fault(headers=zipped, body=bomb)]
    with ModelServer(script) as server:
        llm = client(server)
        assert ask(llm).text == "packed"
        with pytest.raises(OversizedResponse):
            ask(llm)


@both
def test_nobody_listening_is_disconnected(ask: Asked) -> None:
    with ModelServer() as server:
        url = server.url
    with pytest.raises(Disconnected) as caught:
        ask(OpenAICompatible("m", url, retry=QUICK))
    assert caught.value.attempts == 3
    assert isinstance(caught.value, ConnectionError)


def test_cancelling_ends_the_request() -> None:
    async def cancelled(llm: OpenAICompatible, server: ModelServer) -> None:
        task = asyncio.create_task(llm.acall(messages=MESSAGES))
        await asyncio.to_thread(wait_until, lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ModelServer([Fault(endless=True), "fine"]) as server:
        llm = client(server, timeout=600)
        asyncio.run(cancelled(llm, server))
        wait_until(lambda: server.in_flight == 0)
        assert sync(llm).text == "fine"
        assert len(server.requests) == 2


def test_an_interrupt_ends_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    from opto.llm.loop import HTTP_LOOP  # noqa: PLC0415 - only this test reaches behind the client

    started = threading.Event()
    with ModelServer([Fault(endless=True)]) as server:
        llm = client(server, timeout=600)
        submit = HTTP_LOOP.submit

        def interrupted(work: Any) -> Any:
            future = submit(work)

            class Interrupted:
                def result(self) -> Any:
                    wait_until(lambda: bool(server.requests))
                    started.set()
                    raise KeyboardInterrupt

                def done(self) -> bool:
                    return future.done()

                def cancel(self) -> bool:
                    return future.cancel()

            return Interrupted()

        monkeypatch.setattr(HTTP_LOOP, "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sync(llm)
        monkeypatch.undo()
        assert started.is_set()
        wait_until(lambda: server.in_flight == 0)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")


def test_connections_are_kept_over_calls_threads_and_loops() -> None:
    with ModelServer("fine") as server:
        llm = client(server)
        for ask in (sync, asynchronous, sync, asynchronous):
            ask(llm)
        assert server.connections == 1
        llm.close()
        threads = [threading.Thread(target=sync, args=(llm,)) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.requests) == 20


def test_what_is_asked_arrives() -> None:
    with ModelServer("fine") as server:
        llm = client(server, temperature=0.5)
        llm(messages=MESSAGES, max_tokens=5, stop=None, temperature=0.1)
        llm.create(messages=MESSAGES, model="other")
        first, second = server.requests
    assert first.path == "/v1/chat/completions"
    assert first.body == {"model": "m", "messages": MESSAGES, "max_tokens": 5, "temperature": 0.1}
    assert second.body == {"model": "other", "messages": MESSAGES, "temperature": 0.5}


def test_a_redirect_is_not_followed() -> None:
    with ModelServer("never") as other:
        fault = Fault(302, {"location": f"{other.url}/chat/completions"})
        with ModelServer(fault) as server, pytest.raises(ModelError, match="HTTP 302"):
            sync(client(server))
        assert other.requests == []


# ---- keys ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_the_key_is_taken_out_of_what_the_provider_says(status: int, ask: Asked) -> None:
    encoded = base64.b64encode(KEY.encode()).decode()
    said = error(f"key {KEY} / {encoded} / sk-other-person-key / Bearer abcdefghij")
    with ModelServer(Fault(status, {"x-request-id": KEY}, body=said)) as server:
        llm = client(server)
        with pytest.raises(ModelError) as caught:
            ask(llm)
        left = leftovers(caught.value, llm)
    for secret in (KEY, encoded, "sk-other-person-key", "abcdefghij"):
        assert secret not in left


def test_a_pickle_holds_no_key_and_reads_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    llm = OpenAICompatible("m", "http://127.0.0.1:1", api_key=ApiKey(variable="MY_KEY"))
    pickled = pickle.dumps(llm)
    assert KEY.encode() not in pickled
    with ModelServer("fine") as server:
        again = pickle.loads(pickle.dumps(client(server, api_key=ApiKey(variable="MY_KEY"))))
        assert sync(again).text == "fine"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_pickle_of_a_used_client_works_without_its_key() -> None:
    with ModelServer("fine") as server:
        llm = client(server)
        sync(llm)
        again = pickle.loads(pickle.dumps(llm))
        sync(again)
        assert "authorization" not in server.requests[1].headers


def test_a_deep_copy_keeps_the_key() -> None:
    with ModelServer("fine") as server:
        llm = client(server)
        sync(llm)
        sync(copy.deepcopy(llm))
        assert server.requests[1].headers["authorization"] == f"Bearer {KEY}"


def test_openais_key_goes_to_openai_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ModelServer("fine") as server:
        sync(OpenAICompatible("m", server.url))
        assert "authorization" not in server.requests[0].headers
    assert "OPENAI_API_KEY" in repr(OpenAICompatible("gpt-4o"))
    assert KEY not in repr(OpenAICompatible("gpt-4o"))


def test_a_missing_key_is_named() -> None:
    with ModelServer(Fault(401)) as server:
        llm = OpenAICompatible("m", server.url, api_key=ApiKey(variable="MY_KEY"))
        with pytest.raises(AuthenticationFailed, match=r"no API key is set.*MY_KEY"):
            sync(llm)


def test_secrets_in_the_url_are_not_shown() -> None:
    llm = OpenAICompatible("m", f"http://user:{KEY}@127.0.0.1:1/v1?key={KEY}", retry=QUICK)
    with pytest.raises(ModelError) as caught:
        sync(llm)
    assert KEY not in repr(llm) + str(caught.value)


# ---- the rest ------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "file:///etc/passwd"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    if not url:
        assert OpenAICompatible("m", url).base_url == "https://api.openai.com/v1"
        return
    with pytest.raises(UsageError, match="begins with http"):
        OpenAICompatible("m", url)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_can_call() -> None:
    with ModelServer("fine") as server:
        llm = client(server)
        sync(llm)
        child = os.fork()
        if not child:
            os._exit(0 if sync(copy.deepcopy(llm)).text == "fine" else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_an_abandoned_client_closes_its_connections() -> None:
    with ModelServer("fine") as server:
        sync(client(server))
        wait_until(lambda: server.open_connections == 0)


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with ModelServer([Fault(500), "fine"]) as server:
        sync(client(server))
    captured = capsys.readouterr()
    assert io.StringIO(captured.out + captured.err).read() == ""
