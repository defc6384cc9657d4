from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from opto.errors import BudgetExceeded, InvalidArgument, ServerError
from opto.llm import (
    LLM,
    Budget,
    Budgeted,
    CallRecord,
    OpenAICompatible,
    Price,
    Tally,
    Usage,
    forecast,
    tagged,
    usage,
)
from opto.llm.prices import Prices
from opto.llm.tally import Booking
from opto.llm.tokens import answer_tokens, prompt_tokens
from opto.testing import Fault, ModelServer, ScriptedModel, completion_json

MESSAGES = [{"role": "user", "content": "12345678"}]
PRICE = {"m": Price(1.0, 2.0, 0.5)}


def test_all_models_called_inside_are_counted_by_role() -> None:
    task, judge = ScriptedModel("abcd"), LLM(lambda messages: "fine")
    with usage() as spent:
        with tagged(role="task", step=1):
            task(messages=MESSAGES)
        with tagged(role="judge"):
            asyncio.run(judge.acall(messages=MESSAGES))
        with tagged(role="task", step=2):
            task(messages=MESSAGES)
    task(messages=MESSAGES)
    assert spent.calls == 3
    assert spent.usage == Usage(4, 2, 6, known=False)  # the judge's function didn't say
    assert spent.by["role", "task"].usage == Usage(4, 2, 6)
    assert spent.by["step", 2].calls == spent.by["role", "judge"].calls == 1
    assert spent.by["model", "scripted"].calls == 2


def test_failures_are_counted() -> None:
    records: list[CallRecord] = []
    with usage(on_call=records.append) as spent, pytest.raises(ServerError):
        ScriptedModel([ServerError("x")])(messages=MESSAGES)
    assert (spent.calls, spent.total.failures, spent.usage.known) == (1, 1, False)
    assert (records[0].error, records[0].model) == ("ServerError", "scripted")


def test_threads_started_inside_count_and_older_ones_do_not() -> None:
    model = ScriptedModel("abcd")
    go, done = threading.Event(), threading.Event()

    def outsider() -> None:
        go.wait(10)
        model(messages=MESSAGES)
        done.set()

    threading.Thread(target=outsider).start()
    with usage() as spent:
        go.set()
        done.wait(10)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: model(messages=MESSAGES), range(100)))
    assert (spent.calls, spent.usage) == (100, Usage(200, 100, 300))


def test_tallies_nest() -> None:
    with usage() as outer:
        ScriptedModel("a")(messages=MESSAGES)
        with usage() as inner:
            ScriptedModel("a")(messages=MESSAGES)
    assert (outer.calls, inner.calls) == (2, 1)
    assert "calls=2" in repr(outer)


# ---- budgets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["threads", "asyncio"])
@pytest.mark.parametrize(
    ("budget", "most"),
    # The call takes 100 tokens, but might take 208: 120 for the prompt and 88 for the answer.
    [(Budget(calls=17), 17), (Budget(tokens=1700), 15), (Budget(cost=0.0017), 15)],
    ids=["calls", "tokens", "cost"],
)
def test_a_budget_is_never_crossed(budget: Budget, most: int, how: str) -> None:
    reply = completion_json("ok", "m")
    reply["usage"] = {"prompt_tokens": 12, "completion_tokens": 88, "total_tokens": 100}
    prices = {"m": Price(1.0, 1.0)}
    with ModelServer(Fault(body=reply, delay=0.005)) as server:
        llm = OpenAICompatible("m", server.url)

        def one(_: int) -> bool:
            try:
                llm(messages=MESSAGES, max_tokens=88)
            except BudgetExceeded:
                return False
            return True

        async def aone() -> bool:
            try:
                await llm.acall(messages=MESSAGES, max_tokens=88)
            except BudgetExceeded:
                return False
            return True

        async def together() -> list[bool]:
            return await asyncio.gather(*(aone() for _ in range(60)))

        with usage(budget, prices=prices) as spent:
            if how == "threads":
                with ThreadPoolExecutor(16) as pool:
                    answered = list(pool.map(one, range(60)))
            else:
                answered = asyncio.run(together())
        llm.close()
        assert sum(answered) == most == len(server.requests) == spent.calls
    assert spent.usage.total_tokens == 100 * most
    assert spent.cost == pytest.approx(0.0001 * most)


def test_a_service_that_counts_more_than_it_can_is_learned_from() -> None:
    reply = completion_json("ok", "m")
    reply["usage"] = {"prompt_tokens": 360, "completion_tokens": 40, "total_tokens": 400}
    with ModelServer(reply) as server, usage(Budget(tokens=2000)) as spent:
        llm = OpenAICompatible("m", server.url)
        for _ in range(5):
            llm(messages=MESSAGES, max_tokens=40)
        with pytest.raises(BudgetExceeded, match="may take 400"):
            llm(messages=MESSAGES, max_tokens=40)
        llm.close()
    assert spent.usage.total_tokens == 2000


