"""A client for any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import copy
import logging
import re
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opto.errors import AuthenticationFailed, ModelError, RateLimited, Timeout
from opto.llm.backend import Backend
from opto.llm.base import Abilities, ChatMessage, Completion
from opto.llm.exchange import Exchange
from opto.llm.limiter import LIMITERS, RateLimiter
from opto.llm.loop import HTTP_LOOP
from opto.llm.rate import Rate
from opto.llm.retry import RetryPolicy
from opto.llm.secret import ApiKey, public_url
from opto.llm.steps import Request, arun
from opto.llm.tokens import most_tokens
from opto.llm.wire import read_answer, request_body

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
_REASONS = re.compile(r"o\d|gpt-5")  # these refuse max_tokens
_log = logging.getLogger("opto.llm")


@dataclass(frozen=True)
class Limits:
    """What one call may take.

    Attributes:
        timeout: seconds for the whole call, retries and waits included.
        max_bytes: size of the reply; a longer one is cut off and refused.
    """

    timeout: float = 180.0
    max_bytes: int = 8 * 1024 * 1024


class OpenAICompatible(Backend):
    """A model behind a URL, called synchronously (the object itself) or with `acall`.

    It raises the `ModelError` that fits and nothing else, within its deadline, and retries only
    what may succeed later. Safe to share between threads and event loops. A pickle holds no API
    key; the key is read again from the environment.

    Args:
        model: the provider's name of it.
        base_url: up to and without ``/chat/completions``; OpenAI's if None.
        api_key: the key, or an `ApiKey` that names an environment variable. If None,
            ``OPENAI_API_KEY`` is read for OpenAI's own URL, and no key is sent anywhere else.
        timeout: seconds for the whole call, retries included.
        max_attempts: requests per call, the first included.
        limits: replaces the default limits; `timeout` goes before it.
        retry: replaces the default policy; `max_attempts` goes before it.
        rate: limits to keep, or a `RateLimiter` that other models share. If None, all clients of
            the model with this key share one that learns the limit from the provider's refusals.
        abilities: what the model can do, if it isn't what the URL suggests.
        options: sent with every call, e.g. ``temperature``; those of the call go before them.
    """

    def __init__(  # noqa: PLR0913 - settings with defaults, all but two keyword-only
        self,
        model: str,
        base_url: str | None = None,
        *,
        api_key: str | ApiKey | None = None,
        timeout: float | None = None,
        max_attempts: int | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        rate: Rate | RateLimiter | None = None,
        abilities: Abilities | None = None,
        **options: Any,
    ) -> None:
        limits = limits or Limits()
        retry = retry or RetryPolicy()
        self.model = self.model_name = model
        self.base_url = (base_url or OPENAI_URL).rstrip("/")
        self.timeout = limits.timeout if timeout is None else timeout
        self.retry = retry if max_attempts is None else retry.limited_to(max_attempts)
        self.options = options
        self._abilities = abilities
        self._key = _key(api_key, self.base_url)
        self._exchange = Exchange(f"{self.base_url}/chat/completions", max_bytes=limits.max_bytes)
        self.limiter = RateLimiter(rate) if isinstance(rate, Rate) else rate or self._shared()
        self._close_when_dropped()

    @property
    def provider(self) -> str:
        """The host that is called."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def abilities(self) -> Abilities:
        """As given; else a schema is taken to be honoured by OpenAI's own service only."""
        own = self.base_url == OPENAI_URL
        return self._abilities or Abilities(json_schema=own, tools=own, json_object=own)

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        return _raised(HTTP_LOOP.run(self._exchanged(messages, options)))

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        return _raised(await HTTP_LOOP.arun(self._exchanged(messages, options)))

    def fresh(self) -> OpenAICompatible:
        """An equal client with connections of its own; it has the key, unlike a pickle."""
        return copy.deepcopy(self)

    def close(self) -> None:
        """Close the kept connections; a later call opens new ones."""
        HTTP_LOOP.run(self._exchange.close())

    async def _exchanged(
        self, messages: Sequence[ChatMessage], options: Mapping[str, Any]
    ) -> Completion | ModelError:
        chosen = {**self.options, **options}
        timeout = chosen.pop("timeout", None)
        if "max_tokens" in chosen and self.base_url == OPENAI_URL and _REASONS.match(self.model):
            chosen["max_completion_tokens"] = chosen.pop("max_tokens")
        deadline = time.monotonic() + (self.timeout if timeout is None else float(timeout))
        counted = self.limiter.rate.tokens_per_minute
        tokens = most_tokens(Request(messages, chosen)) if counted else 0
        body = request_body(chosen.pop("model", None) or self.model, messages, chosen)
        await self._exchange.open()
        attempt = 0
        failed: ModelError | None = None
        while True:
            attempt += 1
            outcome = await self._in_turn(body, tokens, deadline)
            if failed is not None and isinstance(outcome, RateLimited) and outcome.status is None:
                return failed  # no turn for another attempt; what the last one said tells more
            if isinstance(outcome, Completion):
                return outcome
            self._sign(outcome, attempt)
            failed = outcome
            wait = self.retry.delay(outcome, attempt, deadline - time.monotonic())
            if wait is None:
                return outcome
            _log.debug("%s: attempt %d: %s; again in %.2f s", self, attempt, outcome, wait)
            await asyncio.sleep(wait)

    async def _in_turn(self, body: bytes, tokens: int, deadline: float) -> Completion | ModelError:
        try:
            turn = await arun(self.limiter.admit(tokens, deadline))
        except RateLimited as error:
            return error
        outcome: Completion | ModelError | None = None
        try:
            outcome = found = await self._attempt(body, deadline)
        finally:
            self.limiter.leave(turn, outcome)
        return found

    async def _attempt(self, body: bytes, deadline: float) -> Completion | ModelError:
        started = time.monotonic()
        try:
            post = self._exchange.post(body, self._headers())
            answer = await asyncio.wait_for(post, max(0.001, deadline - started))
        except asyncio.TimeoutError:
            return Timeout("no complete answer before the deadline of the call")
        return answer if isinstance(answer, ModelError) else read_answer(answer)

    def _shared(self) -> RateLimiter:
        return LIMITERS.of(self.base_url, self.model, self._key.reveal())

    def _headers(self) -> dict[str, str]:
        key = self._key.reveal()
        allowed = {"authorization": f"Bearer {key}"} if key else {}
        return {"content-type": "application/json", "accept-encoding": "identity", **allowed}

    def _sign(self, error: ModelError, attempt: int) -> None:
        """Say who failed and how often, and take the key out of what the provider said."""
        hint = ""
        if isinstance(error, AuthenticationFailed) and not self._key.reveal():
            hint = f"; no API key is set (set {self._key.variable or 'api_key'})"
        made = f"{attempt} attempt{'s' if attempt > 1 else ''}"
        said = self._key.redact(str(error))
        error.args = (f"{self.model} at {public_url(self.base_url)} ({made}): {said}{hint}",)
        error.provider, error.model, error.attempts = self.provider, self.model, attempt
        error.request_id = error.request_id and self._key.redact(error.request_id)

    def __repr__(self) -> str:
        return f"OpenAICompatible({self.model!r}, {public_url(self.base_url)!r}, {self._key!r})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._close_when_dropped()

    def _close_when_dropped(self) -> None:
        weakref.finalize(self, _abandon, self._exchange)


def _raised(outcome: Completion | ModelError) -> Completion:
    if isinstance(outcome, ModelError):
        raise outcome
    return outcome


def _key(given: str | ApiKey | None, base_url: str) -> ApiKey:
    if isinstance(given, ApiKey):
        return given
    return ApiKey(given, variable=OPENAI_KEY if base_url == OPENAI_URL else "")


def _abandon(exchange: Exchange) -> None:
    """Close the connections of a client that nobody holds any more."""
    if exchange.connected:
        HTTP_LOOP.submit(exchange.close())
