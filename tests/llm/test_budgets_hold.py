"""Limits that hold whatever a service counts, under threads and tasks, retries and lost answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opto.errors import BudgetExceeded, Disconnected, ModelError, RateLimited, Timeout
from opto.llm import (
    Abilities,
    Budget,
    ChatMessage,
    Completion,
    OpenAICompatible,
    Price,
    RetryPolicy,
    Usage,
    text_completion,
    usage,
)
from opto.llm.backend import Backend
from opto.llm.tokens import most_prompt_tokens
from opto.testing import Fault, ModelServer, Request, completion_json

PRICES = {"meter": Price(3.0, 15.0), "m": Price(3.0, 15.0)}


def charged(
    messages: Sequence[ChatMessage], options: dict[str, Any], chance: random.Random
) -> Usage:
    """What a service may count: up to a token a byte, and the whole room of the answer."""
    prompt = most_prompt_tokens(messages, options)
    prompt = chance.choice([prompt, prompt, chance.randint(1, prompt)])
    room = options["max_tokens"] * (options.get("n") or 1)
    answer = chance.choice([room, room, chance.randint(0, room)])
    return Usage(prompt, answer, prompt + answer)


class Meter(Backend):
    """A service that counts as much as it can, and often doesn't say."""

    provider, model_name = "meter", "meter"
    _timed = False

    def __init__(self, seed: int) -> None:
        self.charged = Usage()
        self._chance, self._lock = random.Random(seed), threading.Lock()

    @property
    def abilities(self) -> Abilities:
        return Abilities()

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        with self._lock:
            if self._chance.random() < 0.1:
                error = RateLimited("not charged")
                raise error
            spent = charged(messages, options, self._chance)
            self.charged += spent
            outcome = self._chance.random()
        if outcome < 0.1:
            message = "charged, and lost"
            raise self._chance.choice([Timeout(message), Disconnected(message)])
        return text_completion("x", usage=Usage(known=False) if outcome < 0.2 else spent)

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        await asyncio.sleep(0)
        return self._answer(messages, options)

    @property
    def cost(self) -> float:
        return PRICES["meter"].cost(self.charged)


CALLS = st.lists(
    st.tuples(
        st.text(max_size=40),
        st.fixed_dictionaries(
            {}, optional={"max_tokens": st.integers(1, 300), "n": st.integers(1, 3)}
        ),
    ),
    min_size=1,
    max_size=25,
)
BUDGETS = st.builds(Budget, tokens=st.integers(0, 4000)) | st.builds(
    Budget, cost=st.floats(0, 0.05)
)


@settings(max_examples=60)
@given(CALLS, BUDGETS, st.integers(0, 2**32), st.booleans())
def test_no_limit_is_crossed_whatever_is_charged(
    calls: list[tuple[str, dict[str, Any]]], budget: Budget, seed: int, threads: bool
) -> None:
    meter = Meter(seed)

    def one(call: tuple[str, dict[str, Any]]) -> None:
        with contextlib.suppress(ModelError):
            meter(messages=[{"role": "user", "content": call[0]}], **call[1])

    async def together() -> None:
        asked = (meter.acall([{"role": "user", "content": text}], **more) for text, more in calls)
        await asyncio.gather(*asked, return_exceptions=True)

    with usage(budget, prices=PRICES):
        if threads:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(one, calls))
        else:
            asyncio.run(together())
    if budget.tokens is not None:
        assert meter.charged.total_tokens <= budget.tokens
    if budget.cost is not None:
        assert meter.cost <= budget.cost + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_attempts_that_may_be_charged_count(seed: int) -> None:
    """Over HTTP: a service that charges before it loses the connection, and clients that retry."""
    chance, lock, total = random.Random(seed), threading.Lock(), 0

    def rule(request: Request) -> Fault:
        nonlocal total
        with lock:
            options = {name: request.body[name] for name in ("max_tokens",)}
            spent = charged(request.body["messages"], options, chance)
            total += spent.total_tokens
            fate = chance.random()
        body = completion_json("ok", "m")
        body["usage"] = {"prompt_tokens": spent.prompt_tokens}
        body["usage"] |= {"completion_tokens": spent.completion_tokens}
        body["usage"] |= {"total_tokens": spent.total_tokens}
        if fate < 0.3:
            return Fault(reset="during", body=body)
        if fate < 0.4:
            return Fault(body=json.dumps(body)[:40])
        return Fault(body=body)

    with ModelServer(rule) as server:
        policy = RetryPolicy(max_attempts=5, base_delay=0.001)
        llm = OpenAICompatible("m", server.url, retry=policy)

        def one(number: int) -> bool:
            try:
                llm(messages=[{"role": "user", "content": "x" * number}], max_tokens=100)
            except ModelError as error:
                return isinstance(error, BudgetExceeded)
            return False

        with usage(Budget(tokens=6000)), ThreadPoolExecutor(12) as pool:
            refused = list(pool.map(one, range(60)))
        llm.close()
    assert total <= 6000
    assert any(refused)


def test_what_was_lost_stays_booked() -> None:
    with ModelServer([Fault(reset="during"), "ok"]) as server, usage(Budget(tokens=330)) as spent:
        llm = OpenAICompatible("m", server.url, max_attempts=1)
        with pytest.raises(Disconnected):
            llm(messages=[], max_tokens=100)
        with pytest.raises(BudgetExceeded, match="180 are set aside"):
            llm(messages=[], max_tokens=100)
    assert (spent.calls, spent.usage.total_tokens, spent.usage.known) == (1, 0, False)


def test_a_refusal_is_not_booked() -> None:
    with ModelServer([Fault(401), "ok"]) as server, usage(Budget(tokens=200)) as spent:
        llm = OpenAICompatible("m", server.url)
        with pytest.raises(ModelError):
            llm(messages=[], max_tokens=100)
        assert llm(messages=[], max_tokens=100).text == "ok"
    assert spent.usage.total_tokens == 8


@pytest.mark.parametrize(
    ("content", "most"),
    [
        ("", 0),
        ("abcd", 4),
        ("ü", 2),
        (None, 0),
        ([{"type": "text", "text": "ab"}], 30),
        ([{"type": "image_url", "image_url": {"url": "data:" + "x" * 10**6}}], 40_000),
    ],
)
def test_the_most_that_a_prompt_can_be(content: Any, most: int) -> None:
    message = {"role": "user", "content": content}
    assert most_prompt_tokens([message], {}) == 80 + 16 + len('{"role": "user"}') + most
    tools = {"tools": [{"type": "function"}]}
    assert most_prompt_tokens([], tools) == 80 + 1024 + 2 * len('[{"type": "function"}]')
