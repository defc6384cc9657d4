"""What there is on this machine, found without network and without loading any weights."""

from __future__ import annotations

import importlib.util
import platform
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opto.errors import OptoError
from opto.execution import report
from opto.llm import Abilities, Fallback, LocalModel, abilities_of
from opto.llm.autogen import AutoGenLLM
from opto.llm.choice import RULES, WAYS, Rule, Surroundings
from opto.llm.http_model import HttpModel
from opto.llm.litellm import LiteLLM
from opto.llm.profiles import names_of_profiles
from opto.llm.secret import public_url
from opto.llm.weights import CATALOGUE, cache_folder, is_present
from opto.version import __version__

EXTRAS: Mapping[str, str] = {
    "local": "xllamacpp",
    "viz": "graphviz",
    "optuna": "optuna",
    "torch": "torch",
    "otel": "opentelemetry",
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google.genai",
    "autogen": "autogen",
    "litellm": "litellm",
    "format": "black",
}
"""Each extra, and a module that it brings."""


@dataclass(frozen=True)
class Outcome:
    """What one rule of the choice comes to.

    Attributes:
        looks_at: what the rule looks at.
        model: what it would choose, in words and without secrets; "" if it doesn't apply.
        why: the reason for it.
        can: what the model can do.
        problem: why it can't be used as it is; "" if it can.
    """

    looks_at: str
    model: str = ""
    why: str = ""
    can: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All that `opto doctor` says.

    Attributes:
        chosen: the number of the rule that gives the model; 0 if none does.
        weights: the names of local models and whether their weights are here.
        execution: how proposed code is confined, a line each.
    """

    version: str
    python: str
    platform: str
    rules: Sequence[Outcome]
    chosen: int
    profiles: Sequence[str]
    weights_in: str
    weights: Mapping[str, bool]
    extras: Mapping[str, bool]
    execution: Sequence[str]

    @property
    def well(self) -> bool:
        """Whether a model can be called."""
        return bool(self.chosen) and not self.rules[self.chosen - 1].problem


def installed(module: str) -> bool:
    """Whether a module could be imported; it isn't."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of its parent
        return False


def diagnose(
    *,
    installed: Callable[[str], bool] = installed,
    execution: Callable[[], object] = report,
) -> Diagnosis:
    """Look; `installed` and `execution` tell what is like that on another machine."""
    rules = [_outcome(rule, installed) for rule in RULES]
    numbers = (number for number, one in enumerate(rules, 1) if one.model or one.problem)
    return Diagnosis(
        __version__,
        platform.python_version(),
        platform.platform(),
        rules,
        next(numbers, 0),
        _profiles(),
        str(cache_folder() / "models"),
        {name: is_present(name) for name in CATALOGUE},
        {extra: installed(module) for extra, module in EXTRAS.items()},
        str(execution()).splitlines(),
    )


def render(found: Diagnosis) -> str:
    """The screen."""
    lines = [f"opto {found.version}, Python {found.python}, {found.platform}", ""]
    lines.append("model, by the first of these that is there:")
    for number, outcome in enumerate(found.rules, 1):
        lines += _shown(number, outcome, chosen=number == found.chosen)
    if not found.chosen:
        lines += ["", WAYS.rpartition("\n")[0]]
    lines += ["", f"profiles: {', '.join(found.profiles)}"]
    lines += ["", f"local weights in {found.weights_in}:"]
    for name, here in found.weights.items():
        state = "here" if here else f"not fetched (opto model fetch {name})"
        lines.append(f"     {name:5} {CATALOGUE[name].title:28} {state}")
    lines += ["", "extras:"]
    for extra, here in found.extras.items():
        missing = f"missing (pip install 'trace-opt[{extra}]')"
        lines.append(f"     {extra:9} {'installed' if here else missing}")
    lines += ["", "code that a model proposes:"]
    lines += [f"     {line}" for line in found.execution]
    return "\n".join(lines)


def described(model: Any) -> str:
    """A model in words, without secrets."""
    if isinstance(model, Fallback):
        return "; then ".join(described(getattr(one, "llm", one)) for one in model.models)
    if isinstance(model, HttpModel):
        key = model.api_key
        told = f"the key of {key.source}" if key.source else "a key"
        shown = told if key.reveal() else "without a key"
        return f"{model.model} at {public_url(model.base_url)}, {shown}"
    if isinstance(model, LocalModel):
        return f"{model.model} in this process"
    if isinstance(model, LiteLLM):
        return f"{model.model_name} by LiteLLM"
    return repr(model)


def _outcome(rule: Rule, installed: Callable[[str], bool]) -> Outcome:
    try:
        selection = rule.apply(Surroundings.here())
    except OptoError as error:
        return Outcome(rule.looks_at, problem=str(error))
    if selection is None:
        return Outcome(rule.looks_at)
    model = selection.model
    can = _can(abilities_of(model))
    lack = _lack(model, installed)
    return Outcome(rule.looks_at, described(model), selection.why, can, lack)


def _can(abilities: Abilities) -> str:
    ways = {"JSON schemas": abilities.json_schema, "tools": abilities.tools}
    said = [name for name, there in ways.items() if there]
    if abilities.context_tokens:
        said.append(f"{abilities.context_tokens:,} tokens")
    short = "; small, so it is asked with short prompts" if abilities.size == "small" else ""
    return ", ".join(said) + short


def _lack(model: Any, installed: Callable[[str], bool]) -> str:
    """What has to be installed before the model can be called."""
    needs = {LocalModel: "local", LiteLLM: "litellm", AutoGenLLM: "autogen"}
    for kind, extra in needs.items():
        if isinstance(model, kind) and not installed(EXTRAS[extra]):
            return f"{EXTRAS[extra]} is missing: pip install 'trace-opt[{extra}]'"
    return ""


def _profiles() -> list[str]:
    try:
        return names_of_profiles(Path.cwd())
    except OptoError as error:
        return [f"error: {error}"]


def _shown(number: int, outcome: Outcome, *, chosen: bool) -> list[str]:
    said = outcome.model or "no"
    why = f" ({outcome.why})" if outcome.why else ""
    if outcome.problem and not outcome.model:
        said = f"error: {outcome.problem}"
    lines = [f"  {'->' if chosen else '  '} {number}. {outcome.looks_at}: {said}{why}"]
    if chosen and outcome.can:
        lines.append(f"        can do: {outcome.can}")
    if chosen and outcome.model and outcome.problem:
        lines.append(f"        but {outcome.problem}")
    return [line for one in lines for line in textwrap.wrap(one, 100, subsequent_indent=" " * 8)]
