"""Rows of the table of faults that take more than one request and one outcome to tell.

Each shows, synchronously and asynchronously, what FAULTS.md asks for, and fails if it isn't so.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from opto.errors import (
    AuthenticationFailed,
    ModelError,
    OversizedResponse,
    RateLimited,
    ServerError,
    Timeout,
)
from opto.llm import OpenAICompatible, RetryPolicy, usage
from opto.optimizers import OptoPrime
from opto.testing import Fault, ModelServer, completion_json
from opto.trace import node
from tests.llm.test_limiter import EightASecond, thirty_two_at_once
from tests.llm.test_openai_compatible import KEY, MESSAGES, Asked, asynchronous, client, wait_until

MEGABYTE = 1024 * 1024
OK = 200
Shown = Callable[[Asked], str]


def advised_second(ask: Asked) -> str:
    with ModelServer([Fault(429, {"Retry-After": "1"}), "fine"]) as server:
        assert ask(client(server)).text == "fine"
        first, second = server.requests
    assert second.arrived - first.arrived >= 1.0
    return "answered by the second request, a second or more after the first"


def advised_hour(ask: Asked) -> str:
    fault = Fault(429, {"Retry-After": "3600"})
    with ModelServer(fault) as server, pytest.raises(RateLimited) as caught:
        ask(client(server))
    assert (caught.value.retry_after, len(server.requests)) == (3600.0, 1)
    return "`RateLimited` at once, the advised time on it"


def echoed_key(ask: Asked) -> str:
    fault = Fault(401, body={"error": {"message": f"wrong key {KEY}"}})
    with ModelServer(fault) as server, pytest.raises(AuthenticationFailed) as caught:
        ask(client(server))
    assert len(server.requests) == 1
    assert KEY not in str(caught.value) + repr(vars(caught.value))
    return "`AuthenticationFailed`, 1 request, the key redacted"


def late(fault: Fault) -> Shown:
    def show(ask: Asked) -> str:
        policy = RetryPolicy(max_attempts=50, base_delay=0.01)
        with ModelServer(fault) as server:
            begun = time.monotonic()
            with pytest.raises((Timeout, ServerError)) as caught:
                ask(client(server, timeout=0.6, retry=policy))
            seconds = time.monotonic() - begun
        assert seconds < 5.0  # no multiple of the time that a busy machine takes
        said = "`Timeout`, or the last error," if fault.status > OK else "`Timeout`"
        assert fault.status > OK or isinstance(caught.value, Timeout)
        return f"{said} when the deadline of the whole call is over"

    return show


def nan_in_usage(ask: Asked) -> str:
    body = json.dumps({**completion_json("fine"), "usage": {"prompt_tokens": float("nan")}})
    with ModelServer(Fault(body=body)) as server:
        reply = ask(client(server))
    assert (reply.text, reply.usage.known) == ("fine", False)
    return "answered, usage unknown"


def cut(text: str) -> dict[str, Any]:
    body = completion_json(text)
    body["choices"][0]["finish_reason"] = "length"
    return body


def cut_off(ask: Asked) -> str:
    with ModelServer(Fault(body=cut("some"))) as server:
        reply = ask(client(server))
    assert (reply.text, reply.choices[0].cut, len(server.requests)) == ("some", True, 1)
    return "returned and marked as cut"


PROPOSAL = '{"reasoning": "less", "suggestion": {"%s": 2}}'


def step(*script: Fault | str) -> tuple[Any, OptoPrime, list[Any]]:
    """A step of an optimizer with such a server: the parameter's value, and the requests."""
    x = node(1, name="x", trainable=True)
    value: Any = x
    for _ in range(200):
        value = value + 1
    with ModelServer(
        [said.replace("%s", x.py_name) if isinstance(said, str) else said for said in script]
    ) as server:
        optimizer = OptoPrime([x], llm=client(server))
        optimizer.zero_feedback()
        optimizer.backward(value, "should be 202")
        optimizer.step()
        return x.data, optimizer, [request.body for request in server.requests]


def cut_off_once(_: Asked) -> str:
    value, _optimizer, requests = step(Fault(body=cut(PROPOSAL[:20])), PROPOSAL)
    rooms = [request["max_tokens"] for request in requests]
    assert (value, rooms[1]) == (2, 2 * rooms[0])
    return "asked once more with twice the room; the step is made"


