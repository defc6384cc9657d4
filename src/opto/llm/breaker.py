"""A model that isn't asked for a while after it has failed again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

from opto.errors import (
    AuthenticationFailed,
    CircuitOpen,
    Disconnected,
    ModelError,
    QuotaExceeded,
    RateLimited,
    ServerError,
    Timeout,
)
from opto.llm.base import Completion
from opto.llm.steps import Model, Request, Steps, asked
from opto.llm.wrapper import Wrapper

FAILURES = (AuthenticationFailed, Disconnected, QuotaExceeded, RateLimited, ServerError, Timeout)
"""Failures of the provider; others are those of the request."""


class Breaker(Wrapper):
    """Refuses calls at once while a model is out of order; then tries one.

    Args:
        llm: any model.
        failures: so many in a row, without an answer between, put it out of order.
        seconds: for so long.
    """

    def __init__(
        self,
        llm: Model,
        *,
        failures: int = 5,
        seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(llm)
        self.failures, self.seconds, self._clock = failures, seconds, clock
        self._failed, self._again = 0, 0.0

    def steps(self, request: Request) -> Steps[Completion]:
        """Ask unless it is out of order."""
        self._admit()
        try:
            reply = yield from asked(self.llm, request)
        except FAILURES:
            with self._lock:
                self._failed += 1
                self._again = self._clock() + self.seconds
            raise
        except ModelError:
            self._works()
            raise
        self._works()
        return reply

    def _admit(self) -> None:
        with self._lock:
            if self._failed < self.failures:
                return
            now = self._clock()
            if now >= self._again:
                self._again = now + self.seconds  # this one tries; the others wait
                return
            left = self._again - now
        message = f"{self.model_name} failed {self._failed} times in a row; again in {left:.0f} s"
        raise CircuitOpen(message, provider=self.provider, model=self.model_name, retry_after=left)

    def _works(self) -> None:
        with self._lock:
            self._failed = 0
