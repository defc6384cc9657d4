"""What calls took: counted for whoever asks with `usage`, and held to budgets before they are made.

Every back end of this package books each call with the tallies that are open, and settles it when
the call has ended, however it ended.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from opto.errors import (
    AuthenticationFailed,
    BadRequest,
    BudgetExceeded,
    CircuitOpen,
    ContextTooLong,
    ModelError,
    NoModel,
    QuotaExceeded,
    RateLimited,
    ServerError,
    UsageError,
    WeightsError,
)
from opto.llm.base import UNKNOWN_USAGE, Completion, Usage
from opto.llm.prices import Price
from opto.llm.steps import Request
from opto.llm.tally import Booking, Budget, CallRecord, Tally
from opto.llm.tokens import ANSWER_TOKENS, answer_tokens, most_prompt_tokens

_RECHECK_SECONDS = 0.02
_REFUSALS = (
    AuthenticationFailed,
    BadRequest,
    BudgetExceeded,
    CircuitOpen,
    ContextTooLong,
    NoModel,
    QuotaExceeded,
    RateLimited,
    ServerError,
    UsageError,
    WeightsError,
)
"""What isn't charged, since nothing was answered."""

_TALLIES: ContextVar[tuple[Tally, ...]] = ContextVar("tallies", default=())
_ACCOUNT: ContextVar[Account | None] = ContextVar("account", default=None)
_TAGS: ContextVar[Mapping[str, Any]] = ContextVar("tags", default={})  # noqa: B039 - never changed
_OPEN: weakref.WeakSet[Tally] = weakref.WeakSet()
"""Tallies that are open in some context: threads started by plain Python carry no context."""


@contextmanager
def counting(tally: Tally) -> Iterator[Tally]:
    """Count the calls made inside for `tally`, too."""
    others = tuple(other for other in _TALLIES.get() if other is not tally)
    token = _TALLIES.set((*others, tally))
    try:
        yield tally
    finally:
        _TALLIES.reset(token)


@contextmanager
def usage(
    budget: Budget | None = None,
    *,
    prices: Mapping[str, Price] | None = None,
    on_call: Callable[[CallRecord], None] | None = None,
) -> Iterator[Tally]:
    """Count all calls of models made inside, whoever makes them, and hold them to `budget`.

    Calls in threads started inside count, too. Tallies may be nested; a call counts for all.

    Args:
        budget: what may be spent inside.
        prices: US dollars a million tokens by the model's name; they go before the kept table.
        on_call: called with the record of each call when it has ended.

    Example:
        >>> from opto.testing import ScriptedModel
        >>> with usage(Budget(calls=1)) as spent:
        ...     reply = ScriptedModel("hello")(messages=[])
        >>> spent.calls
        1
    """
    with counting(Tally(budget, prices=prices, on_call=on_call)) as tally:
        _OPEN.add(tally)
        try:
            yield tally
        finally:
            _OPEN.discard(tally)


@contextmanager
def tagged(**tags: Any) -> Iterator[None]:
    """Say of the calls made inside what they are for: ``tagged(role="judge", step=3)``."""
    token = _TAGS.set({**_TAGS.get(), **tags})
    try:
        yield
    finally:
        _TAGS.reset(token)


def open_tallies() -> tuple[Tally, ...]:
    """Those that a call made here and now counts for."""
    own = _TALLIES.get()
    if own or not _OPEN:
        return own
    thread = threading.current_thread()
    return tuple(tally for tally in tuple(_OPEN) if tally.serves(thread))


def count_hit(model: str, provider: str, reply: Completion) -> None:
    """Count an answer that cost nothing."""
    tallies = open_tallies()
    if tallies:
        tags = _TAGS.get()
        call = CallRecord(model, provider, reply.usage, 0.0, cached=True, tags=tags)
        for tally in tallies:
            tally.add(call)


def may_be_charged(outcome: Completion | BaseException) -> bool:
    """Whether a call that ended like that may be on the bill."""
    refused = isinstance(outcome, ModelError) and (outcome.status or 0) >= HTTPStatus.BAD_REQUEST
    return not refused and not isinstance(outcome, _REFUSALS)


@contextmanager
def current(account: Account) -> Iterator[None]:
    """Let what is called inside find `account`."""
    token = _ACCOUNT.set(account)
    try:
        yield
    finally:
        _ACCOUNT.reset(token)