def cut_off_twice(_: Asked) -> str:
    begun = [Fault(body=cut(PROPOSAL[:20])), Fault(body=cut(PROPOSAL[:30]))]
    value, optimizer, requests = step(*begun)
    (refused,) = optimizer.refused
    assert (value, len(requests)) == (1, 2)
    assert "cut off" in refused.reason
    return "2 requests, then `ProposalError`, kept in `refused`; nothing is changed"


def too_long(_: Asked) -> str:
    fault = Fault(400, body={"error": {"code": "context_length_exceeded", "message": "long"}})
    value, _optimizer, requests = step(fault, PROPOSAL)
    first, second = (len(json.dumps(request["messages"])) for request in requests)
    assert value == 2
    assert second < 0.9 * first
    return "the problem is folded further and asked once more; the step is made"


def long_reply(ask: Asked) -> str:
    with ModelServer(Fault(size=120_000_000)) as server:
        llm = client(server)
        tracemalloc.start()
        with pytest.raises(OversizedResponse):
            ask(llm)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 32 * MEGABYTE
    return "`OversizedResponse`, at most 32 MB of memory"


def storm(ask: Asked) -> str:
    rule = EightASecond()
    with ModelServer(rule) as server:
        llm = OpenAICompatible("m", server.url, max_attempts=8)
        if ask is asynchronous:
            texts = asyncio.run(thirty_two_at_once(llm, 40))
        else:
            with ThreadPoolExecutor(32) as pool:
                texts = list(pool.map(lambda _: ask(llm).text, range(40)))
        llm.close()
    assert texts == ["ok"] * 40
    assert rule.refused < 32
    return "all of 40 calls answered, fewer refusals than callers"


SLOW = Fault(events=[b" "], endless=True, drip=0.01)


def interrupted(ask: Asked) -> str:
    """A true Ctrl-C in the thread that waits."""
    with ModelServer(SLOW) as server, usage() as spent:
        llm = client(server, timeout=600)

        def press() -> None:
            wait_until(lambda: bool(server.requests))
            os.kill(os.getpid(), signal.SIGINT)

        # A job that a shell started in the background ignores the signal, as its children do.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            threading.Thread(target=press).start()
            with pytest.raises(KeyboardInterrupt):
                ask(llm)
        finally:
            signal.signal(signal.SIGINT, handler)
        gone(server)
        wait_until(lambda: spent.calls == 1)
    assert spent.total.failures == 1
    return "the request is ended, its connection closed, the call counted once"


def cancelled(ask: Asked) -> str:
    if ask is not asynchronous:
        return "–"

    async def cancel(llm: OpenAICompatible, server: ModelServer) -> None:
        task = asyncio.create_task(llm.acall(messages=MESSAGES))
        await asyncio.to_thread(wait_until, lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ModelServer(SLOW) as server, usage() as spent:
        asyncio.run(cancel(client(server, timeout=600), server))
        gone(server)
    assert (spent.calls, spent.total.failures) == (1, 1)
    return "the request is ended, its connection closed, the call counted once"


def gone(server: ModelServer) -> None:
    wait_until(lambda: server.in_flight == 0)
    wait_until(lambda: server.open_connections == 0)


SHOWN: dict[str, Shown] = {
    "429 with `Retry-After: 1`, then fine": advised_second,
    "429 with `Retry-After: 3600`": advised_hour,
    "401 whose body echoes the key": echoed_key,
    "no answer": late(Fault(delay=60.0)),
    "an answer that drips": late(Fault(drip=0.05)),
    "503 for ever, slowly, 50 attempts allowed": late(Fault(503, delay=0.25)),
    "`finish_reason` length": cut_off,
    "`finish_reason` length, to an optimizer": cut_off_once,
    "`finish_reason` length twice, to an optimizer": cut_off_twice,
    "400 context length, to an optimizer": too_long,
    "NaN in usage": nan_in_usage,
    "120 MB, and memory": long_reply,
    "32 callers, 8 requests a second allowed": storm,
    "cancelled task": cancelled,
    "Ctrl-C": interrupted,
}
OPTIMIZERS = frozenset({cut_off_once, cut_off_twice, too_long})
"""Steps of optimizers are synchronous."""


def shown(show: Shown, ask: Asked) -> str:
    """What a row shows; "as sync" where there is nothing else."""
    return "as sync" if show in OPTIMIZERS and ask is asynchronous else show(ask)


def failure(call: Callable[[], object]) -> str:
    """The type of the error that a call ends in."""
    try:
        call()
    except ModelError as error:
        return f"`{type(error).__name__}`"
    return "answered"
