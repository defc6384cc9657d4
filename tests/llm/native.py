"""What the clients of Anthropic's and Google's protocols are tested with, alike."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from opto.errors import (
    AuthenticationFailed,
    BadRequest,
    BadResponse,
    Disconnected,
    ModelError,
    OversizedResponse,
    RateLimited,
    ServerError,
)
from opto.llm import Completion, RetryPolicy
from opto.llm.http_model import HttpModel
from opto.testing import Fault, ModelServer

KEY = "sk-ant-canary-5f3a9c-planted"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
QUICK = RetryPolicy(max_attempts=3, base_delay=0.01, max_delay=5.0)

Asked = Callable[[HttpModel], Completion]
Failure = type[ModelError]


def sync(llm: HttpModel, **options: Any) -> Completion:
    return llm(messages=MESSAGES, **options)


def asynchronous(llm: HttpModel, **options: Any) -> Completion:
    return asyncio.run(llm.acall(messages=MESSAGES, **options))


both = pytest.mark.parametrize("ask", [sync, asynchronous])


@dataclass(frozen=True)
class Row:
    """A fault, what must come of it, and with how many requests."""

    script: Sequence[Any] | Fault
    expected: Failure | str
    requests: int


def common_rows(
    good: dict[str, Any], error: Callable[[str, str], dict[str, Any]]
) -> dict[str, Row]:
    """The faults that have nothing to do with the protocol.

    Args:
        good: a reply that says "fine".
        error: makes the body of a refusal of a kind, with a text.
    """
    return {
        "429 once": Row([Fault(429), good], "fine", 2),
        "429 for ever": Row(Fault(429, body=error("rate", "slow down")), RateLimited, 3),
        "429 with a long wait": Row(Fault(429, {"retry-after": "3600"}), RateLimited, 1),
        "500 once": Row([Fault(500, body=error("api", "sorry")), good], "fine", 2),
        "529 once": Row([Fault(529, body=error("overloaded", "Overloaded")), good], "fine", 2),
        "529 for ever": Row(Fault(529, body=error("overloaded", "Overloaded")), ServerError, 3),
        "reset once": Row([Fault(reset="before"), good], "fine", 2),
        "cut off once": Row([Fault(half=True, body=good), good], "fine", 2),
        "resets for ever": Row(Fault(reset="during"), Disconnected, 3),
        "401 that echoes the key": Row(
            Fault(401, body=error("authentication", f"bad {KEY}")), AuthenticationFailed, 1
        ),
        "404": Row(Fault(404, body=error("not_found", "no such model")), BadRequest, 1),
        "HTML": Row(Fault(body="<html>"), BadResponse, 3),
        "empty": Row(Fault(body=b""), BadResponse, 3),
        "an error with status 200": Row(Fault(body=error("api", "no")), BadResponse, 3),
        "an empty object": Row(Fault(body={}), BadResponse, 3),
        "an array": Row(Fault(body=[1]), BadResponse, 3),
        "too long a reply": Row(Fault(size=20_000_000), OversizedResponse, 1),
    }


def check_fault(
    row: Row,
    make: Callable[[ModelServer], HttpModel],
    ask: Asked,
    header: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One row, with the key in `header` and nowhere else."""
    caplog.set_level(logging.DEBUG)
    script = row.script if isinstance(row.script, Fault) else list(row.script)
    with ModelServer(script) as server:
        llm = make(server)
        if isinstance(row.expected, str):
            assert ask(llm).text == row.expected
        else:
            with pytest.raises(row.expected) as caught:
                ask(llm)
            assert type(caught.value) is row.expected
            assert caught.value.attempts == row.requests
            assert (caught.value.provider, caught.value.model) == ("127.0.0.1", "m")
            left = [str(caught.value), repr(vars(caught.value)), repr(llm), repr(vars(llm))]
            assert KEY not in "".join(left)
            assert KEY.encode() not in pickle.dumps(caught.value)
            assert caught.value.__context__ is None
        assert KEY.encode() not in pickle.dumps(llm)
        assert len(server.requests) == row.requests
        assert server.requests[0].headers[header] == KEY
        llm.close()
    assert KEY not in caplog.text
