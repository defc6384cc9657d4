"""OptoPrime with several answers in a step, of which one is chosen."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import partial
from itertools import combinations
from types import MappingProxyType
from typing import Any, cast

from opto.errors import InvalidArgument, ProposalError
from opto.optimizers.model import MODELS, Model, Verbose
from opto.optimizers.optimizer import Parameter, UpdateDict
from opto.optimizers.optoprime import OptoPrime
from opto.optimizers.requests import Request

EXPERTS = (
    "a software engineer who looks for the simplest change that is right",
    "a scientist who asks which value caused what the feedback says",
    "a reviewer who looks for cases that the present values get wrong",
)
_ALIKE = 0.2  # distance below which two answers are one vote
_SELECTION = {
    "moa": "mixture_of_agents",
    "mixture_of_agents": "mixture_of_agents",
    "bestofn": "best_of_n",
    "best_of_n": "best_of_n",
    "majority": "majority",
}

_OF_VALUES = ("response_format", "examples")  # of a question, which the choice doesn't share

_log = logging.getLogger(__name__)

Ask = Callable[[], str]


class OptoPrimeMulti(OptoPrime):
    """Asks for several answers in a step, in one of several ways, and chooses one.

    Args:
        parameters: what to change.
        llm: the model; None for the default one.
        num_responses: how many answers to ask for.
        temperature_min_max: between which temperatures they are asked for; ``[0.0, 1.0]`` if None.
        temperature_range: the same, as the original's first version calls it.
        selector: chooses, ``(answers) -> answer``, in the place of `selection_technique`, and among
            all answers; that chooses among those which can be used.
        generation_technique: "temperature_variation"; "self_refinement", each answer from the one
            before; "iterative_alternatives", each unlike those before; "multi_experts";
            "multi_llm", several models. Anything else counts as the first.
        selection_technique: "best_of_n" or "mixture_of_agents" (one more call), "majority" (what
            most answers are like); anything else takes the last answer.
        experts_list: who the experts are.
        llm_profiles: the models of "multi_llm": models (``LLMFactory.get_llm(...)``), or names: of
            entry points "opto.models", or of profiles, as ``LLM(profile=...)`` takes them.
        llm_weights: the share of the answers that each of them gives.
        settings: other arguments of `OptoPrime`.

    Attributes:
        candidates: the answers of the last step.
        selected_candidate: the one that was chosen.
        failures: why others are missing. If all are, the first of these is raised.
    """

    def __init__(  # noqa: PLR0913 - the original's signature
        self,
        parameters: list[Parameter],
        llm: Model | None = None,
        *,
        num_responses: int = 3,
        temperature_min_max: Sequence[float] | None = None,
        temperature_range: Sequence[float] | None = None,
        selector: Callable[[list[str]], str] | None = None,
        generation_technique: str = "temperature_variation",
        selection_technique: str = "best_of_n",
        experts_list: Sequence[str] | None = None,
        llm_profiles: Sequence[str | Model] | None = None,
        llm_weights: Sequence[float] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, llm, **settings)
        if num_responses < 1:
            message = f"num_responses must be at least 1, got {num_responses}"
            raise InvalidArgument(message)
        self.num_responses = num_responses
        self.temperatures = _span(temperature_min_max or temperature_range or (0.0, 1.0))
        self.selector = selector
        self.generation_technique = generation_technique
        self.selection_technique = selection_technique
        self.experts_list = tuple(experts_list or EXPERTS)
        self.llm_profiles = tuple(llm_profiles or ())
        self.llm_weights = _weights(llm_weights, self.llm_profiles)
        self.candidates: list[str] = []
        self.selected_candidate: str | None = None
        self.failures: list[Exception] = []
        _warn_unless(generation_technique in _GENERATORS, generation_technique, "generation")

    def _answer(self, request: Request, verbose: Verbose, options: Mapping[str, Any]) -> UpdateDict:
        given = {**options, **request.options}
        if request.examples:
            given["examples"] = request.examples
        kept = len(self.log or ())
        self.candidates = self.generate_candidates(request.system, request.user, verbose, **given)
        offered = self.candidates if self.selector is not None else self._usable(request)
        chosen = self.select_candidate(offered, request.system, request.user, verbose, **given)
        self.selected_candidate = chosen
        for entry in (self.log or [])[kept:]:
            entry["generation_technique"] = self.generation_technique
            if self.llm_profiles:
                entry["llm_profiles"] = [str(profile) for profile in self.llm_profiles]
        return self.converted(self.read(chosen, request.wanted), reply=chosen)

    def _usable(self, request: Request) -> list[str]:
        """Return the answers that parameters can be set by; all, if there is none."""
        return [text for text in self.candidates if self._fits(text, request)] or self.candidates

    def _fits(self, answer: str, request: Request) -> bool:
        try:
            self.converted(self.read(answer, request.wanted))
        except ProposalError as error:
            _log.info("an answer isn't among those to choose from: %s", error.reason)
            return False
        return True

    # ---- answers ---------------------------------------------------------------------------------

    def generate_candidates(
        self,
        system_prompt: str,
        user_prompt: str,
        verbose: Verbose = False,  # noqa: FBT002 - the original's signature
        **options: Any,
    ) -> list[str]:
        """Return the answers that could be had; raises the first error if there are none."""
        self.failures = []
        generate = _GENERATORS.get(self.generation_technique, OptoPrimeMulti._by_temperature)
        asked = partial(self.call_llm, verbose=verbose, **options)
        found = generate(self, asked, system_prompt, user_prompt)
        if not found:
            raise self.failures[0]
        return found

    def _at_once(self, asks: Sequence[Ask]) -> list[str]:
        answers = self.concurrently([partial(self._attempted, ask) for ask in asks])
        return [answer for answer in answers if answer is not None]

    def _attempted(self, ask: Ask) -> str | None:
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 - kept, logged, and raised if no answer is left
            _log.warning("an answer is missing: %s: %s", type(error).__name__, error)
            self.failures.append(error)
            return None

    def _by_temperature(self, ask: Callable[..., str], system: str, user: str) -> list[str]:
        return self._at_once(
            [partial(ask, system, user, temperature=degree) for degree in self._degrees()]
        )

    def _degrees(self) -> list[float]:
        """Return the temperatures, the highest first."""
        low, high = self.temperatures
        if self.num_responses == 1:
            return [low]
        pace = (high - low) / (self.num_responses - 1)
        return [round(high - pace * index, 6) for index in range(self.num_responses)]

    def _by_experts(self, ask: Callable[..., str], system: str, user: str) -> list[str]:
        experts = [
            self.experts_list[index % len(self.experts_list)] for index in range(self.num_responses)
        ]
        prompts = [
            self.prompts.render("multi.expert", expert=expert, system=system) for expert in experts
        ]
        return self._at_once([partial(ask, prompt, user) for prompt in prompts])

    def model_of(self, parameter: Parameter) -> str | None:
        """Return the name of the model; with several it isn't kept whose answer was taken."""
        return None if self.llm_profiles else super().model_of(parameter)

    def _by_models(self, ask: Callable[..., str], system: str, user: str) -> list[str]:
        if not self.llm_profiles:
            message = "multi_llm needs llm_profiles: names of profiles, or models"
            raise InvalidArgument(message)
        shares = _shares(self.num_responses, self.llm_weights)
        asks = [
            partial(self._asked_of, profile, ask, system, user)
            for profile, share in zip(self.llm_profiles, shares, strict=True)
            for _ in range(share)
        ]
        return self._at_once(asks)

    def _asked_of(
        self, profile: str | Model, ask: Callable[..., str], system: str, user: str
    ) -> str:
        """Ask the model of a profile; one that can't be made is an answer that is missing."""
        return ask(system, user, llm=_model_of(profile))

    def _by_refinement(self, ask: Callable[..., str], system: str, user: str) -> list[str]:
        return self._one_by_one(ask, system, user, "multi.refine", last_only=True)

    def _by_alternatives(self, ask: Callable[..., str], system: str, user: str) -> list[str]:
        return self._one_by_one(ask, system, user, "multi.alternative", last_only=False)

    def _one_by_one(
        self, ask: Callable[..., str], system: str, user: str, prompt: str, *, last_only: bool
    ) -> list[str]:
        answers: list[str] = []
        for _ in range(self.num_responses):
            previous = answers[-1:] if last_only else answers
            asked = user
            if previous:
                shown = previous[0] if last_only else _numbered(previous)
                asked = self.prompts.render(prompt, user=user, previous=shown)
            answers += self._at_once([partial(ask, system, asked)])
        return answers

    # ---- choice ----------------------------------------------------------------------------------

    def select_candidate(
        self,
        candidates: Sequence[str],
        system_prompt: str,
        user_prompt: str,
        verbose: Verbose = False,  # noqa: FBT002 - the original's signature
        **options: Any,
    ) -> str:
        """Return the answer to use; where all are the same, that one, without asking."""
        if self.selector is not None:
            return self.selector(list(candidates))
        technique = _SELECTION.get(self.selection_technique)
        distinct = list({text.strip(): text for text in candidates}.values())
        if len(distinct) == 1 or technique is None:
            return candidates[-1]
        if technique == "majority":
            return majority(candidates)
        mixing = technique == "mixture_of_agents"
        user = self.prompts.render(
            "multi.mixture" if mixing else "multi.best",
            user=user_prompt,
            candidates=_numbered(distinct),
        )
        given = {key: options[key] for key in options if mixing or key not in _OF_VALUES}
        reply = self.call_llm(system_prompt, user, verbose, **given)
        number = re.fullmatch(r"\W*(?:answer\s*)?(\d+)\W*", reply.strip(), re.IGNORECASE)
        if number and not mixing and 1 <= int(number[1]) <= len(distinct):
            return distinct[int(number[1]) - 1]
        return reply


