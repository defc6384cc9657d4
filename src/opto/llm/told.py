"""What a provider tells of its limits with each answer, in the headers that are usual for it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_FAMILIES = ("x-ratelimit-{}-requests", "anthropic-ratelimit-requests-{}", "x-ratelimit-{}")
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH = 1e8  # what is more is a moment, not a span


@dataclass(frozen=True)
class Allowance:
    """How many requests there are left, and seconds until there are all again."""

    left: int
    reset: float
    limit: int | None = None

    @property
    def next(self) -> float:
        """Seconds until there is one more, if they come back evenly; all at once if unknown."""
        used = 1 if self.limit is None else max(1, self.limit - self.left)
        return self.reset / used


def allowance(headers: Mapping[str, str], now: float | None = None) -> Allowance | None:
    """What the headers (names in lower case) tell; None if they don't.

    OpenAI, Azure, Groq and others say ``x-ratelimit-remaining-requests``, Anthropic
    ``anthropic-ratelimit-requests-remaining``; OpenRouter and gateways ``x-ratelimit-remaining``.
    """
    for family in _FAMILIES:
        left = _count(headers.get(family.format("remaining")))
        if left is None:
            continue
        reset = _span(headers.get(family.format("reset"), ""), time.time() if now is None else now)
        if reset is not None:
            return Allowance(left, reset, _count(headers.get(family.format("limit"))))
    return None


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None


def _span(text: str, now: float) -> float | None:
    """Seconds in "120ms", "6m0s", "1.5", a moment in seconds or milliseconds, or in ISO 8601."""
    text = text.strip().lower()
    parts = _PARTS.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        number = float(text)
    except ValueError:
        return _until(text, now)
    if not math.isfinite(number) or number < 0:
        return None
    if number > _EPOCH:
        return max(0.0, (number / 1000 if number > _EPOCH * 1000 else number) - now)
    return number


def _until(text: str, now: float) -> float | None:
    try:
        moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return max(0.0, moment - now)
