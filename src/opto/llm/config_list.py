"""Lists of models with their keys, as AutoGen keeps them: ``OAI_CONFIG_LIST``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from opto.errors import UsageError
from opto.llm.base import ChatModel
from opto.llm.openai_compatible import OPENAI_URL, OpenAICompatible
from opto.llm.providers import (
    ANTHROPIC,
    GOOGLE,
    OLLAMA,
    OPENAI,
    Provider,
    bare_name,
    provider_of,
)
from opto.llm.secret import ApiKey

VARIABLE = "OAI_CONFIG_LIST"
_SETTINGS = ("temperature", "timeout", "max_tokens", "seed", "top_p", "max_attempts")
_PLAIN: frozenset[Any] = frozenset({"openai", "open_ai", "", None})
_TYPES: Mapping[Any, Provider] = {
    "anthropic": ANTHROPIC,
    "google": GOOGLE,
    "gemini": GOOGLE,
    "ollama": OLLAMA,
}

Config = Mapping[str, Any]


def read_config_list(variables: Mapping[str, str], folder: Path) -> tuple[list[Config], str] | None:
    """The list of the environment or of `folder`, and where it was found; None if there is none.

    Args:
        variables: ``OAI_CONFIG_LIST`` in it is the path of a file, or JSON text.
        folder: a file of that name in it is read if the variable isn't set.

    Raises:
        UsageError: if what is there isn't such a list. The message doesn't show the contents.
    """
    value = variables.get(VARIABLE, "").strip()
    if value.startswith(("[", "{")):
        return parse_config_list(value, VARIABLE), f"{VARIABLE} (JSON in the environment)"
    path = folder / (value or VARIABLE)
    if not path.is_file():
        if value:
            message = f"{VARIABLE} names the file {value!r}, which isn't there; set it to a path"
            raise UsageError(message)
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} can't be read: {type(error).__name__}"
        raise UsageError(message) from None
    return parse_config_list(text, str(path)), str(path)


def parse_config_list(text: str, source: str) -> list[Config]:
    """Read JSON text; raises `UsageError` if it isn't a list of objects that name a model."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    entries = cast("list[object]", data) if isinstance(data, list) else []
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        message = f'{source} should be a JSON list like [{{"model": "gpt-4o", "api_key": "..."}}]'
        raise UsageError(message)
    return [cast("Config", entry) for entry in entries]


def filtered(configs: Sequence[Config], filter_dict: Mapping[str, Any] | None) -> list[Config]:
    """Those entries whose values are among the wanted ones, for every key of `filter_dict`."""
    return [
        config
        for config in configs
        if all(_matches(config.get(key), wanted) for key, wanted in (filter_dict or {}).items())
    ]


def model_of(config: Config, variables: Mapping[str, str]) -> ChatModel:
    """A client for one entry; raises `UsageError` if it names no model or an unknown kind."""
    name = config.get("model")
    if not isinstance(name, str) or not name:
        message = f"an entry of {VARIABLE} needs a 'model'; this one has {sorted(config)}"
        raise UsageError(message)
    kind = config.get("api_type")
    if kind not in _PLAIN and kind not in _TYPES:
        message = (
            f"api_type {kind!r} isn't served by our own client; "
            "use LLM(backend='AutoGen') or LLM(backend='LiteLLM')"
        )
        raise UsageError(message)
    settings = {key: config[key] for key in _SETTINGS if key in config}
    url = config.get("base_url") or config.get("api_base")
    key = config.get("api_key")
    typed = _TYPES.get(kind)
    if url and str(url).rstrip("/") != OPENAI_URL:
        if typed:
            return typed.client(bare_name(name), str(url), api_key=key, **settings)
        return OpenAICompatible(name, str(url), api_key=key, **settings)
    provider = typed or provider_of(name) or OPENAI
    if key:
        settings["api_key"] = ApiKey(key, variable=provider.key)
    return provider.model(bare_name(name), variables=variables, **settings)


def config_list_of_keys(variables: Mapping[str, str]) -> list[Config]:
    """An entry for each service whose key is in the environment."""
    return [
        {"model": provider.default_model, "api_key": variables[provider.key]}
        for provider in (OPENAI, ANTHROPIC)
        if variables.get(provider.key)
    ]


def _matches(value: object, wanted: object) -> bool:
    allowed = cast("Sequence[object]", wanted) if isinstance(wanted, (list, tuple)) else (wanted,)
    if isinstance(value, (list, tuple)):
        return any(item in allowed for item in cast("Sequence[object]", value))
    return value in allowed
