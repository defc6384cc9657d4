"""The services that a model's name or a key in the environment stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opto.errors import UsageError
from opto.llm.anthropic import AnthropicModel
from opto.llm.base import Abilities
from opto.llm.google import GeminiModel
from opto.llm.http_model import HttpModel
from opto.llm.local_servers import OLLAMA_HOST, OllamaModel, VllmModel, ollama_url
from opto.llm.openai_compatible import OpenAICompatible
from opto.llm.secret import ApiKey

_ALIASES: Mapping[str, str] = {"claude-sonnet-3.5-latest": "claude-3-5-sonnet-latest"}


@dataclass(frozen=True)
class Provider:
    """A service.

    Attributes:
        name: as in ``openai:gpt-4o``.
        client: what speaks its protocol; knows its URL.
        keys: the environment variables with the key; the first that is set counts.
        url: the environment variable that replaces the URL.
        default_model: used when only the key is given; "" if there is none.
        names: what its models' names look like.
        prefixes: what may stand before a slash in them, as in ``anthropic/claude-x``.
        address: makes the URL of what stands in `url`.
        abilities: what its models can do, if the client doesn't say.
    """

    name: str
    client: type[HttpModel]
    keys: tuple[str, ...]
    url: str
    default_model: str
    names: re.Pattern[str]
    prefixes: tuple[str, ...]
    address: Callable[[str], str] = str
    abilities: Abilities | None = None

    @property
    def key(self) -> str:
        """The variable that its key belongs into."""
        return self.keys[0]

    def model(self, model: str, *, variables: Mapping[str, str], **settings: Any) -> HttpModel:
        """A client for `model` of this service; raises `UsageError` without a model's name."""
        found = variables.get(self.url, "").strip()
        elsewhere = self.address(found) if found else None
        variable = next((name for name in self.keys if variables.get(name)), self.key)
        settings.setdefault("api_key", ApiKey(variable=variable))
        if self.abilities and not elsewhere:
            settings.setdefault("abilities", self.abilities)
        name = model or self.default_model
        if not name:
            message = f"name a model: {self.name}/<model>"
            raise UsageError(message)
        url = settings.pop("base_url", None) or elsewhere
        return self.client(_ALIASES.get(name, name), url, **settings)


def _versioned(url: str) -> str:
    """The URL as the official client takes it, without the version, made ours."""
    bare = url.rstrip("/")
    return bare if bare.endswith("/v1") else f"{bare}/v1"


OPENAI = Provider(
    "openai",
    OpenAICompatible,
    ("OPENAI_API_KEY",),
    "OPENAI_BASE_URL",
    "gpt-4o",
    re.compile(r"(openai/)?(gpt-|chatgpt-|o\d)"),
    ("openai",),
    abilities=Abilities(json_schema=True, tools=True, json_object=True),
)
ANTHROPIC = Provider(
    "anthropic",
    AnthropicModel,
    ("ANTHROPIC_API_KEY",),
    "ANTHROPIC_BASE_URL",
    "claude-3-5-sonnet-latest",
    re.compile(r"(anthropic/)?claude-"),
    ("anthropic",),
    address=_versioned,
)
GOOGLE = Provider(
    "google",
    GeminiModel,
    ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "GOOGLE_GEMINI_BASE_URL",
    "gemini-flash-latest",
    re.compile(r"(google/|gemini/)?gemini-|gemini/"),
    ("google", "gemini"),
    address=lambda url: url if "/v1" in url else f"{url.rstrip('/')}/v1beta",
)
OLLAMA = Provider(
    "ollama",
    OllamaModel,
    ("OLLAMA_API_KEY",),
    OLLAMA_HOST,
    "",
    re.compile(r"ollama(_chat)?/"),
    ("ollama", "ollama_chat"),
    address=ollama_url,
)
VLLM = Provider(
    "vllm",
    VllmModel,
    ("VLLM_API_KEY",),
    "VLLM_BASE_URL",
    "",
    re.compile(r"(hosted_)?vllm/"),
    ("vllm", "hosted_vllm"),
    address=_versioned,
)
PROVIDERS = (OPENAI, ANTHROPIC, GOOGLE, OLLAMA, VLLM)
_PREFIXES = frozenset(prefix for provider in PROVIDERS for prefix in provider.prefixes)


def provider_of(model: str) -> Provider | None:
    """The service whose model has that name, if the name tells."""
    return next((provider for provider in PROVIDERS if provider.names.match(model)), None)


def bare_name(model: str) -> str:
    """`model` without the name of its service before a slash."""
    service, slash, rest = model.partition("/")
    return rest if slash and service in _PREFIXES else model
