"""``opto.utils.llm``: the names that programs written for the original import from here."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from opto.errors import MissingExtra
from opto.llm.autogen import AutoGenLLM as AutoGenLLM
from opto.llm.base import Completion, completion_of
from opto.llm.config_list import Config, config_list_of_keys
from opto.llm.custom import custom_model
from opto.llm.default import LLM as LLM
from opto.llm.factory import AbstractModel as AbstractModel
from opto.llm.litellm import LiteLLM as LiteLLM
from opto.llm.litellm import embedding_of
from opto.llm.openai_compatible import OpenAICompatible
from opto.llm.own import binds
from opto.llm.profiles import BUILT_IN, of_files
from opto.llm.profiles import profile as named_profile
from opto.utils.auto_retry import retry_with_exponential_backoff

_log = logging.getLogger("opto.utils")


def embed(
    model: str, text: str, max_retries: int = 10, base_delay: float = 1.0
) -> list[float] | None:
    """Return the embedding of a text by LiteLLM's name of a model, None if it can't be had.

    Args:
        model: the name ("text-embedding-3-small").
        text: what to embed.
        max_retries: how often it is tried at most, while what fails may pass.
        base_delay: seconds before the second try; doubled each time.

    Raises:
        MissingExtra: LiteLLM isn't installed.
    """
    try:
        return retry_with_exponential_backoff(
            partial(embedding_of, model, text), max_retries, base_delay, "embedding"
        )
    except MissingExtra:
        raise
    except Exception as error:  # noqa: BLE001 - whatever LiteLLM raises; the original's contract
        _log.warning("no embedding by %s: %s", model, type(error).__name__)
        return None


class CustomLLM(AbstractModel):
    """An OpenAI-compatible server, by ``TRACE_CUSTOMLLM_MODEL``, ``_URL`` and ``_API_KEY``.

    Args:
        model: the model's name; that of the environment, or ``gpt-4o``, if None.
        reset_freq: seconds after which the client is made anew.
        settings: as for `opto.llm.OpenAICompatible`.
    """

    def __init__(
        self, model: str | None = None, reset_freq: float | None = None, **settings: Any
    ) -> None:
        client = custom_model(model, **settings)
        self.model_name = client.model
        super().__init__(_Copies(client), reset_freq)

    def create(self, **config: Any) -> Any:
        """The call, under the name of OpenAI's client."""
        return self.model(**config)


class DummyLLM(AbstractModel):
    """A function that returns text, as a model.

    Args:
        callable: called with what the model is called with.
        reset_freq: without effect; the original has it.
    """

    def __init__(
        self,
        callable: Callable[..., Any],  # noqa: A002 - the original's name
        reset_freq: float | None = None,
    ) -> None:
        self._function = callable
        super().__init__(_Same(callable), reset_freq)

    def __call__(self, *args: Any, **kwargs: Any) -> Completion:
        """What the function returns, as ``.choices[0].message.content``."""
        if "messages" in kwargs and not args and not binds(self._function, **kwargs):
            args = (kwargs.pop("messages"),)  # its parameter has another name
        return completion_of(self._function(*args, **kwargs))


class LLMFactory:
    """Models by profile, as in the original; see `opto.llm.profiles` for where profiles stand."""

    _registered: ClassVar[dict[str, dict[str, Any]]] = {}

    @classmethod
    def get_llm(cls, profile: str = "default") -> LLM:
        """The model of a profile; raises `UsageError` (a ``ValueError``) for an unknown one."""
        return LLM(**cls.get_profile_info(profile))

    @classmethod
    def register_profile(cls, name: str, backend: str, **params: Any) -> None:
        """Add a profile: a back end and arguments for `LLM`."""
        cls._registered[name] = {"backend": backend, **params}

    @classmethod
    def list_profiles(cls) -> list[str]:
        """The names of all profiles."""
        return sorted({**BUILT_IN, **cls._registered, **of_files(Path.cwd())})

    @classmethod
    def get_profile_info(cls, profile: str | None = None) -> dict[str, Any]:
        """The arguments of a profile, or of each by name."""
        if profile is not None:
            return named_profile(profile, cls._registered)
        return {name: named_profile(name, cls._registered) for name in cls.list_profiles()}


def auto_construct_oai_config_list_from_env() -> list[Config]:
    """A config list of ``OPENAI_API_KEY`` and ``ANTHROPIC_API_KEY``, with the default models.

    It is returned and not, as in the original, written into the environment, which every program
    that is started would inherit.
    """
    return config_list_of_keys(os.environ)


class _Same:
    """A factory of one thing; a class, since a lambda can't be pickled."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __call__(self) -> Any:
        return self.thing


class _Copies(_Same):
    """A factory of clients equal to one."""

    thing: OpenAICompatible

    def __call__(self) -> OpenAICompatible:
        return self.thing.fresh()
