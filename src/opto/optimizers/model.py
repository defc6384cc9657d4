"""Optimizers that ask a language model: finding it, calling it, turning replies into updates."""

from __future__ import annotations

import logging
import re
import sys
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from opto.errors import ExecutionError, InvalidArgument, ProposalError
from opto.llm.base import completion_of
from opto.llm.own import callable_model
from opto.optimizers.bounds import within_bounds
from opto.optimizers.budget import Budget
from opto.optimizers.code import checked_code, main_function
from opto.optimizers.concurrent import at_once
from opto.optimizers.names import Names, Wanted
from opto.optimizers.optimizer import Optimizer, Parameter, UpdateDict
from opto.optimizers.parsing import parse_reply
from opto.optimizers.problem import Problem, read_problem
from opto.optimizers.prompts import Prompts
from opto.optimizers.values import converted
from opto.registry import Registry

Model: TypeAlias = Callable[..., Any]
Score: TypeAlias = Callable[[UpdateDict], float]
Verbose: TypeAlias = "bool | str"
T = TypeVar("T")

MODELS: Registry[Model] = Registry("model", group="opto.models")
TEMPERATURE = 0.8  # of candidates, if the user set none
_REFUSALS_SHOWN = 3

_log = logging.getLogger(__name__)


class ModelOptimizer(Optimizer, ABC):
    """An optimizer that asks a language model.

    Args:
        parameters: what to change.
        llm: the model, any callable of the call contract; None for the default one.
        objective: what is wanted, in words; None for the optimizer's own.
        max_tokens: how long an answer may be.
        log: whether to keep prompts and replies in `log`, and steps in `summary_log`.
        config_list: entries of an ``OAI_CONFIG_LIST``; the first is the model if `llm` is None.
        prompts: a folder with files that replace prompts of the same name.
        options: more arguments for each call of the model (``{"temperature": 0.7}``).
        problem_tokens: how long what is shown of a run may be; None for what the model's context
            allows. Parameters, constraints and feedback are shown whole all the same.
        settings: `propagator` and `ignore_extraction_error` of `Optimizer`.

    Attributes:
        log: a dict with system_prompt, user_prompt and response for each call; None if not wanted.
        hints: what the model is told of parameters beside their constraints.
    """

    def __init__(  # noqa: PLR0913 - settings, all but two keyword-only
        self,
        parameters: list[Parameter],
        llm: Model | None = None,
        *,
        objective: str | None = None,
        max_tokens: int = 4096,
        log: bool = True,
        config_list: Sequence[Mapping[str, Any]] | None = None,
        prompts: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
        problem_tokens: int | None = None,
        **settings: Any,
    ) -> None:
        unknown = sorted(settings.keys() - {"propagator", "ignore_extraction_error"})
        if unknown:
            message = f"{type(self).__name__} has no argument {', '.join(unknown)}"
            raise InvalidArgument(message)
        super().__init__(parameters, **settings)
        self.llm: Model = default_model(config_list) if llm is None else callable_model(llm)
        self.prompts = Prompts(prompts)
        self.objective = objective or self.default_objective
        self.max_tokens = max_tokens
        self.options: dict[str, Any] = dict(options or {})
        self.problem_tokens = problem_tokens
        self.log: list[dict[str, Any]] | None = [] if log else None
        self.summary_log = [] if log else None
        self.hints: dict[Parameter, str] = {}

    default_objective: Any = ""

    @property
    def budget(self) -> Budget:
        """How long prompts and answers may be."""
        return Budget(self.llm, self.max_tokens, self.problem_tokens)

    def summarize(self) -> Problem:
        """Return the run that got feedback as plain values."""
        problem = read_problem(self._feedback(), self.parameters, self.names)
        if not self.hints:
            return problem
        hints = {self.names.name(parameter): hint for parameter, hint in self.hints.items()}
        return replace(
            problem,
            variables={
                name: replace(
                    entry,
                    constraint="; ".join(filter(None, (entry.constraint, hints.get(name)))) or None,
                )
                for name, entry in problem.variables.items()
            },
        )

    # ---- calls -----------------------------------------------------------------------------------

    def call_llm(
        self,
        system_prompt: str,
        user_prompt: str,
        verbose: Verbose = False,  # noqa: FBT002 - the original's signature
        max_tokens: int | None = None,
        llm: Model | None = None,
        examples: Sequence[tuple[str, str]] = (),
        **options: Any,
    ) -> str:
        """Ask the model and return the text of its answer.

        An answer that was cut off is asked for once more with twice the room. Errors of the model
        are raised as they are.

        Args:
            system_prompt: the first message.
            user_prompt: the last message.
            verbose: True to print prompts and answer, "output" for the answer alone.
            max_tokens: how long the answer may be; None for the optimizer's own.
            llm: another model than the optimizer's own.
            examples: of questions and answers, as turns between the two messages.
            options: more arguments for the model.

        Raises:
            ProposalError: the answer was cut off twice.
        """
        messages = conversation(system_prompt, user_prompt, examples)
        if verbose and verbose != "output":
            _show(f"Prompt\n{system_prompt}\n{user_prompt}")
        given = {**self.options, **options}
        model = llm or self.llm
        room = max_tokens or Budget(model, self.max_tokens).answer
        answer = completion_of(model(messages=messages, max_tokens=room, **given)).choices[0]
        if answer.cut:
            room *= 2
            _log.info("the answer was cut off; asking once more with %d tokens", room)
            answer = completion_of(model(messages=messages, max_tokens=room, **given)).choices[0]
        text = answer.message.content
        if self.log is not None:
            self.log.append(
                {"system_prompt": system_prompt, "user_prompt": user_prompt, "response": text}
            )
        if verbose:
            _show(f"LLM response:\n{text}")
        if answer.cut:
            message = f"the answer was cut off after {room} tokens; answer more briefly"
            raise ProposalError(message, reply=text)
        return text

    def kept_state(self) -> dict[str, Any]:
        """Return the log."""
        return {**super().kept_state(), "log": self.log}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Take up the log, if one is kept."""
        super().restore_state(state)
        if self.log is not None and state.get("log"):
            self.log = [dict(entry) for entry in state["log"]]

    def concurrently(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run independent calls at the same time; the results come in order."""
        return at_once(calls)

    def together(self, makers: Sequence[Callable[[], UpdateDict]]) -> UpdateDict:
        """Make the parts of an update at the same time and put them together.

        Raises:
            ProposalError: some can't be used; it has all the reasons.
        """
        update: UpdateDict = {}
        refused: list[ProposalError] = []
        for part in self.concurrently([_attempted(maker) for maker in makers]):
            if isinstance(part, ProposalError):
                refused.append(part)
            else:
                update.update(part)
        if len(refused) > 1:
            reasons = tuple(reason for error in refused for reason in error.reasons)
            raise ProposalError(
                "; ".join(reasons), reply=refused[0].reply, reasons=reasons
            ) from refused[0]
        if refused:
            raise refused[0]
        return update

    # ---- replies ---------------------------------------------------------------------------------

    def read(self, reply: str, wanted: Sequence[Wanted]) -> Mapping[str, object]:
        """Return the values of a reply by the parameters' names; raises `ProposalError`."""
        return parse_reply(reply, wanted).values

    def wanted(self, parameters: Sequence[Parameter] | None = None) -> list[Wanted]:
        """Describe parameters to the parser; None for all that are trainable."""
        chosen = self.parameters if parameters is None else parameters
        return [self._wanted(parameter) for parameter in chosen if parameter.trainable]

    def wanted_of(self, problem: Problem) -> tuple[Wanted, ...]:
        """Describe the variables of a problem to the parser."""
        return tuple(item for item in self.wanted() if item.name in problem.variables)

    def _wanted(self, parameter: Parameter) -> Wanted:
        return Wanted(self.names.name(parameter), (parameter.name,), function_of(parameter))

    def converted(self, values: Mapping[str, object], *, reply: str = "") -> UpdateDict:
        """Return values by parameter, each of its type; raises `ProposalError` if one isn't."""
        found = Names(self.wanted()).resolve(values.items(), reply=reply)
        by_name = {self.names.name(p): p for p in self.parameters if p.trainable}
        update: UpdateDict = {}
        for name, value in found.items():
            try:
                update[by_name[name]] = value_for(by_name[name], value)
            except ProposalError as error:
                message = f"{name}: {error.reason}"
                raise ProposalError(message, reply=reply) from error
        return update

    def refusals(self, about: str | None = None) -> str:
        """Return the part of a prompt that tells what was refused and why; empty if nothing was.

        Args:
            about: the name of a parameter, for those reasons alone that name it; None for all.
        """
        last = self.refused[-_REFUSALS_SHOWN:]
        reasons = [error.reason for error in last]
        if about is not None:
            word = re.compile(rf"(?<!\w){re.escape(about)}(?!\w)")
            reasons = [text for error in last for text in error.reasons if word.search(text)]
        lines = dict.fromkeys(f"- {reason}" for reason in reasons)
        return self.block("refused", refused="\n".join(lines))

    def block(self, name: str, **values: str) -> str:
        """Return a part of a prompt, or nothing if there is nothing to say."""
        return f"{self.prompts.render(name, **values)}\n\n" if any(values.values()) else ""

    # ---- several candidates ----------------------------------------------------------------------

    def sampling(self, count: int, seed: int | None = None) -> dict[str, Any]:
        """Return arguments that make `count` candidates differ; nothing if there is but one."""
        if count == 1:
            return {}
        known = seed is not None and hasattr(self.llm, "abilities")
        return {"temperature": TEMPERATURE, **({"seed": seed} if known else {}), **self.options}

    def best(self, makers: Sequence[Callable[[], UpdateDict]], select: Score | None) -> UpdateDict:
        """Make candidates at the same time and return the best that can be used.

        Args:
            makers: each makes a candidate, or raises `ProposalError`.
            select: scores an update, higher is better; None to take the first.

        Raises:
            ProposalError: that of the first candidate, if none can be used.
        """
        refusals: list[ProposalError] = []
        scored: list[tuple[float, UpdateDict]] = []
        for made in self.concurrently([_attempted(maker) for maker in makers]):
            found = made if isinstance(made, ProposalError) else self._scored(made, select)
            if isinstance(found, ProposalError):
                refusals.append(found)
            else:
                scored.append(found)
        if not scored:
            raise refusals[0]
        return max(scored, key=lambda pair: pair[0])[1]

    def _scored(
        self, update: UpdateDict, select: Score | None
    ) -> tuple[float, UpdateDict] | ProposalError:
        if select is None:
            return 0.0, update
        try:
            return float(select(update)), update
        except ExecutionError as error:
            return ProposalError(f"the program failed with these values: {error.args[0]}")


