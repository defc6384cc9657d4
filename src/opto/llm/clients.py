"""Clients of the official libraries that a user brings: their connections, our rules.

The client sends; its own retries are off. Its raw answers are read by the functions that our own
clients use, so errors, retries and usage are the same. Nothing here imports a library: a client is
known by its shape.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

from opto.errors import BadResponse, Disconnected, InvalidArgument, ModelError, Timeout, UsageError
from opto.llm.backend import Backend
from opto.llm.base import Abilities, ChatMessage, Completion
from opto.llm.loop import OWN_LOOP
from opto.llm.retry import RetryPolicy
from opto.llm.secret import ApiKey
from opto.llm.steps import Ask, Request, Steps, Wait, arun, run
from opto.llm.wire import Answer

_LIBRARIES = frozenset(
    {"openai", "anthropic", "google", "httpx", "httpx2", "httpcore", "httpcore2"}
)


class ClientModel(Backend):
    """A model called through a client that the user made; a subclass knows one library's.

    Args:
        client: the client, synchronous or asynchronous. An asynchronous one is used on an event
            loop of ours, since its connections belong to one; keep it to this model.
        model: the name of the model, the service's default one if None.
        timeout: seconds for the whole call, retries included. Within one request the library's own
            idea of a timeout holds.
        max_attempts: requests per call, the first included.
        retry: replaces the default policy; `max_attempts` goes before it.
        abilities: what the model can do, if it isn't what the service's models can.
        options: sent with every call.
    """

    DEFAULT: ClassVar[str]
    """The model's name if none is given."""
    BOTH: ClassVar[bool] = False
    """Whether one client can be called and awaited."""

    def __init__(
        self,
        client: Any,
        model: str | None = None,
        *,
        timeout: float = 180.0,
        max_attempts: int | None = None,
        retry: RetryPolicy | None = None,
        abilities: Abilities | None = None,
        **options: Any,
    ) -> None:
        policy = retry or RetryPolicy()
        self.client = client
        self.model = self.model_name = model or self._default(client)
        self.timeout, self.options, self._abilities = timeout, options, abilities
        self.retry = policy if max_attempts is None else policy.limited_to(max_attempts)

    @property
    def provider(self) -> str:
        """The library's name."""
        return type(self.client).__module__.partition(".")[0]

    def _default(self, client: Any) -> str:
        del client
        return self.DEFAULT

    @abstractmethod
    def _send(self, model: str, request: Request, *, awaited: bool) -> Any:
        """Ask the client; return what it returns, which may have to be awaited.

        Args:
            model: the model's name.
            request: what to ask; ``timeout`` is the seconds that are left.
            awaited: whether something to await is wanted, from a client that has `BOTH`.
        """

    @abstractmethod
    def _read(self, reply: Any) -> Completion | ModelError:
        """What the client's reply amounts to."""

    @abstractmethod
    def _read_refusal(self, answer: Answer) -> Completion | ModelError:
        """What an answer that the client raised an error for amounts to."""

    @abstractmethod
    def _method(self) -> Any:
        """What is called, to see whether it has to be awaited."""

    @abstractmethod
    def _secrets(self) -> Iterable[object]:
        """Keys, to be taken out of messages; what isn't a text is passed over."""

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        return run(self._steps(Request(messages, options)))

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        return await arun(self._steps(Request(messages, options)))

    def _steps(self, request: Request) -> Steps[Completion]:
        if self.client is None:
            message = f"{self!r} has no client, since a pickle holds none; set its .client"
            raise UsageError(message)
        chosen = {**self.options, **request.options}
        if chosen.pop("stream", None):
            message = "stream=True can't be an option of a call: use llm.stream(messages=[...])"
            raise InvalidArgument(message)
        timeout = chosen.pop("timeout", None)
        deadline = time.monotonic() + (self.timeout if timeout is None else float(timeout))
        attempt = 0
        while True:
            attempt += 1
            left = max(0.001, deadline - time.monotonic())
            try:
                reply: Completion = yield Ask(
                    _Once(self), Request(request.messages, {**chosen, "timeout": left})
                )
            except ModelError as error:
                self._sign(error, attempt)
                wait = self.retry.delay(error, attempt, deadline - time.monotonic())
                if wait is None:
                    raise
            else:
                return reply
            yield Wait(wait)

    def _sign(self, error: ModelError, attempt: int) -> None:
        sign(
            error,
            model=self.model,
            by=type(self).__name__,
            provider=self.provider,
            attempt=attempt,
            secrets=self._secrets(),
        )

    def _failed(self, error: Exception) -> ModelError | None:
        """The error that an exception of the library amounts to; None if it isn't the library's."""
        return typed_error(error, self._read_refusal)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "client": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> ClientModel:
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"


