"""What tokens cost: a small table, dated, that callers can override."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from opto.llm.base import Usage

DATED = "2026-11-22"
"""When the table was made; prices change, and `usage(prices=...)` goes before it.

It was compared with genai-prices 0.2.3 (PyPI), but for gpt-4o, gpt-4o-mini and gpt-4.1, whose
prices are those that tokenmath.io/openai-api-pricing-explained (checked 2026-06-21) and
aimodelcalc.pages.dev/guides/openai-api-pricing.html (June 2026) quote from OpenAI's own list.
"""
_MILLION = 1_000_000
_EDITION = re.compile(r"-(latest|\d{4}-\d\d-\d\d|\d{8})$")
_FREE = frozenset({"local", "scripted"})
_NEAR = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Price:
    """US dollars a million tokens; `cached` for prompt tokens that the provider remembered."""

    input: float
    output: float
    cached: float | None = None

    def cost(self, usage: Usage) -> float:
        """US dollars for `usage`."""
        remembered = min(usage.cached_tokens, usage.prompt_tokens)
        rate = self.input if self.cached is None else self.cached
        fresh = usage.prompt_tokens - remembered
        spent = fresh * self.input + remembered * rate + usage.completion_tokens * self.output
        return spent / _MILLION


FREE = Price(0.0, 0.0)
PRICES: Mapping[str, Price] = {
    "gpt-4o": Price(2.5, 10.0, 1.25),
    "gpt-4o-2024-05-13": Price(5.0, 15.0),
    "gpt-4o-mini": Price(0.15, 0.6, 0.075),
    "gpt-4.1": Price(2.0, 8.0, 0.5),
    "gpt-4.1-mini": Price(0.4, 1.6, 0.1),
    "gpt-4.1-nano": Price(0.1, 0.4, 0.025),
    "o3-mini": Price(1.1, 4.4, 0.55),
    "o4-mini": Price(1.1, 4.4, 0.275),
    "gpt-5": Price(1.25, 10.0, 0.125),
    "gpt-5-mini": Price(0.25, 2.0, 0.025),
    "gpt-5-nano": Price(0.05, 0.4, 0.005),
    "gpt-5.1": Price(1.25, 10.0, 0.125),
    "gpt-5.2": Price(1.75, 14.0, 0.175),
    "claude-3-5-haiku": Price(0.8, 4.0, 0.08),
    "claude-3-5-sonnet": Price(3.0, 15.0, 0.3),
    "claude-3-7-sonnet": Price(3.0, 15.0, 0.3),
    "claude-sonnet-4-0": Price(3.0, 15.0, 0.3),
    "claude-haiku-4-5": Price(1.0, 5.0, 0.1),
    "claude-opus-4-0": Price(15.0, 75.0, 1.5),
    "claude-opus-4-1": Price(15.0, 75.0, 1.5),
    "claude-opus-4-5": Price(5.0, 25.0, 0.5),
    "gemini-2.0-flash": Price(0.1, 0.4, 0.025),
    "gemini-2.5-flash": Price(0.3, 2.5, 0.03),
    "gemini-2.5-flash-lite": Price(0.1, 0.4, 0.01),
}
"""Models whose price doesn't depend on the length of the prompt, by name without edition."""


class Prices:
    """The table with the caller's own prices before it."""

    def __init__(self, own: Mapping[str, Price] | None = None) -> None:
        self.own = dict(own or {})

    def of(self, model: str, provider: str = "") -> Price | None:
        """The price of a model; None if it isn't known. Models on this machine are free."""
        names = (model, _EDITION.sub("", model), model.rpartition("/")[2])
        for table in (self.own, PRICES):
            for name in (*names, _EDITION.sub("", names[-1])):
                if name in table:
                    return table[name]
        return FREE if provider in _FREE or provider in _NEAR else None

    def cost(self, model: str, provider: str, usage: Usage) -> float | None:
        """US dollars: what the provider said, or else by the table; None if neither tells."""
        if usage.cost is not None:
            return usage.cost
        price = self.of(model, provider)
        return None if price is None else price.cost(usage)


@dataclass(frozen=True)
class Forecast:
    """What calls may take at most; `cost` is None if the model's price isn't known."""

    calls: int
    tokens: int
    cost: float | None


def forecast(
    model: str,
    *,
    calls: int,
    prompt_tokens: int,
    answer_tokens: int,
    prices: Mapping[str, Price] | None = None,
) -> Forecast:
    """What `calls` of that size take: for a look before a run.

    Example:
        >>> forecast("gpt-4o-mini", calls=1000, prompt_tokens=2000, answer_tokens=500).cost
        0.6
    """
    each = Usage(prompt_tokens, answer_tokens, prompt_tokens + answer_tokens)
    price = Prices(prices).of(model)
    cost = None if price is None else round(calls * price.cost(each), 6)
    return Forecast(calls, calls * each.total_tokens, cost)
