"""A thin bridge to LiteLLM, for those who have its extra; it is imported at the first call."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opto.errors import MissingExtra, UsageError
from opto.llm.backend import Backend
from opto.llm.base import Abilities, ChatMessage, Completion, completion_of

DEFAULT_MODEL = "gpt-4o"
_COMPROMISED = frozenset({"1.82.7", "1.82.8", "1.107.0"})
VARIABLES = ("TRACE_LITELLM_MODEL", "DEFAULT_LITELLM_MODEL")


class LiteLLM(Backend):
    """A model by LiteLLM's name of it ("gemini/gemini-2.0-flash"); errors are LiteLLM's own.

    Args:
        model: the name; ``TRACE_LITELLM_MODEL`` or ``gpt-4o`` if None.
        reset_freq: accepted because the original has it; there is nothing to renew.
        cache: whether LiteLLM may use the cache that it was configured with.
        options: sent with every call.
    """

    provider = "litellm"

    def __init__(
        self,
        model: str | None = None,
        reset_freq: int | None = None,
        cache: bool = True,  # noqa: FBT001, FBT002 - the original's signature
        **options: Any,
    ) -> None:
        named = (os.environ.get(variable) for variable in VARIABLES)
        self.model_name = model or next((name for name in named if name), DEFAULT_MODEL)
        self.reset_freq, self.cache, self.options = reset_freq, cache, options

    @property
    def abilities(self) -> Abilities:
        """Unknown."""
        return Abilities()

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        return completion_of(_library().completion(**self._arguments(messages, options)))

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        return completion_of(await _library().acompletion(**self._arguments(messages, options)))

    def _arguments(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> dict[str, Any]:
        chosen = {**self.options, **options}
        sent = {name: value for name, value in chosen.items() if value is not None}
        return {"model": self.model_name, "messages": list(messages), "caching": self.cache, **sent}

    def __repr__(self) -> str:
        return f"LiteLLM({self.model_name!r})"


def _library() -> Any:
    found = sys.modules.get("litellm")
    if found is not None:
        return found
    try:
        release = version("litellm")
    except PackageNotFoundError:
        raise MissingExtra("litellm", "litellm", "the LiteLLM backend") from None
    if release in _COMPROMISED:
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