_GENERATORS: Mapping[str, Callable[[OptoPrimeMulti, Callable[..., str], str, str], list[str]]] = (
    MappingProxyType(
        {
            "temperature_variation": OptoPrimeMulti._by_temperature,
            "self_refinement": OptoPrimeMulti._by_refinement,
            "iterative_alternatives": OptoPrimeMulti._by_alternatives,
            "multi_experts": OptoPrimeMulti._by_experts,
            "multi_llm": OptoPrimeMulti._by_models,
        }
    )
)


def majority(texts: Sequence[str]) -> str:
    """Return the most typical of the largest group of texts that are alike."""
    far = {
        (one, other): 1 - SequenceMatcher(None, texts[one], texts[other], autojunk=False).ratio()
        for one, other in combinations(range(len(texts)), 2)
    }

    def apart(one: Sequence[int], other: Sequence[int]) -> float:
        pairs = [far[min(a, b), max(a, b)] for a in one for b in other if a != b]
        return sum(pairs) / len(pairs) if pairs else 0.0

    groups = [[index] for index in range(len(texts))]
    while len(groups) > 1:
        one, other = min(combinations(groups, 2), key=lambda pair: apart(*pair))
        if apart(one, other) > _ALIKE:
            break
        groups.remove(other)
        one += other
    largest = max(groups, key=len)
    return texts[min(largest, key=lambda index: apart([index], largest))]