def test_an_answer_is_limited_to_what_is_left() -> None:
    model = ScriptedModel("abcd")
    with usage(Budget(tokens=220)):
        model(messages=MESSAGES)
        model(messages=MESSAGES, max_tokens=7)
        model(messages=MESSAGES, n=2)
    asked = [call.options.get("max_tokens") for call in model.calls]
    assert asked == [100, 7, (220 - 6 - 120) // 2]


def test_the_models_own_options_count() -> None:
    with ModelServer("ok") as server, usage(Budget(tokens=2000)):
        llm = OpenAICompatible("m", server.url, max_tokens=300, n=2)
        llm(messages=MESSAGES)
        assert server.requests[0].body["max_tokens"] == 300
        with pytest.raises(BudgetExceeded, match="may take 2120"):
            llm(messages=MESSAGES, max_tokens=1000)


def test_a_function_that_takes_no_max_tokens_is_not_told_them() -> None:
    with usage(Budget(tokens=5000)) as spent:
        LLM(lambda messages: "fine")(messages=MESSAGES)
    assert spent.calls == 1


def test_time_is_limited() -> None:
    with ModelServer(Fault(delay=30.0)) as server:
        llm = OpenAICompatible("m", server.url)
        started = time.monotonic()
        with usage(Budget(seconds=0.3)):
            with pytest.raises(TimeoutError):
                llm(messages=MESSAGES)
            with pytest.raises(BudgetExceeded, match=r"0\.3 s"):
                llm(messages=MESSAGES)
        assert time.monotonic() - started < 10
        assert len(server.requests) == 1


def test_a_cost_needs_a_price() -> None:
    llm = LLM(lambda messages: "x")
    with usage(Budget(cost=1.0)), pytest.raises(BudgetExceeded, match="no price is known"):
        llm(messages=MESSAGES)


def test_models_share_a_budget() -> None:
    tally = Tally(Budget(calls=3))
    one, two = (
        Budgeted(ScriptedModel("a"), tally),
        Budgeted(Budgeted(ScriptedModel("b"), tally), tally),
    )
    one(messages=MESSAGES)
    asyncio.run(two.acall(messages=MESSAGES))
    two(messages=MESSAGES)
    with pytest.raises(BudgetExceeded, match="3 calls; 3 were made") as caught:
        one(messages=MESSAGES)
    assert caught.value.model == "scripted"
    assert tally.calls == 3


def test_nothing_stays_booked_when_one_of_several_budgets_is_full() -> None:
    with usage(Budget(calls=5)) as outer:
        with usage(Budget(calls=0)), pytest.raises(BudgetExceeded):
            ScriptedModel("a")(messages=MESSAGES)
        for _ in range(5):
            ScriptedModel("a")(messages=MESSAGES)
    assert outer.calls == 5


def test_what_is_booked_by_others_is_waited_for() -> None:
    tally = Tally(Budget(tokens=10))
    assert tally.book(Booking(8))
    assert not tally.book(Booking(8))
    tally.release(Booking(8))
    assert tally.book(Booking(8))
    with pytest.raises(BudgetExceeded):
        tally.book(Booking(11))


@pytest.mark.parametrize("name", ["calls", "tokens", "cost", "seconds"])
def test_a_budget_below_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match=name):
        Budget(**{name: -1})


# ---- prices and tokens ---------------------------------------------------------------------------


def test_prices() -> None:
    prices = Prices(PRICE)
    used = Usage(1_000_000, 500_000, 1_500_000, cached_tokens=400_000)
    assert prices.cost("m", "", used) == pytest.approx(0.6 + 0.2 + 1.0)
    assert prices.cost("m", "", Usage(1, 1, 2, cost=0.25)) == 0.25
    for name in ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"):
        assert prices.of(name) == Price(0.15, 0.6, 0.075)
    assert prices.of("gpt-4o-2024-05-13") == Price(5.0, 15.0)
    assert prices.of("unheard-of") is None
    assert prices.of("1.5b", "local") == Price(0.0, 0.0)


def test_the_cost_that_a_provider_states_counts() -> None:
    reply = completion_json("ok", "m")
    reply["usage"] |= {"cost": 0.125, "prompt_tokens_details": {"cached_tokens": 3}}
    with ModelServer(reply) as server, usage() as spent:
        OpenAICompatible("m", server.url)(messages=MESSAGES)
    assert (spent.cost, spent.usage.cached_tokens, spent.total.unpriced) == (0.125, 3, 0)


def test_a_forecast() -> None:
    told = forecast("gpt-4o", calls=10, prompt_tokens=1000, answer_tokens=100)
    assert (told.calls, told.tokens, told.cost) == (10, 11_000, 0.035)
    assert forecast("x", calls=1, prompt_tokens=1, answer_tokens=1).cost is None


@pytest.mark.parametrize(
    ("content", "tokens"),
    [("", 8), ("abcd", 10), (None, 8), ([{"type": "text", "text": "ab"}, {"image_url": {}}], 1609)],
)
def test_prompts_are_measured(content: Any, tokens: int) -> None:
    messages: Sequence[dict[str, Any]] = [{"role": "user", "content": content}]
    assert prompt_tokens(messages) == tokens
    assert prompt_tokens(messages, {"tools": "12"}) == tokens + 1
    assert answer_tokens({"max_tokens": 5, "n": 2}) == 10
    assert answer_tokens({"max_completion_tokens": 5}) == 5
    assert answer_tokens({}) is None
