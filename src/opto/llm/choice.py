"""Which model to use, when the caller leaves it open: a list of rules, the first that fits wins.

Choosing reads the environment and files, and does nothing else: no network, no weights loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opto.errors import NoModel, UnknownName, UsageError
from opto.llm.autogen import AutoGenLLM
from opto.llm.config_list import VARIABLE as CONFIG_LIST
from opto.llm.config_list import Config, filtered, model_of, read_config_list
from opto.llm.custom import MODEL as CUSTOM_MODEL
from opto.llm.custom import URL as CUSTOM_URL
from opto.llm.custom import custom_model
from opto.llm.fallback import Fallback
from opto.llm.litellm import VARIABLES as LITELLM_VARIABLES
from opto.llm.litellm import LiteLLM
from opto.llm.local import LocalModel
from opto.llm.openai_compatible import OpenAICompatible
from opto.llm.providers import (
    ANTHROPIC,
    GOOGLE,
    OPENAI,
    PROVIDERS,
    Provider,
    bare_name,
    provider_of,
)
from opto.llm.secret import ApiKey
from opto.llm.weights import CATALOGUE, DEFAULT, is_present
from opto.registry import Registry

MODEL_VARIABLE, KEY_VARIABLE = "OPTO_MODEL", "OPTO_API_KEY"
BACKEND_VARIABLE = "TRACE_DEFAULT_LLM_BACKEND"

WAYS = f"""no language model is configured. Ways to get one:
  - a key:            set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY
  - Ollama, vLLM:     set {MODEL_VARIABLE}=ollama/<model> or vllm/<model>
  - any server:       set {MODEL_VARIABLE}=https://host/v1#<model> (and {KEY_VARIABLE})
  - without network:  pip install 'trace-opt[local]' && opto model fetch {DEFAULT}
  - a config list:    set {CONFIG_LIST} to a file, or put a file of that name into this folder
  - in code:          pass llm=..., any callable llm(messages=[...])
`opto doctor` shows what was looked at."""


@dataclass(frozen=True)
class Surroundings:
    """What the rules look at, beside the environment."""

    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    filter_dict: Mapping[str, Any] | None = None

    @staticmethod
    def here(
        settings: Mapping[str, Any] | None = None, filter_dict: Mapping[str, Any] | None = None
    ) -> Surroundings:
        """Those of this process now."""
        return Surroundings(Path.cwd(), settings or {}, filter_dict)


@dataclass(frozen=True)
class Selection:
    """A model and the reason why it was chosen."""

    model: Any
    why: str


Backend = Callable[..., Any]
BACKENDS: Registry[Backend] = Registry("LLM backend", group="opto.llm")
"""What stands before the colon in ``OPTO_MODEL``, or in `backend`: a function of the model's name
("" for its default) and of settings, which returns a model."""


def _of(provider: Provider) -> Backend:
    def made(model: str, **settings: Any) -> Any:
        return provider.model(model, variables=os.environ, **settings)

    return made


for _provider in PROVIDERS:
    BACKENDS.register(_provider.name)(_of(_provider))
BACKENDS.register("gemini")(_of(GOOGLE))


@BACKENDS.register("local")
def _local(model: str, **settings: Any) -> Any:
    return LocalModel(model or DEFAULT, **settings)


@BACKENDS.register("litellm")
def _litellm(model: str, **settings: Any) -> Any:
    return LiteLLM(model or None, **settings)


@BACKENDS.register("autogen")
def _autogen(model: str, **settings: Any) -> Any:
    if model:
        settings.setdefault("filter_dict", {"model": [model]})
    return AutoGenLLM(**settings)


@BACKENDS.register("custom")
def _custom(model: str, **settings: Any) -> Any:
    return custom_model(model or None, **settings)


def backend_named(name: str) -> Backend:
    """The back end of that name, whatever its case; the original's names are known, too."""
    lowered = name.lower()
    try:
        return BACKENDS.get({"customllm": "custom"}.get(lowered, lowered))
    except UnknownName:
        message = f"Unknown LLM backend: {name}; known: {', '.join(BACKENDS.names())}"
        raise UsageError(message) from None


