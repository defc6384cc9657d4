"""The services that a model's name or a key in the environment stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opto.llm.base import Abilities
from opto.llm.openai_compatible import OPENAI_KEY, OPENAI_URL, OpenAICompatible
from opto.llm.secret import ApiKey

_ALIASES: Mapping[str, str] = {"claude-sonnet-3.5-latest": "claude-3-5-sonnet-latest"}


@dataclass(frozen=True)
class Provider:
    """A service.

    Attributes:
        name: as in ``openai:gpt-4o``.
        base_url: of its chat completions.
        key: the environment variable with the key.
        url: the environment variable that replaces `base_url`, if there is one.
        default_model: used when only the key is given.
        names: what its models' names look like.
    """

    name: str
    base_url: str
    key: str
    url: str
    default_model: str
    names: re.Pattern[str]
    abilities: Abilities

    def model(
        self, model: str, *, variables: Mapping[str, str], **settings: Any
    ) -> OpenAICompatible:
        """A client for `model` of this service."""
        elsewhere = variables.get(self.url) if self.url else None
        settings.setdefault("api_key", ApiKey(variable=self.key))
        if not elsewhere:
            settings.setdefault("abilities", self.abilities)
        name = model or self.default_model
        return OpenAICompatible(
            _ALIASES.get(name, name),
            settings.pop("base_url", None) or elsewhere or self.base_url,
            **settings,
        )


OPENAI = Provider(
    "openai",
    OPENAI_URL,
    OPENAI_KEY,
    "OPENAI_BASE_URL",
    "gpt-4o",
    re.compile(r"(openai/)?(gpt-|chatgpt-|o\d)"),
    Abilities(json_schema=True, tools=True, json_object=True),
)
ANTHROPIC = Provider(
    "anthropic",
    "https://api.anthropic.com/v1",
    "ANTHROPIC_API_KEY",
    "",
    "claude-3-5-sonnet-latest",
    re.compile(r"(anthropic/)?claude-"),
    Abilities(tools=True),
)
PROVIDERS = (OPENAI, ANTHROPIC)


def provider_of(model: str) -> Provider | None:
    """The service whose model has that name, if the name tells."""
    return next((provider for provider in PROVIDERS if provider.names.match(model)), None)


def bare_name(model: str) -> str:
    """`model` without the name of its service before a slash."""
    service, slash, rest = model.partition("/")
    return rest if slash and service in {provider.name for provider in PROVIDERS} else model
