from __future__ import annotations

import time

import pytest

from opto.errors import BadRequest, RateLimited, ServerError
from opto.utils.auto_retry import retry_with_exponential_backoff


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


class Failing:
    """Raises its errors one after the other, then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


class WithStatus(Exception):
    status_code = 503


class RateLimitError(Exception):
    """By name only, as other libraries have it."""


PASSING = [
    *(ServerError("x"), RateLimited("x"), TimeoutError(), ConnectionResetError(), WithStatus()),
    *(RateLimitError(), RuntimeError("Service temporarily unavailable"), OSError("timed out")),
]
LASTING = [BadRequest("timeout must be a number"), ValueError("no"), KeyError("rate"), TypeError()]


@pytest.mark.parametrize("error", PASSING)
def test_what_may_pass_is_tried_again(error: Exception, waits: list[float]) -> None:
    assert retry_with_exponential_backoff(Failing(error)) == "done"
    assert len(waits) == 1


@pytest.mark.parametrize("error", LASTING)
def test_what_will_not_pass_is_raised_at_once(error: Exception, waits: list[float]) -> None:
    with pytest.raises(type(error)) as caught:
        retry_with_exponential_backoff(Failing(error))
    assert caught.value is error
    assert waits == []


def test_waits_grow(waits: list[float]) -> None:
    errors = [ServerError("x") for _ in range(3)]
    retry_with_exponential_backoff(Failing(*errors), base_delay=0.5)
    assert waits == pytest.approx([0.5, 1.1, 2.2])


def test_waits_for_a_rate_limit_are_longer(waits: list[float]) -> None:
    errors = [RateLimited("x") for _ in range(3)]
    retry_with_exponential_backoff(Failing(*errors), base_delay=0.5)
    assert waits == [2.0, 9.0, 20.0]


def test_the_last_failure_is_told(waits: list[float]) -> None:
    function = Failing(*[ServerError("down") for _ in range(5)])
    with pytest.raises(RuntimeError, match=r"^ask: Failed after 3 attempts\. Error: down$"):
        retry_with_exponential_backoff(function, max_retries=3, operation_name="ask")
    assert function.calls == 3


def test_no_attempt_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        retry_with_exponential_backoff(Failing(), max_retries=0)
