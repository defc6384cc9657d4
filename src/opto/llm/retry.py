"""When to try again, and after how long; decided apart from any I/O, so that it can be tested."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opto.errors import (
    BadResponse,
    Disconnected,
    ModelError,
    OversizedResponse,
    RateLimited,
    ServerError,
)
from opto.llm.base import Abilities, ChatMessage, Completion, abilities_of, completion_of

TRANSIENT = (RateLimited, ServerError, Disconnected, BadResponse)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long.

    Attributes:
        max_attempts: requests in all, the first included.
        base_delay: seconds before the second; doubled each time, with jitter.
        max_delay: no wait is longer; a provider that advises a longer one is not waited for.
    """

    max_attempts: int = 4
    base_delay: float = 0.5
    max_delay: float = 30.0

    def limited_to(self, max_attempts: int) -> RetryPolicy:
        """The same with another number of attempts."""
        return replace(self, max_attempts=max_attempts)

    def delay(self, error: ModelError, attempt: int, remaining: float) -> float | None:
        """Seconds to wait after failed attempt number `attempt`, or None to give up.

        Args:
            error: how it failed.
            attempt: 1 for the first.
            remaining: seconds until the deadline of the whole call.
        """
        if attempt >= self.max_attempts or not is_transient(error):
            return None
        backoff = min(self.base_delay * 2.0 ** (attempt - 1), self.max_delay)
        advised = error.retry_after or 0.0
        wait = advised + backoff * random.uniform(0.5, 1.0)
        return None if advised > self.max_delay or wait >= remaining else wait


def is_transient(error: ModelError) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, TRANSIENT) and not isinstance(error, OversizedResponse)


class Retrying:
    """A model of the user's own, asked again when it fails with a transient `ModelError`.

    `OpenAICompatible` needs no such wrapper: it retries within its own deadline.
    """

    def __init__(
        self, llm: Callable[..., Any], policy: RetryPolicy | None = None, *, timeout: float = 180.0
    ) -> None:
        self.llm, self.policy, self.timeout = llm, policy or RetryPolicy(), timeout

    @property
    def abilities(self) -> Abilities:
        """Those of the model inside."""
        return abilities_of(self.llm)

    def __call__(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """Answer `messages`; raises the last error when the attempts or the time are used up."""
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return completion_of(self.llm(messages=messages, **options))
            except ModelError as error:
                wait = self._wait(error, attempt, started)
                if wait is None:
                    raise
            time.sleep(wait)

    async def acall(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """As the call, for a model with `acall`, or an async callable."""
        call: Callable[..., Awaitable[Any]] = getattr(self.llm, "acall", self.llm)
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return completion_of(await call(messages=messages, **options))
            except ModelError as error:
                wait = self._wait(error, attempt, started)
                if wait is None:
                    raise
            await asyncio.sleep(wait)

    def _wait(self, error: ModelError, attempt: int, started: float) -> float | None:
        error.attempts = max(error.attempts, attempt)
        return self.policy.delay(error, attempt, self.timeout - (time.monotonic() - started))
