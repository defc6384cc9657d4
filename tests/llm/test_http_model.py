"""Options that a model refuses by name; the rest is in test_openai_compatible."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from opto.errors import BadRequest
from opto.llm import OpenAICompatible, RetryPolicy
from opto.testing import Fault, ModelServer

MESSAGES = [{"role": "user", "content": "hi"}]
QUICK = RetryPolicy(max_attempts=3, base_delay=0.01)


def refusing(*words: str, say: str = "Unsupported parameter: '{}' isn't supported here.") -> Any:
    def answer(request: Any) -> Any:
        for word in words:
            if word in request.body:
                return Fault(400, body={"error": {"message": say.format(word)}})
        return "fine"

    return answer


def test_what_is_refused_is_left_out_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "opto.llm")
    with ModelServer(refusing("temperature", "seed")) as server:
        llm = OpenAICompatible("m", server.url, retry=QUICK, temperature=0.5)
        assert llm(messages=MESSAGES, seed=3, stop="x").text == "fine"
        assert llm(messages=MESSAGES, seed=3).text == "fine"
        asked = [
            sorted(request.body.keys() & {"temperature", "seed", "stop"})
            for request in server.requests
        ]
    assert asked == [["seed", "stop", "temperature"], ["seed", "stop"], ["stop"], []]
    assert [record.getMessage().partition("refuses")[2] for record in caplog.records] == [
        " temperature; it is asked without",
        " seed; it is asked without",
    ]


def test_a_limit_is_asked_for_by_its_newer_name() -> None:
    with ModelServer(refusing("max_tokens")) as server:
        llm = OpenAICompatible("m", server.url, retry=QUICK)
        for _ in range(2):
            assert llm(messages=MESSAGES, max_tokens=5).text == "fine"
        assert [request.body.get("max_completion_tokens") for request in server.requests] == [
            None,
            5,
            5,
        ]


@pytest.mark.parametrize(
    ("say", "options", "attempts"),
    [
        ("{} must be below 2", {"temperature": 3}, 1),
        ("Unsupported: {}", {"response_format": {"type": "json_object"}}, 1),
        ("Unsupported: temperature", {"tools": []}, 1),
    ],
)
def test_what_cant_be_left_out_is_an_error(
    say: str, options: dict[str, Any], attempts: int
) -> None:
    (name,) = options
    with ModelServer(refusing(name, say=say)) as server:
        with pytest.raises(BadRequest):
            OpenAICompatible("m", server.url, retry=QUICK)(messages=MESSAGES, **options)
        assert len(server.requests) == attempts


def test_no_more_requests_than_were_allowed() -> None:
    with ModelServer(refusing("temperature")) as server, pytest.raises(BadRequest):
        OpenAICompatible("m", server.url, max_attempts=1)(messages=MESSAGES, temperature=1)