class _Once:
    """One request through the client."""

    def __init__(self, owner: ClientModel) -> None:
        self._owner = owner

    def __call__(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        return self._begin(messages, options, awaited=False)

    async def acall(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        owner = self._owner
        if owner.BOTH or inspect.iscoroutinefunction(inspect.unwrap(owner._method())):
            return await OWN_LOOP.arun(self._begun(messages, options))
        return await asyncio.to_thread(self, messages, **options)

    def _now(self, reply: Any) -> Completion:
        found = self._owner._read(reply)
        if isinstance(found, ModelError):
            raise found
        return found

    async def _begun(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        begun = self._begin(messages, options, awaited=True)
        found: Completion = await begun if inspect.isawaitable(begun) else begun
        return found

    def _begin(
        self, messages: Sequence[ChatMessage], options: dict[str, Any], *, awaited: bool
    ) -> Any:
        owner = self._owner
        model = options.pop("model", None) or owner.model
        reply: Any = None
        failed: Exception | None = None
        try:
            reply = owner._send(model, Request(messages, options), awaited=awaited)
        except Exception as error:  # noqa: BLE001 - told apart by the libraries' classes
            failed = owner._failed(error) or error
        if failed is not None:
            raise failed  # out here it has no context, which might quote a key
        return self._later(reply) if inspect.isawaitable(reply) else self._now(reply)

    async def _later(self, reply: Any) -> Completion:
        found: Any = None
        failed: Exception | None = None
        try:
            found = await reply
        except Exception as error:  # noqa: BLE001 - likewise
            failed = self._owner._failed(error) or error
        if failed is not None:
            raise failed
        return self._now(found)


def typed_error(
    error: Exception, read: Callable[[Answer], Completion | ModelError]
) -> ModelError | None:
    """The error that an exception of a known library amounts to; None for another's.

    Args:
        error: what was raised.
        read: tells what an answer amounts to, if the exception carries one.
    """
    kinds = type(error).__mro__
    library = any(kind.__module__.partition(".")[0] in _LIBRARIES for kind in kinds)
    answer = answer_of(error) if library else None
    if answer is not None:
        found = read(answer)
        return found if isinstance(found, ModelError) else None
    if isinstance(error, json.JSONDecodeError):
        return BadResponse(f"the answer isn't JSON: {error}")
    names = [kind.__name__ for kind in kinds]
    timed_out = isinstance(error, (TimeoutError, asyncio.TimeoutError))
    if timed_out or (library and any("Timeout" in name for name in names)):
        return Timeout("the client gave up waiting")
    cut = library and any("Connect" in name or "Transport" in name for name in names)
    if cut or isinstance(error, ConnectionError):
        return Disconnected(f"the connection failed: {type(error).__name__}: {error}")
    return None


def sign(
    error: ModelError,
    *,
    model: str,
    by: str,
    provider: str,
    attempt: int,
    secrets: Iterable[object],
) -> None:
    """Say on an error who failed and how often, and take the keys out of what was said."""
    said = ApiKey().redact(str(error))
    for key in secrets:
        said = ApiKey(key).redact(said) if isinstance(key, str) else said
    made = f"{attempt} attempt{'s' if attempt > 1 else ''}"
    error.args = (f"{model} by {by} ({made}): {said}",)
    error.provider, error.model, error.attempts = provider, model, attempt


def answer_of(holder: Any) -> Answer | None:
    """The HTTP answer that an exception, or a raw reply, carries."""
    response = getattr(holder, "http_response", None) or getattr(holder, "response", None)
    status = getattr(response, "status_code", None) or getattr(holder, "code", None)
    if not isinstance(status, int):
        return None
    headers = cast("Mapping[str, str]", getattr(response, "headers", None) or {})
    try:
        body = bytes(getattr(response, "content", b"") or b"")
    except Exception:  # noqa: BLE001 - a body that wasn't read can't be had any more
        body = b""
    return Answer(status, body, {name.lower(): value for name, value in headers.items()})


def accepted(method: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that `method` takes by name; the others in ``extra_body``, where it takes any."""
    try:
        known = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return dict(options)
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        return dict(options)
    taken = {name: value for name, value in options.items() if name in known}
    others = {name: value for name, value in options.items() if name not in known}
    return {**taken, "extra_body": others} if others and "extra_body" in known else taken