def default_model(config_list: Sequence[Mapping[str, Any]] | None = None) -> Model:
    """Return the model to use if none was given."""
    make = MODELS.get("default")
    made = make(config_list=config_list) if config_list is not None else make()
    return cast(Model, made)


def function_of(parameter: Parameter) -> str | None:
    """Return the name of the function that a code parameter defines, None for other parameters."""
    if not parameter.is_code:
        return None
    function = main_function(str(parameter._data), parameter._constraint)
    return function.name if function else None


def value_for(parameter: Parameter, value: object) -> object:
    """Return a proposed value in the parameter's type; raises `ProposalError`."""
    if not parameter.is_code:
        return within_bounds(parameter, converted(value, parameter._data))
    if not isinstance(value, str):
        message = f"expected code as text, got {type(value).__name__}"
        raise ProposalError(message)
    return checked_code(str(value), str(parameter._data), parameter._constraint)


def _attempted(maker: Callable[[], UpdateDict]) -> Callable[[], UpdateDict | ProposalError]:
    def attempt() -> UpdateDict | ProposalError:
        try:
            return maker()
        except ProposalError as error:
            return error

    return attempt


def conversation(
    system: str, user: str, examples: Sequence[tuple[str, str]]
) -> list[dict[str, str]]:
    """Return the messages of a question; examples are turns before it."""
    messages = [{"role": "system", "content": system}]
    for asked, answered in examples:
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answered})
    return [*messages, {"role": "user", "content": user}]


def _show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
