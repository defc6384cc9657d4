"""A count of calls that refuses those which would cross a limit.

What is booked counts as spent, so that calls made at the same time can't cross a limit together.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from opto.errors import BudgetExceeded, InvalidArgument
from opto.llm.base import UNKNOWN_USAGE, Usage
from opto.llm.prices import Price, Prices

_ROUNDING = 1e-12  # US dollars
_NO_TOKENS = Usage()
_ASIDE = "are set aside for calls whose account isn't known"


@dataclass(frozen=True)
class Budget:
    """Hard limits; None is no limit.

    They hold under concurrency, since calls are booked before they are made: with the most that a
    service can count for the prompt (a token for each byte, and what it adds), and with the
    ``max_tokens`` of the answer. A call that doesn't set those gets what is left, at most 1024 an
    answer. A call that ended without an account (lost connections, deadlines, cancelled tasks)
    may have been charged: all that was booked for it stays spent. So the last calls that might
    have fitted are refused; a limit isn't crossed.

    Attributes:
        calls: how many calls may be made.
        tokens: of prompts and answers.
        cost: in US dollars; calls of models without a known price are refused.
        seconds: since the tally was opened; no call starts later, and none may take longer.
    """

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not value >= 0:
                message = f"the budget's {item.name} can't be {value!r}; give a number or None"
                raise InvalidArgument(message)


@dataclass(frozen=True)
class CallRecord:
    """One call, as it ended.

    Attributes:
        tags: what `tagged` said of it: its role, step, run.
        cached: the answer came from a cache or a recording; nothing was spent.
        error: the type of the failure; "" if it was answered.
        seconds: how long it took.
        cost: US dollars; None if there is no price for the model.
    """

    model: str
    provider: str = ""
    usage: Usage = UNKNOWN_USAGE
    cost: float | None = None
    seconds: float = 0.0
    cached: bool = False
    error: str = ""
    tags: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Totals:
    """Sums over calls.

    Attributes:
        calls: that were made, failed ones included and cached ones not.
        hits: answers that came from a cache or a recording.
        cost: US dollars of the calls whose price is known.
        unpriced: calls whose price isn't known.
        seconds: of all calls added up.
    """

    calls: int = 0
    failures: int = 0
    hits: int = 0
    usage: Usage = _NO_TOKENS
    cost: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0

    def having(self, call: CallRecord) -> Totals:
        """With one more."""
        if call.cached:
            return replace(self, hits=self.hits + 1)
        return Totals(
            self.calls + 1,
            self.failures + bool(call.error),
            self.hits,
            self.usage + call.usage,
            self.cost + (call.cost or 0.0),
            self.unpriced + (call.cost is None),
            self.seconds + call.seconds,
        )


@dataclass(frozen=True)
class Booking:
    """The most that a call may take: tokens and US dollars of its prompt and its answer."""

    prompt: int = 0
    answer: int = 0
    prompt_cost: float = 0.0
    answer_cost: float = 0.0

    def tokens(self, longer: float) -> int:
        """All tokens, if prompts are so much longer than estimated."""
        return math.ceil(self.prompt * longer) + self.answer

    def cost(self, longer: float) -> float:
        """All costs, likewise."""
        return self.prompt_cost * longer + self.answer_cost

    def plus(self, other: Booking, sign: int) -> Booking:
        """Both together, or without the other."""
        return Booking(
            self.prompt + sign * other.prompt,
            self.answer + sign * other.answer,
            self.prompt_cost + sign * other.prompt_cost,
            self.answer_cost + sign * other.answer_cost,
        )


class Tally:
    """Counts calls, exactly under threads and tasks, and refuses those that its budget forbids.

    Attributes:
        total: of all calls.
        by: sums by tag, e.g. ``by["role", "judge"]``; models count under ``("model", name)``.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
    ) -> None:
        self.budget, self.prices, self.on_call = budget or Budget(), Prices(prices), on_call
        self.total = Totals()
        self.by: dict[tuple[str, Any], Totals] = {}
        self.opened = time.monotonic()
        self._longer = 1.0  # how much longer prompts were than they can be: never yet, anywhere
        self._calls, self._booked, self._lost = 0, Booking(), Booking()
        self._lock = threading.Lock()
        self._older = weakref.WeakSet(threading.enumerate())

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return self.total.calls

    @property
    def usage(self) -> Usage:
        """The tokens of all calls."""
        return self.total.usage

    @property
    def cost(self) -> float:
        """US dollars of the calls whose price is known."""
        return self.total.cost

    def serves(self, thread: threading.Thread) -> bool:
        """Whether `thread` was started after the tally was opened."""
        return thread not in self._older

    @property
    def seconds_left(self) -> float | None:
        """Until the budget's time is over; None without such a limit."""
        limit = self.budget.seconds
        return None if limit is None else limit - (time.monotonic() - self.opened)

    def book(self, booking: Booking) -> bool:
        """Set aside what a call may take; False if it only may fit when others have ended.

        Raises:
            BudgetExceeded: if it doesn't fit, whatever those under way take.
        """
        left = self.seconds_left
        if left is not None and left <= 0:
            raise self._exceeded("seconds", f"{self.budget.seconds:g} s", "they are over")
        with self._lock:
            now, spent = self._needs(booking, booked=True), self._needs(booking, booked=False)
            if spent is not None:
                raise spent
            if now is not None:
                return False
            self._calls, self._booked = self._calls + 1, self._booked.plus(booking, 1)
            return True

    def release(self, booking: Booking) -> None:
        """Give back what was set aside."""
        with self._lock:
            self._calls, self._booked = self._calls - 1, self._booked.plus(booking, -1)

    def lose(self, booking: Booking) -> bool:
        """Count as spent what an attempt may have cost, if the same again still fits."""
        with self._lock:
            if self._needs(booking, booked=True, call=0) is not None:
                return False
            self._lost = self._lost.plus(booking, 1)
            return True

    def regain(self, booking: Booking) -> None:
        """Take a `lose` back."""
        with self._lock:
            self._lost = self._lost.plus(booking, -1)

    def room(self, prompt: int) -> float:
        """Tokens that are left for the answer to such a prompt."""
        if self.budget.tokens is None:
            return math.inf
        with self._lock:
            spent = self.total.usage.total_tokens + self._lost.tokens(self._longer)
            return self.budget.tokens - spent - math.ceil(prompt * self._longer)

    def add(self, call: CallRecord, booking: Booking | None = None, *, lost: bool = False) -> None:
        """Count a call that has ended, in place of its booking; `lost` if its cost is unknown."""
        keys: list[tuple[str, Any]] = [("model", call.model), *call.tags.items()]
        with self._lock:
            if booking is not None:
                self._calls, self._booked = self._calls - 1, self._booked.plus(booking, -1)
                if lost:
                    self._lost = self._lost.plus(booking, 1)
                used = call.usage.prompt_tokens / max(1, booking.prompt)
                self._longer = max(self._longer, used)
            self.total = self.total.having(call)
            for key in keys:
                self.by[key] = self.by.get(key, Totals()).having(call)
        if self.on_call is not None:
            self.on_call(call)

    def _needs(self, booking: Booking, *, booked: bool, call: int = 1) -> BudgetExceeded | None:
        """The limit that the call would cross, with or without what is booked by others."""
        total, limits = self.total, self.budget
        calls = total.calls + booked * self._calls
        if limits.calls is not None and calls + call > limits.calls:
            return self._exceeded("calls", f"{limits.calls} calls", f"{calls} were made")
        others = self._booked.plus(self._lost, 1) if booked else self._lost
        used, aside = total.usage.total_tokens, others.tokens(self._longer)
        next_tokens = booking.tokens(self._longer)
        if limits.tokens is not None and used + aside + next_tokens > limits.tokens:
            what = f"{used} were used, {aside} {_ASIDE}, and the next call may take {next_tokens}"
            return self._exceeded("tokens", f"{limits.tokens} tokens", what)
        spent, kept = total.cost, others.cost(self._longer)
        next_cost = booking.cost(self._longer)
        if limits.cost is not None and spent + kept + next_cost > limits.cost + _ROUNDING:
            what = f"{spent:.4f} were spent, {kept:.4f} {_ASIDE}, and the next call may take "
            what += f"{next_cost:.4f}"
            return self._exceeded("cost", f"{limits.cost:g} US dollars", what)
        return None

    def _exceeded(self, name: str, limit: str, what: str) -> BudgetExceeded:
        return BudgetExceeded(f"the budget's {name} are limited to {limit}; {what}")

    def __repr__(self) -> str:
        return f"Tally({self.total})"
