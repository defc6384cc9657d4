"""A thin bridge to LiteLLM, for those who have its extra; it is imported at the first call."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from opto.errors import (
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    MissingExtra,
    ModelError,
    QuotaExceeded,
    UsageError,
)
from opto.llm.base import Abilities, ChatMessage, Completion, completion_of
from opto.llm.clients import ClientModel, answer_of
from opto.llm.retry import RetryPolicy
from opto.llm.steps import Request
from opto.llm.wire import Answer, read_answer

DEFAULT_MODEL = "gpt-4o"
COMPROMISED = frozenset({"1.82.7", "1.82.8", "1.107.0"})
"""Releases that stole keys; pyproject.toml excludes them, too."""
VARIABLES = ("TRACE_LITELLM_MODEL", "DEFAULT_LITELLM_MODEL")
SCOPE = "AZURE_TOKEN_PROVIDER_SCOPE"
_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$")
_SHORTEST_SECRET = 8
_BY_NAME: Mapping[str, type[ModelError]] = {
    "ContextWindowExceededError": ContextTooLong,
    "ContentPolicyViolationError": ContentFiltered,
    "PaymentRequiredError": QuotaExceeded,
    "BudgetExceededError": QuotaExceeded,
}


class LiteLLM(ClientModel):
    """A model by LiteLLM's name of it ("mistral/mistral-large-latest").

    Its retries are off in favour of ours, and its errors become ours. With Azure's models and
    ``AZURE_TOKEN_PROVIDER_SCOPE``, tokens of Azure's directory are used (package azure-identity).

    Args:
        model: the name; ``TRACE_LITELLM_MODEL`` or ``gpt-4o`` if None.
        reset_freq: accepted because the original has it; there is nothing to renew.
        cache: whether LiteLLM may use the cache that it was configured with.
        max_retries: how often a call is tried again.
        base_delay: seconds before the second request; doubled each time.
        options: sent with every call; ``timeout`` is for the whole call.
    """

    DEFAULT: ClassVar[str] = DEFAULT_MODEL
    BOTH: ClassVar[bool] = True

    def __init__(
        self,
        model: str | None = None,
        reset_freq: int | None = None,
        cache: bool = True,  # noqa: FBT001, FBT002 - the original's signature
        *,
        max_retries: int = 3,
        base_delay: float = 0.5,
        **options: Any,
    ) -> None:
        named = (os.environ.get(variable) for variable in VARIABLES)
        policy = RetryPolicy(max_attempts=max_retries + 1, base_delay=base_delay)
        super().__init__(
            _LIBRARY, model or next((name for name in named if name), None), retry=policy, **options
        )
        self.reset_freq, self.cache = reset_freq, cache

    @property
    def provider(self) -> str:
        """LiteLLM."""
        return "litellm"

    @property
    def abilities(self) -> Abilities:
        """As given; else unknown."""
        return self._abilities or Abilities()

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        await asyncio.to_thread(_library)  # it takes seconds to load
        return await super()._aanswer(messages, options)

    def _send(self, model: str, request: Request, *, awaited: bool) -> Any:
        library = _library()
        sent = {name: value for name, value in request.options.items() if value is not None}
        if model.startswith("azure/") and os.environ.get(SCOPE):
            sent.setdefault("azure_ad_token_provider", _token_provider(os.environ[SCOPE]))
        ask = library.acompletion if awaited else library.completion
        return ask(
            model=model,
            messages=list(request.messages),
            caching=self.cache,
            **{"num_retries": 0, "max_retries": 0, **sent},
        )

    def _read(self, reply: Any) -> Completion | ModelError:
        try:
            return completion_of(reply)
        except BadResponse as error:
            return error

    def _read_refusal(self, answer: Answer) -> Completion | ModelError:
        return read_answer(answer)

    def _failed(self, error: Exception) -> ModelError | None:
        for kind in type(error).__mro__:
            if kind.__name__ in _BY_NAME:
                return _BY_NAME[kind.__name__](str(error), status=_status(error))
        answer = answer_of(error)
        if answer is not None and not answer.body:
            said = json.dumps({"error": {"message": str(error)}}).encode()
            found = read_answer(Answer(answer.status, said, answer.headers))
            return found if isinstance(found, ModelError) else None
        return super()._failed(error)

    def _method(self) -> Any:
        return _library().completion

    def _secrets(self) -> Iterable[object]:
        yield self.options.get("api_key")
        for name, value in os.environ.items():
            if _SECRET.search(name) and len(value) >= _SHORTEST_SECRET:
                yield value

    def __getstate__(self) -> dict[str, Any]:
        hidden = {name: value for name, value in self.options.items() if name != "api_key"}
        return {**self.__dict__, "options": hidden}


def embedding_of(model: str, text: str) -> list[float]:
    """Return the embedding of a text by LiteLLM's name of a model.

    Raises:
        MissingExtra: LiteLLM isn't installed.
        Exception: whatever LiteLLM raises.
    """
    reply = _library().embedding(model=model, input=[text])
    return [float(number) for number in reply["data"][0]["embedding"]]


_LIBRARY = "the library itself"


def _status(error: Exception) -> int | None:
    found = getattr(error, "status_code", None)
    return found if isinstance(found, int) else None


def _token_provider(scope: str) -> Any:
    try:
        identity: Any = importlib.import_module("azure.identity")
    except ImportError:
        message = f"{SCOPE} is set, and azure-identity is missing: pip install azure-identity"
        raise UsageError(message) from None
    return identity.get_bearer_token_provider(identity.DefaultAzureCredential(), scope)


def _library() -> Any:
    found = sys.modules.get("litellm")
    if found is not None:
        return found
    try:
        release = version("litellm")
    except PackageNotFoundError:
        raise MissingExtra("litellm", "litellm", "the LiteLLM backend") from None
    if release in COMPROMISED:
        message = f"litellm {release} is a release that steals keys; remove it and change your keys"
        raise UsageError(message)
    # Importing it would read a .env file, fetch a price list, and change what warnings are shown.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    try:
        with warnings.catch_warnings():
            library: Any = importlib.import_module("litellm")
    except ImportError:
        raise MissingExtra("litellm", "litellm", "the LiteLLM backend") from None
    library.telemetry = False
    return library
