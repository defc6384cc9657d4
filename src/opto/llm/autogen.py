"""A thin bridge to AutoGen's client (AG2), for those who have its extra."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opto.errors import MissingExtra, ModelError, NoModel
from opto.llm.backend import Backend
from opto.llm.base import Abilities, ChatMessage, Completion, completion_of
from opto.llm.clients import sign, typed_error
from opto.llm.config_list import Config, config_list_of_keys, filtered, read_config_list
from opto.llm.wire import read_answer


class AutoGenLLM(Backend):
    """Models by a config list, called through AutoGen, which falls back from one to the next.

    Its last error becomes one of ours; retries are AutoGen's own.

    Args:
        config_list: the entries; those of ``OAI_CONFIG_LIST`` if None, or one for each of
            ``OPENAI_API_KEY`` and ``ANTHROPIC_API_KEY`` that is set.
        filter_dict: which of them to use, e.g. ``{"model": ["gpt-4o"]}``.
        reset_freq: accepted because the original has it; there is nothing to renew.
    """

    provider = "autogen"
    _timed = False

    def __init__(
        self,
        config_list: Sequence[Config] | None = None,
        filter_dict: Mapping[str, Any] | None = None,
        reset_freq: int | None = None,
    ) -> None:
        self.config_list = None if config_list is None else list(config_list)
        self.filter_dict, self.reset_freq = filter_dict, reset_freq
        self._client: Any = None

    @property
    def abilities(self) -> Abilities:
        """Unknown."""
        return Abilities()

    @property
    def model_name(self) -> str:
        """The name of the first entry, "autogen" if that isn't known yet."""
        first = (self.config_list or [{}])[0]
        return str(first.get("model") or self.provider)

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Completion:
        failed: ModelError | None = None
        try:
            return completion_of(self.create(messages=list(messages), **options))
        except ModelError:
            raise
        except Exception as error:
            failed = typed_error(error, read_answer)
            if failed is None:
                raise
        self._sign(failed)
        raise failed  # out here it has no context, which might quote a key

    def _sign(self, error: ModelError) -> None:
        keys = [config.get("api_key") for config in self._configs()]
        sign(
            error,
            model=self.model_name,
            by="AutoGen",
            provider=self.provider,
            attempt=1,
            secrets=keys,
        )

    async def _aanswer(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Completion:
        return await asyncio.to_thread(self._answer, messages, options)

    def create(self, **config: Any) -> Any:
        """AutoGen's reply, as it is."""
        if self._client is None:
            self._client = _library().OpenAIWrapper(config_list=self._configs())
        return self._client.create(**config)

    def _configs(self) -> list[dict[str, Any]]:
        configs = self.config_list
        if configs is None:
            found = read_config_list(os.environ, Path.cwd())
            configs = found[0] if found else config_list_of_keys(os.environ)
        chosen = [dict(config) for config in filtered(configs, self.filter_dict)]
        if not chosen:
            message = (
                "no entry for AutoGen: set OAI_CONFIG_LIST, OPENAI_API_KEY or ANTHROPIC_API_KEY, "
                "pass config_list=[...], or look at filter_dict"
            )
            raise NoModel(message)
        return chosen

    def __getstate__(self) -> dict[str, Any]:
        hidden = [
            {name: value for name, value in config.items() if name != "api_key"}
            for config in self.config_list or ()
        ]
        return {**self.__dict__, "_client": None, "config_list": self.config_list and hidden}

    def __deepcopy__(self, memo: dict[int, Any]) -> AutoGenLLM:
        return AutoGenLLM(self.config_list, self.filter_dict, self.reset_freq)

    def __repr__(self) -> str:
        return f"AutoGenLLM({len(self.config_list)} models)" if self.config_list else "AutoGenLLM()"


def _library() -> Any:
    try:
        return importlib.import_module("autogen")
    except ImportError:
        raise MissingExtra("autogen", "autogen", "the AutoGen backend") from None
