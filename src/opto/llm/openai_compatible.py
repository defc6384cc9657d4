"""A client for any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from opto.errors import ModelError
from opto.llm.base import Abilities, ChatMessage, Completion
from opto.llm.chunks import Chunks
from opto.llm.http_model import HttpModel, Outgoing
from opto.llm.http_model import Limits as Limits
from opto.llm.reading import Assembly
from opto.llm.wire import Answer, read_answer, request_body

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
_REASONS = re.compile(r"o\d|gpt-5")  # these refuse max_tokens


class ChatCompletions(HttpModel):
    """A client that speaks OpenAI's chat completions, whoever serves them."""

    STREAMS: ClassVar[bool] = True

    def _outgoing(
        self, model: str, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Outgoing:
        if self.base_url == OPENAI_URL:
            options = for_reasoning(model, options)
        if options.get("stream"):
            options.setdefault("stream_options", {"include_usage": True})
        return Outgoing("/chat/completions", request_body(model, messages, options))

    def _kept(self, options: dict[str, Any]) -> dict[str, Any]:
        if "max_tokens" in self._refused:
            options = _renamed(options)
        return super()._kept(options)

    def _read(self, answer: Answer) -> Completion | ModelError:
        return read_answer(answer)

    def _assembly(self, head: Answer) -> Assembly:
        return Chunks(head)

    def _signed(self, key: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}


class OpenAICompatible(ChatCompletions):
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

    URL: ClassVar[str] = OPENAI_URL
    KEY: ClassVar[str] = OPENAI_KEY

    @property
    def abilities(self) -> Abilities:
        """As given; else a schema is taken to be honoured by OpenAI's own service only."""
        own = self.base_url == OPENAI_URL
        return self._abilities or Abilities(json_schema=own, tools=own, json_object=own)


def for_reasoning(model: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options as OpenAI's service wants them for `model`."""
    return _renamed(options) if _REASONS.match(model) else options


def _renamed(options: dict[str, Any]) -> dict[str, Any]:
    """The options as models that reason want them."""
    names = {"max_tokens": "max_completion_tokens"}
    return {names.get(name, name): value for name, value in options.items()}
