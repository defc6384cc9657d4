from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.llm.told import Allowance, allowance

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("1h2m3.5s", 3723.5),
        ("0.25", 0.25),
        ("1800000030", 30.0),
        ("1800000030000", 30.0),
        ("2027-01-15T08:00:30Z", 30.0),
        ("2020-01-01T00:00:00Z", 0.0),
    ],
)
def test_spans_and_moments(reset: str, seconds: float) -> None:
    told = allowance({"x-ratelimit-remaining": "3", "x-ratelimit-reset": reset}, NOW)
    assert told is not None
    assert (told.left, told.limit) == (3, None)
    assert told.reset == pytest.approx(seconds)


@pytest.mark.parametrize("reset", ["", "soon", "-1", "nan", "inf", "1x", "1s later", "9" * 400])
def test_what_is_no_time_tells_nothing(reset: str) -> None:
    assert allowance({"x-ratelimit-remaining": "3", "x-ratelimit-reset": reset}, NOW) is None


def test_the_families_of_headers() -> None:
    openai = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
    }
    anthropic = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2027-01-15T08:01:00Z",
    }
    assert allowance(openai, NOW) == Allowance(59, 1.0, 60)
    told = allowance(anthropic, NOW)
    assert told is not None
    assert told == Allowance(0, 60.0, 50)
    assert told.next == pytest.approx(1.2)
    assert Allowance(0, 60.0).next == 60.0
    assert allowance({"content-type": "x"}) is None
    assert allowance({**openai, "x-ratelimit-remaining-requests": "many"}) is None


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_header_is_read(left: str, reset: str) -> None:
    told = allowance({"x-ratelimit-remaining": left, "x-ratelimit-reset": reset})
    assert told is None or told.reset >= 0