def _model_of(profile: str | Model) -> Model:
    if not isinstance(profile, str):
        return profile
    if profile in MODELS.names():
        return cast("Model", MODELS.get(profile)())
    make = MODELS.get("default")
    return cast("Model", make(profile=profile))


def _numbered(texts: Sequence[str]) -> str:
    return "\n\n".join(f"Answer {number}:\n{text}" for number, text in enumerate(texts, start=1))


def _span(given: Sequence[float]) -> tuple[float, float]:
    if len(given) != 2 or min(given) < 0:
        message = f"temperatures are given as [lowest, highest], both at least 0; got {given}"
        raise InvalidArgument(message)
    return min(given), max(given)


def _weights(given: Sequence[float] | None, models: Sequence[object]) -> tuple[float, ...]:
    weights = tuple(given or [1.0] * len(models))
    if len(weights) != len(models) or any(weight <= 0 for weight in weights):
        message = "llm_weights needs a number above 0 for each of llm_profiles"
        raise InvalidArgument(message)
    return weights


def _shares(count: int, weights: Sequence[float]) -> list[int]:
    """Divide a count by weights: each time to the one that is farthest behind."""
    shares = [0] * len(weights)
    for _ in range(count):
        behind = min(range(len(weights)), key=lambda index: (shares[index] + 1) / weights[index])
        shares[behind] += 1
    return shares


def _warn_unless(known: bool, name: str, kind: str) -> None:  # noqa: FBT001 - a private helper
    if not known:
        _log.warning("there is no %s technique %r; the default one is used", kind, name)
