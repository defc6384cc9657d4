from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from opto.errors import RateLimited
from opto.llm import Limited, OpenAICompatible, Rate, RateLimiter
from opto.llm.limiter import SharedLimiters, Turn
from opto.llm.steps import arun, run
from opto.testing import Fault, ModelServer, Request, ScriptedModel, completion_json

MESSAGES = [{"role": "user", "content": "hi"}]


class EightASecond:
    """The rule of a server that refuses the ninth request of any second."""

    def __init__(self, **headers: str) -> None:
        self.refused, self.headers = 0, headers
        self._starts: deque[float] = deque()
        self._lock = threading.Lock()

    def __call__(self, _: Request) -> Fault:
        now = time.monotonic()
        with self._lock:
            while self._starts and self._starts[0] <= now - 1.0:
                self._starts.popleft()
            if len(self._starts) < 8:
                self._starts.append(now)
                return Fault(body=completion_json("ok"))
            self.refused += 1
            return Fault(429, self.headers)


async def thirty_two_at_once(llm: OpenAICompatible, calls: int) -> list[str]:
    turns = asyncio.Semaphore(32)

    async def one() -> str:
        async with turns:
            return (await llm.acall(messages=MESSAGES)).text

    return await asyncio.gather(*(one() for _ in range(calls)))


@pytest.mark.parametrize("advice", [{}, {"Retry-After": "1"}], ids=["silent", "advised"])
@pytest.mark.parametrize("how", ["threads", "asyncio"])
def test_thirty_two_threads_share_eight_requests_a_second(how: str, advice: dict[str, str]) -> None:
    """Each for itself, they are refused 80 times with the advice and 184 times without it.

    How few refusals a limit is learned from is shown in test_rate.py, by a clock of its own: here
    a busy machine delays requests, and real seconds then count more of them.
    """
    rule = EightASecond(**advice)
    with ModelServer(rule) as server:
        llm = OpenAICompatible("m", server.url, max_attempts=8)
        if how == "threads":
            with ThreadPoolExecutor(32) as pool:
                texts = list(pool.map(lambda _: llm(messages=MESSAGES).text, range(40)))
        else:
            texts = asyncio.run(thirty_two_at_once(llm, 40))
        llm.close()
    assert texts == ["ok"] * 40
    assert rule.refused < 60


def test_what_a_provider_tells_of_its_limit_is_kept_to() -> None:
    """A window of ten requests in 0.5 s, told with each answer, is never overrun."""
    refused = 0
    window, count = 0.0, 0
    lock = threading.Lock()

    def rule(_: Request) -> Fault:
        nonlocal refused, window, count
        with lock:
            now = time.monotonic()
            if now >= window + 0.5:
                window, count = now, 0
            count += 1
            refused += count > 10
            told = {
                "x-ratelimit-remaining": str(max(0, 10 - count)),
                "x-ratelimit-reset": f"{window + 0.5 - now:.3f}",
            }
            return Fault(429 if count > 10 else 200, told, completion_json("ok"))

    with ModelServer(rule) as server:
        llm = OpenAICompatible("m", server.url)
        for _ in range(35):
            assert llm(messages=MESSAGES).text == "ok"
        llm.close()
    assert refused == 0


def test_no_more_are_in_flight_than_allowed() -> None:
    with ModelServer(Fault(delay=0.02)) as server:
        llm = OpenAICompatible("m", server.url, rate=Rate(in_flight=3))

        async def together() -> None:
            await asyncio.gather(*(llm.acall(messages=MESSAGES) for _ in range(15)))

        asyncio.run(together())
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda _: llm(messages=MESSAGES), range(15)))
        assert server.most_in_flight == 3
        assert len(server.requests) == 30
        llm.close()


def test_a_turn_that_comes_too_late_is_an_error_at_once() -> None:
    model = ScriptedModel("fine")
    llm = Limited(model, Rate(requests_per_minute=1), timeout=5.0)
    llm(messages=MESSAGES)
    with pytest.raises(RateLimited, match="own limits") as caught:
        llm(messages=MESSAGES)
    assert 50 < (caught.value.retry_after or 0) <= 60
    assert len(model.calls) == 1


def test_tokens_are_corrected_when_the_reply_is_there() -> None:
    llm = Limited(ScriptedModel("abcd"), Rate(tokens_per_minute=2000), timeout=1.0)
    for _ in range(20):  # each is taken for a thousand tokens before, and has two
        llm(messages=MESSAGES)
    with pytest.raises(RateLimited):
        llm(messages=MESSAGES, max_tokens=5000)


def test_threads_and_tasks_go_in_turn_and_cancelled_ones_leave_the_queue() -> None:
    limiter = RateLimiter(Rate(in_flight=1))
    turn = run(limiter.admit(0, time.monotonic() + 10))

    async def waiting() -> None:
        first = asyncio.create_task(arun(limiter.admit(0, time.monotonic() + 10)))
        second = asyncio.create_task(arun(limiter.admit(0, time.monotonic() + 10)))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        limiter.leave(turn, None)
        held.append(await second)

    held: list[Turn] = []
    asyncio.run(waiting())
    with pytest.raises(RateLimited):
        run(limiter.admit(0, time.monotonic() - 1))


def test_equal_clients_share_what_they_learn() -> None:
    first = OpenAICompatible("m", "http://127.0.0.1:1", api_key="sk-one")
    same = OpenAICompatible("m", "http://127.0.0.1:1", api_key="sk-one")
    other = OpenAICompatible("m", "http://127.0.0.1:1", api_key="sk-two")
    assert first.limiter is same.limiter
    assert first.limiter is not other.limiter
    limiters = SharedLimiters()
    limiters.of("x")
    gc.collect()
    assert not limiters._known


def test_a_limiter_is_shared_by_copies_and_lost_by_pickles() -> None:
    limiter = RateLimiter(Rate(in_flight=2))
    assert copy.deepcopy(limiter) is limiter
    assert pickle.loads(pickle.dumps(limiter)).rate == limiter.rate
    assert "in_flight=2" in repr(limiter)
    llm = pickle.loads(pickle.dumps(Limited(ScriptedModel("x"), limiter)))
    assert llm(messages=MESSAGES).text == "x"
