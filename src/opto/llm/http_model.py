"""What clients of HTTP services have in common, whatever protocol they speak.

A protocol fills in what is sent and how an answer is read; deadlines, retries, turns, keys and
connections are the same for all.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import re
import time
import weakref
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from opto.errors import (
    AuthenticationFailed,
    BadRequest,
    InvalidArgument,
    ModelError,
    RateLimited,
    Timeout,
)
from opto.llm.accounting import room_for_retry
from opto.llm.backend import Backend
from opto.llm.base import Abilities, ChatMessage, Completion
from opto.llm.exchange import Exchange
from opto.llm.limiter import LIMITERS, RateLimiter, Turn
from opto.llm.loop import HTTP_LOOP, within
from opto.llm.rate import Rate
from opto.llm.reading import Assembly, Reader
from opto.llm.retry import RetryPolicy
from opto.llm.secret import ApiKey, public_url
from opto.llm.steps import Request, arun
from opto.llm.stream import pieces_given, sink
from opto.llm.tokens import likely_tokens
from opto.llm.told import allowance
from opto.llm.wire import Answer

if TYPE_CHECKING:
    from typing_extensions import Self

_log = logging.getLogger("opto.llm")
_SCHEMAS = "to be held to schemas"
_NOT_FOUND = 404
_OPTIONAL = (
    *("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty"),
    *("logit_bias", "parallel_tool_calls", "max_tokens"),
)
_UNSUPPORTED = re.compile(
    r"unsupported|(?:not|n't) support|deprecated|no longer|unrecognized|not permitted"
    r"|unknown (?:parameter|name|field|argument)"
)


@dataclass(frozen=True)
class Limits:
    """What one call may take.

    Attributes:
        timeout: seconds for the whole call, retries and waits included.
        max_bytes: size of the reply; a longer one is cut off and refused.
        silence: seconds without a byte after which a streamed answer is given up.
    """

    timeout: float = 180.0
    max_bytes: int = 8 * 1024 * 1024
    silence: float = 90.0


@dataclass(frozen=True)
class Outgoing:
    """A request: the path below the base URL, and the body."""

    path: str
    body: bytes


class HttpModel(Backend):
    """A model behind a URL; a subclass speaks one protocol.

    The arguments are those of `opto.llm.OpenAICompatible`.
    """

    URL: ClassVar[str]
    """The service's own base URL."""
    KEY: ClassVar[str]
    """The environment variable that holds the key for it."""
    STREAMS: ClassVar[bool] = False
    """Whether it can be asked to stream (``options["stream"]``); `_assembly` reads what comes."""
    HOLDS: ClassVar[str] = ""
    """The field that holds a model to a schema, where a request can do without."""

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
        self.base_url = (base_url or self.URL).rstrip("/")
        self.timeout = limits.timeout if timeout is None else timeout
        self.retry = retry if max_attempts is None else retry.limited_to(max_attempts)
        self.options = options
        self._abilities, self._silence = abilities, limits.silence
        self._refused: frozenset[str] = frozenset()
        self._key = self._key_of(api_key)
        self._exchange = Exchange(self.base_url, max_bytes=limits.max_bytes)
        self.limiter = RateLimiter(rate) if isinstance(rate, Rate) else rate or self._shared()
        self._close_when_dropped()

    @property
    def provider(self) -> str:
        """The host that is called."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def api_key(self) -> ApiKey:
        """The key, which shows itself to nobody."""
        return self._key

    @abstractmethod
    def _outgoing(
        self, model: str, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Outgoing:
        """What is sent; raises `InvalidArgument` for what the protocol can't say."""

    @abstractmethod
    def _read(self, answer: Answer) -> Completion | ModelError:
        """What an answer amounts to."""

    def _assembly(self, head: Answer) -> Assembly:
        """What reads the stream that follows `head`."""
        raise NotImplementedError

    def _kept(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options without those that the model refused before."""
        return {name: value for name, value in options.items() if name not in self._refused}

    def _hint(self, error: ModelError) -> str:
        """What to do about `error`, if there is more to say than it says itself."""
        if isinstance(error, AuthenticationFailed) and not self._key.reveal():
            return f"; no API key is set (set {self._key.variable or 'api_key'})"
        if error.status == _NOT_FOUND:
            return "; the service may not have this model, or not any more"
        return ""

    @abstractmethod
    def _signed(self, key: str | None) -> dict[str, str]:
        """The headers that show the key."""

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        return _raised(HTTP_LOOP.run(self._exchanged(messages, options)))

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        return _raised(await HTTP_LOOP.arun(self._exchanged(messages, options)))

    def fresh(self) -> Self:
        """An equal client with connections of its own; it has the key, unlike a pickle."""
        return copy.deepcopy(self)

    def close(self) -> None:
        """Close the kept connections; a later call opens new ones."""
        HTTP_LOOP.run(self._exchange.close())

    async def _exchanged(
        self, messages: Sequence[ChatMessage], options: Mapping[str, Any]
    ) -> Completion | ModelError:
        chosen = {**self.options, **options}
        if chosen.pop("stream", None):
            message = "stream=True can't be an option of a call: use llm.stream(messages=[...])"
            raise InvalidArgument(message)
        if self.STREAMS and sink() is not None:
            chosen["stream"] = True
        timeout = chosen.pop("timeout", None)
        deadline = time.monotonic() + (self.timeout if timeout is None else float(timeout))
        counted = self.limiter.rate.tokens_per_minute
        tokens = likely_tokens(Request(messages, chosen)) if counted else 0
        model = chosen.pop("model", None) or self.model
        sent = self._outgoing(model, messages, self._kept(chosen))
        await self._exchange.open()
        attempt = 0
        failed: ModelError | None = None
        while True:
            attempt += 1
            outcome = await self._in_turn(sent, tokens, deadline)
            if failed is not None and isinstance(outcome, RateLimited) and outcome.status is None:
                return failed  # no turn for another attempt; what the last one said tells more
            if isinstance(outcome, Completion):
                return outcome
            self._sign(outcome, attempt)
            failed = outcome
            if attempt < self.retry.max_attempts and self._learnt(outcome, chosen):
                sent = self._outgoing(model, messages, self._kept(chosen))
                continue
            wait = self.retry.delay(outcome, attempt, deadline - time.monotonic())
            if wait is not None and isinstance(outcome, RateLimited):
                wait = outcome.retry_after or min(wait, self.retry.base_delay)  # then in turn
            if wait is None or pieces_given() or not room_for_retry(outcome):
                return outcome
            _log.debug("%s: attempt %d: %s; again in %.2f s", self, attempt, outcome, wait)
            await asyncio.sleep(wait)

    @property
    def _held(self) -> bool:
        """Whether the model can be held to a schema, as far as is known."""
        return _SCHEMAS not in self._refused

    def _learnt(self, error: ModelError, options: Mapping[str, Any]) -> bool:
        """Whether the model refuses options that it can be asked without, from now on."""
        said = str(error).lower()
        if not isinstance(error, BadRequest):
            return False
        asked = options.get("response_format") is not None and self._held
        if asked and self.HOLDS and _plain(self.HOLDS) in _plain(said):
            self._refused |= {_SCHEMAS}
            _log.info("%s can't be held to the schema; it is asked in another way", self)
            return True
        if not _UNSUPPORTED.search(said):
            return False
        given = [name for name in _OPTIONAL if options.get(name) is not None]
        new = {name for name in given if re.search(rf"\b{name}\b", said)} - self._refused
        if new:
            self._refused |= new
            _log.warning("%s refuses %s; it is asked without", self, ", ".join(sorted(new)))
        return bool(new)

    async def _in_turn(
        self, sent: Outgoing, tokens: int, deadline: float
    ) -> Completion | ModelError:
        try:
            turn = await arun(self.limiter.admit(tokens, deadline))
        except RateLimited as error:
            return error
        outcome: Completion | ModelError | None = None
        try:
            outcome = found = await self._attempt(sent, deadline, turn)
        finally:
            self.limiter.leave(turn, outcome)
        return found

    async def _attempt(
        self, sent: Outgoing, deadline: float, turn: Turn
    ) -> Completion | ModelError:
        started = time.monotonic()
        into = sink() if self.STREAMS else None
        reader = None if into is None else Reader(into, self._silence, self._assembly)
        try:
            post = self._exchange.post(sent.body, self._headers(), sent.path, reader)
            answer = await within(max(0.001, deadline - started), post)
        except asyncio.TimeoutError:
            return Timeout("no complete answer before the deadline of the call")
        if isinstance(answer, ModelError):
            return answer
        told = allowance(answer.headers)
        if told is not None:
            self.limiter.heard(turn, told)
        return (reader and reader.outcome(answer)) or self._read(answer)

    def _shared(self) -> RateLimiter:
        return LIMITERS.of(self.base_url, self.model, self._key.reveal())

    def _headers(self) -> dict[str, str]:
        signed = self._signed(self._key.reveal())
        return {"content-type": "application/json", "accept-encoding": "identity", **signed}

    def _sign(self, error: ModelError, attempt: int) -> None:
        """Say who failed and how often, and take the key out of what the provider said."""
        made = f"{attempt} attempt{'s' if attempt > 1 else ''}"
        said = self._key.redact(str(error))
        error.args = (
            f"{self.model} at {public_url(self.base_url)} ({made}): {said}{self._hint(error)}",
        )
        error.provider, error.model, error.attempts = self.provider, self.model, attempt
        error.request_id = error.request_id and self._key.redact(error.request_id)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.model!r}, {public_url(self.base_url)!r}, {self._key!r})"
        )

    def _key_of(self, given: str | ApiKey | None) -> ApiKey:
        """The key as given; that of the environment goes to the service itself only."""
        if isinstance(given, ApiKey):
            return given
        return ApiKey(given, variable=self.KEY if self.base_url == self.URL else "")

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._close_when_dropped()

    def _close_when_dropped(self) -> None:
        weakref.finalize(self, _abandon, self._exchange)


def _raised(outcome: Completion | ModelError) -> Completion:
    if isinstance(outcome, ModelError):
        raise outcome
    return outcome


def _abandon(exchange: Exchange) -> None:
    """Close the connections of a client that nobody holds any more."""
    if exchange.connected:
        HTTP_LOOP.submit(exchange.close())


def _plain(name: str) -> str:
    """A field's name without regard to its spelling, which refusals change."""
    return name.lower().replace("_", "")
