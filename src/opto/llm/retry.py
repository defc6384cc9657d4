"""When to try again, and after how long; decided apart from any I/O, so that it can be tested."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace

from opto.errors import (
    BadResponse,
    Disconnected,
    ModelError,
    OversizedResponse,
    RateLimited,
    ServerError,
)
from opto.llm.base import Completion
from opto.llm.steps import Ask, Model, Request, Steps, Wait
from opto.llm.stream import pieces_given
from opto.llm.wrapper import Wrapper

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


class Retrying(Wrapper):
    """A model of the user's own, asked again when it fails with a transient `ModelError`.

    `OpenAICompatible` needs no such wrapper: it retries within its own deadline. When the attempts
    or the time are used up, the last error is raised; so it is when some of a stream was read.
    """

    def __init__(
        self, llm: Model, policy: RetryPolicy | None = None, *, timeout: float = 180.0
    ) -> None:
        super().__init__(llm)
        self.policy, self.timeout = policy or RetryPolicy(), timeout

    def steps(self, request: Request) -> Steps[Completion]:
        """Ask until it succeeds or there is no point in it."""
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                reply: Completion = yield Ask(self.llm, request)
            except ModelError as error:
                error.attempts = max(error.attempts, attempt)
                left = self.timeout - (time.monotonic() - started)
                wait = self.policy.delay(error, attempt, left)
                if wait is None or pieces_given():
                    raise
            else:
                return reply
            yield Wait(wait)
