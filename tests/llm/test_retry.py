from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import (
    AuthenticationFailed,
    BadRequest,
    BadResponse,
    BudgetExceeded,
    ContentFiltered,
    ContextTooLong,
    Disconnected,
    ModelError,
    NoModel,
    OversizedResponse,
    QuotaExceeded,
    RateLimited,
    ServerError,
    Timeout,
    WeightsError,
)
from opto.llm import Abilities, Retrying, RetryPolicy
from opto.llm.retry import is_transient
from opto.testing import ScriptedModel

MESSAGES = [{"role": "user", "content": "hi"}]
QUICK = RetryPolicy(max_attempts=3, base_delay=0.001)


@pytest.mark.parametrize("kind", [RateLimited, ServerError, Disconnected, BadResponse])
def test_what_may_pass_is_transient(kind: type[ModelError]) -> None:
    assert is_transient(kind("x"))


LASTING = (
    AuthenticationFailed,
    BadRequest,
    BudgetExceeded,
    ContentFiltered,
    ContextTooLong,
    NoModel,
    OversizedResponse,
    QuotaExceeded,
    Timeout,
    WeightsError,
)


@pytest.mark.parametrize("kind", LASTING)
def test_what_will_not_pass_is_never_tried_again(kind: type[ModelError]) -> None:
    assert not is_transient(kind("x"))
    assert RetryPolicy().delay(kind("x"), 1, 100.0) is None


@given(st.integers(1, 20), st.floats(0.0, 1000.0), st.floats(0.0, 100.0) | st.none())
def test_a_wait_is_neither_too_short_nor_too_long(
    attempt: int, remaining: float, advised: float | None
) -> None:
    policy = RetryPolicy()
    wait = policy.delay(RateLimited("x", retry_after=advised), attempt, remaining)
    if attempt >= policy.max_attempts or (advised or 0.0) > policy.max_delay:
        assert wait is None
    if wait is not None:
        assert (advised or 0.0) <= wait < remaining


def test_waits_grow() -> None:
    policy = RetryPolicy(max_attempts=10, base_delay=1.0, max_delay=8.0)
    waits = [policy.delay(ServerError("x"), attempt, 1e9) or 0.0 for attempt in (1, 2, 3, 4, 9)]
    for wait, longest in zip(waits, (1, 2, 4, 8, 8), strict=True):
        assert longest / 2 <= wait <= longest


def test_a_users_model_is_asked_again() -> None:
    model = ScriptedModel([ServerError("x"), "fine", Disconnected("x"), "fine"])
    retrying = Retrying(model, QUICK)
    assert retrying(messages=MESSAGES, n=1).text == "fine"
    assert asyncio.run(retrying.acall(messages=MESSAGES)).text == "fine"
    assert len(model.calls) == 4
    assert retrying.abilities == Abilities(json_schema=True)


@pytest.mark.parametrize(("error", "calls"), [(ServerError("x"), 3), (BadRequest("x"), 1)])
def test_the_last_error_is_raised(error: ModelError, calls: int) -> None:
    model = ScriptedModel(always(error))
    with pytest.raises(type(error)) as caught:
        Retrying(model, QUICK)(messages=MESSAGES)
    assert caught.value.attempts == len(model.calls) == calls
    with pytest.raises(type(error)):
        asyncio.run(Retrying(model, QUICK).acall(messages=MESSAGES))


def always(error: ModelError) -> Callable[[object], ModelError]:
    def rule(messages: object) -> ModelError:
        return error

    return rule


def test_the_time_limit_ends_the_attempts() -> None:
    model = ScriptedModel(always(ServerError("x")))
    started = time.monotonic()
    with pytest.raises(ServerError):
        Retrying(model, RetryPolicy(10**6, 0.01), timeout=0.1)(messages=MESSAGES)
    assert time.monotonic() - started < 5