def model_named(spec: str, settings: Mapping[str, Any]) -> Any:
    """The model that a text names: ``provider:model``, ``http://host/v1#model``, or a bare name."""
    if spec.startswith(("http://", "https://")):
        url, _, name = spec.partition("#")
        chosen: dict[str, Any] = {"api_key": ApiKey(variable=KEY_VARIABLE), **settings}
        return OpenAICompatible(name or "default", url, **chosen)
    prefix, colon, rest = spec.partition(":")
    if colon and "/" not in prefix:
        return backend_named(prefix)(rest, **settings)
    if spec.lower() in CATALOGUE or spec.endswith(".gguf"):
        return LocalModel(spec, **settings)
    provider = provider_of(spec) or OPENAI
    return provider.model(bare_name(spec), variables=os.environ, **settings)


# ---- the rules, in their order -------------------------------------------------------------------


def _by_opto_model(around: Surroundings) -> Selection | None:
    spec = os.environ.get(MODEL_VARIABLE, "").strip()
    if not spec:
        return None
    shown = spec.partition("?")[0].rpartition("@")[2]
    return Selection(model_named(spec, around.settings), f"{MODEL_VARIABLE} is {shown}")


def _by_backend_variable(around: Surroundings) -> Selection | None:
    name = os.environ.get(BACKEND_VARIABLE, "").strip()
    if not name:
        return None
    return Selection(backend_named(name)("", **around.settings), f"{BACKEND_VARIABLE} is {name}")


def _by_custom_variables(around: Surroundings) -> Selection | None:
    given = [name for name in (CUSTOM_URL, CUSTOM_MODEL) if os.environ.get(name)]
    return Selection(custom_model(**around.settings), f"{given[0]} is set") if given else None


def _by_litellm_variables(around: Surroundings) -> Selection | None:
    for variable in LITELLM_VARIABLES:
        model = os.environ.get(variable)
        if model:
            provider = provider_of(model)
            chosen = (
                provider.model(bare_name(model), variables=os.environ, **around.settings)
                if provider
                else LiteLLM(model, **around.settings)
            )
            return Selection(chosen, f"{variable} is {model}")
    return None


def _by_config_list(around: Surroundings) -> Selection | None:
    found = read_config_list(os.environ, around.folder)
    if found is None:
        return None
    configs, source = found
    return of_config_list(configs, around, source)


def _by_key(provider: Provider) -> Callable[[Surroundings], Selection | None]:
    def rule(around: Surroundings) -> Selection | None:
        if not os.environ.get(provider.key):
            return None
        model = provider.model("", variables=os.environ, **around.settings)
        return Selection(model, f"{provider.key} is set")

    return rule


def _by_weights(around: Surroundings) -> Selection | None:
    for name in (DEFAULT, *reversed(tuple(CATALOGUE))):
        if is_present(name):
            return Selection(LocalModel(name, **around.settings), f"the weights of {name} are here")
    return None


@dataclass(frozen=True)
class Rule:
    """One way to a model."""

    looks_at: str
    apply: Callable[[Surroundings], Selection | None]


RULES: Sequence[Rule] = (
    Rule(MODEL_VARIABLE, _by_opto_model),
    Rule(BACKEND_VARIABLE, _by_backend_variable),
    Rule(f"{CUSTOM_URL}, {CUSTOM_MODEL}", _by_custom_variables),
    Rule(", ".join(LITELLM_VARIABLES), _by_litellm_variables),
    Rule(CONFIG_LIST, _by_config_list),
    Rule(OPENAI.key, _by_key(OPENAI)),
    Rule(ANTHROPIC.key, _by_key(ANTHROPIC)),
    Rule(GOOGLE.key, _by_key(GOOGLE)),
    Rule("weights in the cache", _by_weights),
)


def choose(around: Surroundings | None = None) -> Selection:
    """The model of the first rule that gives one; raises `NoModel`, which lists the ways."""
    around = around or Surroundings.here()
    for rule in RULES:
        selection = rule.apply(around)
        if selection is not None:
            return selection
    raise NoModel(WAYS)


def of_config_list(configs: Sequence[Config], around: Surroundings, why: str) -> Selection:
    """The entries that `filter_dict` lets through, each for when those before it fail.

    Raises:
        NoModel: if there is none.
    """
    chosen = filtered(configs, around.filter_dict)
    if not chosen:
        message = f"none of the {len(configs)} entries fits filter_dict={around.filter_dict!r}"
        raise NoModel(message)
    models = [model_of({**config, **around.settings}, os.environ) for config in chosen]
    return Selection(models[0] if len(models) == 1 else Fallback(models), why)