def room_for_retry(failed: ModelError) -> bool:
    """Whether the budgets allow that the running call is tried again after `failed`."""
    account = _ACCOUNT.get()
    return account is None or not may_be_charged(failed) or account.again()


class Account:
    """One call's entry in the open tallies.

    Args:
        model: the model's name.
        provider: who is asked; "local" costs nothing.
        tallies: those that were open when the call was made.
    """

    def __init__(self, model: str, provider: str, tallies: tuple[Tally, ...]) -> None:
        self.model, self.provider, self.tallies = model, provider, tallies
        self._started = time.monotonic()
        self._booked: list[tuple[Tally, Booking]] = []

    def open(
        self, request: Request, defaults: Mapping[str, Any], *, timed: bool, limitable: bool
    ) -> Generator[float, None, Request]:
        """Book the call, yielding seconds to wait while others' bookings are in the way.

        Args:
            request: what will be asked.
            defaults: options that the model adds.
            timed: whether the model takes a ``timeout``.
            limitable: whether it takes ``max_tokens``.

        Returns:
            The request, its answer and time limited to what was booked.
        """
        prompt = 0
        if self._measured:
            prompt = most_prompt_tokens(request.messages, {**defaults, **request.options})
        while True:
            asked = self._in_time(request) if timed else request
            if limitable and self._measured:
                asked = self._with_room(asked, defaults, prompt)
            answer = answer_tokens({**defaults, **asked.options})
            if self._book(prompt, ANSWER_TOKENS if answer is None else answer):
                return asked
            yield _RECHECK_SECONDS

    def settle(self, outcome: Completion | BaseException) -> None:
        """Count the call as it ended."""
        seconds = time.monotonic() - self._started
        used = outcome.usage if isinstance(outcome, Completion) else UNKNOWN_USAGE
        error = "" if isinstance(outcome, Completion) else type(outcome).__name__
        lost = may_be_charged(outcome) and not used.known
        for tally, booking in self._booked:
            cost = tally.prices.cost(self.model, self.provider, used)
            if error and tally.prices.of(self.model, self.provider) is not None:
                cost = 0.0
            tally.add(
                CallRecord(
                    self.model, self.provider, used, cost, seconds, error=error, tags=_TAGS.get()
                ),
                booking,
                lost=lost,
            )

    def again(self) -> bool:
        """Whether there is room for another attempt, the last one having been charged perhaps."""
        lost: list[tuple[Tally, Booking]] = []
        for tally, booking in self._booked:
            if not tally.lose(booking):
                for other, its in lost:
                    other.regain(its)
                return False
            lost.append((tally, booking))
        return True

    @property
    def _measured(self) -> bool:
        budgets = [tally.budget for tally in self.tallies]
        return any(b.tokens is not None or b.cost is not None for b in budgets)

    def _in_time(self, request: Request) -> Request:
        lefts = [left for tally in self.tallies if (left := tally.seconds_left) is not None]
        if not lefts:
            return request
        given = request.options.get("timeout")
        least = max(0.001, min(lefts))
        return request.having(timeout=least if given is None else min(given, least))

    def _with_room(self, request: Request, defaults: Mapping[str, Any], prompt: int) -> Request:
        options = {**defaults, **request.options}
        if answer_tokens(options) is not None:
            return request
        count = int(options.get("n") or 1)
        room = min(tally.room(prompt) // count for tally in self.tallies)
        return request.having(max_tokens=int(max(1, min(ANSWER_TOKENS, room))))

    def _book(self, prompt: int, answer: int) -> bool:
        done: list[tuple[Tally, Booking]] = []
        try:
            for tally in self.tallies:
                booking = self._booking(tally, prompt, answer)
                if not tally.book(booking):
                    break
                done.append((tally, booking))
            else:
                self._booked, done = done, []
                return True
        except ModelError as error:
            error.model, error.provider = self.model, self.provider
            raise
        finally:
            for tally, booking in done:
                tally.release(booking)
        return False

    def _booking(self, tally: Tally, prompt: int, answer: int) -> Booking:
        price = tally.prices.of(self.model, self.provider)
        if price is None and tally.budget.cost is not None:
            message = (
                f"the budget limits the cost, and no price is known for {self.model!r}; "
                f"pass prices={{{self.model!r}: Price(input, output)}}"
            )
            raise BudgetExceeded(message)
        if price is None:
            return Booking(prompt, answer)
        asked, said = Usage(prompt, 0, prompt), Usage(0, answer, answer)
        return Booking(prompt, answer, price.cost(asked), price.cost(said))
