"""One limiter for many threads and event loops: who may send when, first come, first served."""

from __future__ import annotations

import math
import threading
import time
import weakref
from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from opto.errors import ModelError, RateLimited
from opto.llm.base import Completion
from opto.llm.rate import Learned, Rate, Spacing, Start, TokenWindow, spaced
from opto.llm.steps import Ask, Model, Request, Steps, Wait
from opto.llm.tokens import likely_tokens
from opto.llm.told import Allowance
from opto.llm.wrapper import Wrapper

_PATIENCE = 5.0  # of a waiter that depends on others' ends, which wake it


@dataclass
class Turn:
    """The right to send one request, which is the `number`-th."""

    started: Start
    number: int = 0
    tokens: list[float] | None = None


class RateLimiter:
    """Shared by all that hold it, in whatever thread or event loop of this process.

    Args:
        rate: limits to keep. Beside them it learns what the provider allows from its refusals,
            from the advice in them, and from what the headers of its answers tell of its limits.
    """

    def __init__(
        self, rate: Rate | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate or Rate()
        self.learned = Learned()
        self._clock = clock
        self._set: Spacing | None = None
        if self.rate.requests_per_minute:
            self._set = spaced(self.rate.requests_per_minute)
        limit = self.rate.tokens_per_minute
        self._tokens = TokenWindow(limit) if limit else None
        self._in_flight = self._sent = 0
        self._next = 0
        self._tickets: list[int] = []
        self._waiting: dict[int, Future[None]] = {}
        self._lock = threading.Lock()

    def admit(self, tokens: int, deadline: float) -> Steps[Turn]:
        """Wait for a turn; `leave` must be called when the request has ended.

        Raises:
            RateLimited: if there will be none before `deadline` (of ``time.monotonic``).
        """
        with self._lock:
            ticket, self._next = self._next, self._next + 1
            self._tickets.append(ticket)
        try:
            while True:
                turn, wait, until = self._try(ticket, tokens)
                if turn is not None:
                    return turn
                left = deadline - self._clock()
                if wait > left or left <= 0:
                    message = f"no turn before the deadline of the call; own limits: {self.rate}"
                    raise RateLimited(message, retry_after=None if math.isinf(wait) else wait)
                yield Wait(min(wait, left), until)
        finally:
            with self._lock:
                self._waiting.pop(ticket, None)
                at = bisect_left(self._tickets, ticket)
                if at < len(self._tickets) and self._tickets[at] == ticket:
                    del self._tickets[at]
                following = self._first_waiting()
            if following is not None:
                _finish(following)

    def heard(self, turn: Turn, told: Allowance) -> None:
        """The provider said how many requests it still takes; what was sent since counts."""
        now = self._clock()
        with self._lock:
            since = self._sent - turn.number
            if told.left <= since:
                self.learned.told(now, told.next * (since - told.left + 1))

    def leave(self, turn: Turn, outcome: Completion | BaseException | None) -> None:
        """The request has ended, and how: refusals and true numbers of tokens are learned from."""
        now = self._clock()
        with self._lock:
            self._in_flight -= 1
            if isinstance(outcome, RateLimited):
                self.learned.refused(turn.started, now, outcome.retry_after)
            elif isinstance(outcome, Completion):
                self.learned.answered(turn.started, now)
            if turn.tokens is not None and isinstance(outcome, Completion) and outcome.usage.known:
                turn.tokens[1] = float(outcome.usage.total_tokens)
            waking = self._first_waiting()
        if waking is not None:
            _finish(waking)

    def _first_waiting(self) -> Future[None] | None:
        return self._waiting.get(self._tickets[0]) if self._tickets else None

    def _try(self, ticket: int, tokens: int) -> tuple[Turn | None, float, Future[None]]:
        """A turn, or how long to wait, or until what."""
        now = self._clock()
        until: Future[None] = Future()
        with self._lock:
            ahead = bisect_left(self._tickets, ticket)
            wait = self._wait(now, ahead, tokens)
            if wait <= 0:
                del self._tickets[ahead]
                self._waiting.pop(ticket, None)
                if self._set is not None:
                    self._set.start(now)
                started = self.learned.start(now)
                self._in_flight += 1
                self._sent += 1
                spent = None if self._tokens is None else self._tokens.start(now, tokens)
                return Turn(started, self._sent, spent), 0.0, until
            self._waiting[ticket] = until
        return None, wait, until

    def _wait(self, now: float, ahead: int, tokens: int) -> float:
        wait = self.learned.wait(now, ahead)
        if self._set is not None:
            wait = max(wait, self._set.wait(now, ahead))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(now, tokens))
        most = self.rate.in_flight
        if most is not None and self._in_flight + ahead >= most:
            wait = max(wait, _PATIENCE)
        elif ahead and self._tokens is not None:
            wait = max(wait, _PATIENCE)  # the one before it wakes it
        return wait

    def __deepcopy__(self, memo: dict[int, Any]) -> RateLimiter:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return RateLimiter, (self.rate,)

    def __repr__(self) -> str:
        return f"RateLimiter({self.rate})"


def _finish(future: Future[None]) -> None:
    with suppress(InvalidStateError):
        future.set_result(None)


class SharedLimiters:
    """One limiter for all clients of a model with a key, so that they learn together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: weakref.WeakValueDictionary[int, RateLimiter] = weakref.WeakValueDictionary()

    def of(self, *identity: object) -> RateLimiter:
        """The limiter of that identity, of which only a hash is kept."""
        with self._lock:
            return self._known.setdefault(hash(identity), RateLimiter())


LIMITERS = SharedLimiters()


class Limited(Wrapper):
    """A model whose calls keep to a rate; give several the same limiter to let them share it.

    Our HTTP clients limit themselves: pass them `rate` instead.

    Args:
        llm: any model.
        limiter: the limiter, or the rate for one of its own.
        timeout: seconds that a call may wait for its turn.
    """

    def __init__(self, llm: Model, limiter: RateLimiter | Rate, *, timeout: float = 180.0) -> None:
        super().__init__(llm)
        self.limiter = RateLimiter(limiter) if isinstance(limiter, Rate) else limiter
        self.timeout = timeout

    def steps(self, request: Request) -> Steps[Completion]:
        """Wait for a turn, then ask."""
        deadline = time.monotonic() + self.timeout
        turn = yield from self.limiter.admit(likely_tokens(request), deadline)
        outcome: Completion | ModelError | None = None
        try:
            reply: Completion = yield Ask(self.llm, request)
            outcome = reply
        except ModelError as error:
            outcome = error
            raise
        finally:
            self.limiter.leave(turn, outcome)
        return reply
