"""OptoPrime: the run as a program, its feedback, and one question (arXiv 2406.16218)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from opto.errors import ContextTooLong, InvalidArgument, ProposalError
from opto.optimizers.buffers import FIFOBuffer
from opto.optimizers.compact import CompactForm
from opto.optimizers.folding import LIMITS
from opto.optimizers.memory import Trial, as_json, trial_of
from opto.optimizers.model import ModelOptimizer, Score, Verbose
from opto.optimizers.names import Names, Wanted
from opto.optimizers.optimizer import Parameter, UpdateDict
from opto.optimizers.parsing import Extracted, ReplyKeys, extract, parse_reply
from opto.optimizers.problem import Entries, Problem
from opto.optimizers.problem import FunctionFeedback as FunctionFeedback
from opto.optimizers.problem import get_fun_name as get_fun_name
from opto.optimizers.problem import node_to_function_feedback as node_to_function_feedback
from opto.optimizers.problem import repr_function_call as repr_function_call
from opto.optimizers.prompts import PromptText, render
from opto.optimizers.rendering import (
    SYMBOLS,
    ProblemInstance,
    constraints_text,
    instance_of,
    values_text,
)
from opto.optimizers.requests import Request, reply_format
from opto.optimizers.tidying import tidied
from opto.optimizers.worked_example import EXAMPLE as EXAMPLE
from opto.optimizers.worked_example import json_answer, tagged_answer

Form = Literal["json", "tagged", "compact"]

_KEYS: Mapping[str, str | None] = MappingProxyType(
    {"reasoning": "reasoning", "answer": "answer", "suggestion": "suggestion"}
)


class OptoPrime(ModelOptimizer):
    """Shows the model the whole run that led to the feedback, and asks for better values.

    Args:
        parameters: what to change.
        llm: the model, any callable of the call contract; None for the default one.
        propagator: how feedback travels.
        objective: what is wanted, in words.
        ignore_extraction_error: see `Optimizer`.
        include_example: put a worked example into the prompt.
        memory_size: how many past values and feedbacks to show.
        max_tokens: how long an answer may be.
        log: keep prompts, replies and problems in `log` and `summary_log`.
        prompt_symbols: other titles for the sections: ``{"variables": "#Knobs"}``.
        json_keys: other keys for the JSON form; ``{"answer": None}`` leaves the answer out.
        use_json_object_format: let the model know by `response_format` that JSON is wanted.
        highlight_variables: name the variables once more at the end of the prompt.
        form: "json", "tagged" or "compact"; None for what suits the model.
        candidates: how many proposals to ask for in a step.
        select: scores an update; the best candidate wins (the first if None).
        settings: `config_list`, `prompts`, `options` and `problem_tokens` of `ModelOptimizer`.
    """

    default_prompt_symbols = SYMBOLS
    default_json_keys = _KEYS
    default_objective = PromptText("optoprime.objective")
    representation_prompt = PromptText("optoprime.system")
    output_format_prompt_original = PromptText("optoprime.json")
    output_format_prompt_no_answer = PromptText("optoprime.json-no-answer")
    output_format_prompt_tagged = PromptText("optoprime.tagged")
    example_problem_template = PromptText("optoprime.problem")
    user_prompt_template = PromptText("optoprime.user")
    example_prompt = PromptText("optoprime.example")
    final_prompt = "Your response:"
    final_prompt_with_variables = PromptText("optoprime.question")

    def __init__(  # noqa: PLR0913 - the original's signature
        self,
        parameters: list[Parameter],
        llm: Callable[..., Any] | None = None,
        *,
        include_example: bool = False,
        memory_size: int = 0,
        prompt_symbols: Mapping[str, str] | None = None,
        json_keys: Mapping[str, str | None] | None = None,
        use_json_object_format: bool = True,
        highlight_variables: bool = False,
        form: Form | None = None,
        candidates: int = 1,
        select: Score | None = None,
        log: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, llm, log=log, **settings)
        self.include_example = include_example
        self.memory: FIFOBuffer[Trial] = FIFOBuffer(memory_size)
        self.prompt_symbols = _known(prompt_symbols, self.default_prompt_symbols, "prompt_symbols")
        self.json_keys = _known(json_keys, self.default_json_keys, "json_keys")
        self.use_json_object_format = use_json_object_format
        self.highlight_variables = highlight_variables
        self._form: Form | None = form
        self._own_objective: str | None = settings.get("objective")
        if candidates < 1:
            message = f"candidates must be at least 1, got {candidates}"
            raise InvalidArgument(message)
        self.candidate_count, self.select = candidates, select
        self._steps = 0

    def kept_state(self) -> dict[str, Any]:
        """Return the log, the memory, and the count of steps."""
        memory = [trial._asdict() for trial in self.memory]
        return {**super().kept_state(), "memory": memory, "steps": self._steps}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Take up the log, the memory, and the count of steps."""
        super().restore_state(state)
        if "memory" in state:
            trials = [Trial(**trial) for trial in state["memory"]]
            self.memory = FIFOBuffer(self.memory.size, trials)
        self._steps = int(state.get("steps", self._steps))

    @property
    def form(self) -> Form:
        """The form in which answers are asked for."""
        if self._form is not None:
            return self._form
        return "compact" if self.budget.abilities.size == "small" else "json"

    # ---- the problem -----------------------------------------------------------------------------

    def problem_instance(
        self, summary: Problem, mask: Sequence[str] | None = None, *, limit: int = LIMITS[0]
    ) -> ProblemInstance:
        """Write out a problem; the sections named in `mask` stay empty."""
        return instance_of(
            summary,
            objective=self.replace_symbols(self.objective, self.prompt_symbols),
            template=self.replace_symbols(self.example_problem_template, self.prompt_symbols),
            limit=limit,
            mask=[self._section(name) for name in mask or ()],
            values=self.repr_node_value,
            constraints=self.repr_node_constraint,
        )

    def repr_node_value(self, node_dict: Entries) -> str:
        """Write values for the prompt; a subclass may do it in its own way."""
        return values_text(node_dict)

    def repr_node_constraint(self, node_dict: Entries) -> str:
        """Write the constraints of those that have one."""
        return constraints_text(node_dict)

    def _section(self, title: str) -> str:
        own = {symbol: key for key, symbol in self.prompt_symbols.items()}
        return own.get(title, title)

    def folded(self, problem: Problem, tokens: int | None = None) -> tuple[Problem, int]:
        """Return a problem as it fits, and how many characters a value may have in it."""

        def written(part: Problem, limit: int) -> str:
            return str(self.problem_instance(part, limit=limit))

        left = self.budget.problem if tokens is None else tokens
        if self.budget.given is None:
            left -= self.budget.count(self.remembered())
        return self.budget.fitted(problem, written, left)

    def remembered(self) -> str:
        """Write what was tried before, the oldest first; no more than a quarter of the room."""
        texts = [as_json([trial]) for trial in self.memory]
        return "\n\n".join(self.budget.newest(texts, self.budget.problem // 4))

    # ---- the prompt ------------------------------------------------------------------------------

    @property
    def output_format_prompt(self) -> str:
        """How to answer, with the keys of this optimizer."""
        if self.form == "tagged":
            return self.output_format_prompt_tagged
        keys = {name: key for name, key in self.json_keys.items() if key}
        full = "answer" in keys
        text = self.output_format_prompt_original if full else self.output_format_prompt_no_answer
        return render(text, keys, name="optoprime.json")

    @property
    def example_response(self) -> str:
        """The answer of the example, in the form that is asked for."""
        if self.form == "tagged":
            return tagged_answer()
        return json_answer(self._keys)

    def construct_prompt(
        self, summary: Problem, mask: Sequence[str] | None = None, *, limit: int = LIMITS[0]
    ) -> tuple[str, str]:
        """Return system and user prompt for a problem; the memory is read, not added to."""
        system = f"{self.representation_prompt}\n\n{self.output_format_prompt}"
        names = ", ".join(summary.variables)
        user = render(
            self.user_prompt_template,
            {
                "example": self._example() if self.include_example else "",
                "problem": str(self.problem_instance(summary, mask, limit=limit)),
                "refused": self.refusals(),
                "memory": self.block("memory", memory=self.remembered()),
                "question": self.block(
                    "optoprime.question", names=names if self.highlight_variables else ""
                ),
                "final": self.final_prompt,
            },
            name="optoprime.user",
        )
        return self.replace_symbols(system, self.prompt_symbols), user

    def replace_symbols(self, text: str, symbols: Mapping[str, str]) -> str:
        """Put own titles of sections in the place of the default ones."""
        default = self.default_prompt_symbols
        own = {default[key]: symbol for key, symbol in symbols.items()}
        titles = "|".join(re.escape(title) for title in sorted(own, key=len, reverse=True))
        return re.sub(rf"(?:{titles})(?!\w)", lambda found: own[found.group()], text)

    def _example(self) -> str:
        problem = str(self.problem_instance(EXAMPLE))
        values = {"problem": problem, "reply": self.example_response}
        return f"{render(self.example_prompt, values, name='optoprime.example')}\n\n"

    # ---- a step ----------------------------------------------------------------------------------

    def _step(
        self,
        verbose: Verbose = False,  # noqa: FBT002 - the original's signature
        mask: Sequence[str] | None = None,
        **_: Any,
    ) -> UpdateDict:
        problem = self.summarize()
        if not problem.variables:
            return {}
        self._steps += 1
        try:
            update = self._proposed(problem, None, verbose, mask)
        except ContextTooLong:
            folded, limit = self.folded(problem)
            shown = self.budget.count(str(self.problem_instance(folded, mask, limit=limit)))
            update = self._proposed(problem, shown // 2, verbose, mask)
        self.memory.add(trial_of(problem))
        return update

    def _proposed(
        self, problem: Problem, tokens: int | None, verbose: Verbose, mask: Sequence[str] | None
    ) -> UpdateDict:
        folded, limit = self.folded(problem, tokens)
        requests = self.requests(folded, mask, limit=limit)
        if self.summary_log is not None:
            self.note_step(self.problem_instance(folded, mask, limit=limit), folded)
        count, first = self.candidate_count, self._steps * self.candidate_count
        makers = [
            partial(self._candidate, requests, verbose, self.sampling(count, first + index))
            for index in range(count)
        ]
        return self.best(makers, self.select)

    def requests(
        self, problem: Problem, mask: Sequence[str] | None = None, *, limit: int = LIMITS[0]
    ) -> list[Request]:
        """Return what to ask the model about a problem."""
        if self.form == "compact":
            wanted = {item.name: item for item in self.wanted_of(problem)}
            form = CompactForm(
                problem,
                wanted,
                self.memory,
                self.prompts,
                objective=self._own_objective or "",
                refused=self.refusals(),
                schema=self.budget.abilities.json_schema,
            )
            return form.requests(self._steps)
        system, user = self.construct_prompt(problem, mask, limit=limit)
        return [Request(system, user, tuple(self.wanted()), self._format(problem))]

    def _format(self, problem: Problem) -> dict[str, Any]:
        if self.form == "tagged" or not self.use_json_object_format:
            return {}
        return reply_format(problem.variables, self._keys, schema=self.budget.abilities.json_schema)

    def _candidate(
        self, requests: Sequence[Request], verbose: Verbose, options: Mapping[str, Any]
    ) -> UpdateDict:
        asks = [partial(self._answer, request, verbose, options) for request in requests]
        return self.together(asks)

    def _answer(self, request: Request, verbose: Verbose, options: Mapping[str, Any]) -> UpdateDict:
        given = {**options, **request.options}
        if request.examples:
            given["examples"] = request.examples
        reply = self.call_llm(request.system, request.user, verbose, **given)
        return self.converted(self.read(reply, request.wanted), reply=reply)

    def read(self, reply: str, wanted: Sequence[Wanted]) -> Mapping[str, object]:
        """Return the values of a reply by the parameters' names; raises `ProposalError`."""
        values = dict(parse_reply(reply, wanted, keys=self._keys).values)
        for parameter in self.parameters if self.form == "compact" else ():
            name = self.names.name(parameter)
            if parameter.is_code and isinstance(values.get(name), str):
                values[name] = tidied(str(values[name]), parameter._data, parameter._constraint)
        return values

    # ---- replies ---------------------------------------------------------------------------------

    @property
    def _keys(self) -> ReplyKeys:
        keys = self.json_keys
        return ReplyKeys(str(keys["reasoning"]), keys["answer"], str(keys["suggestion"]))

    def extract_llm_suggestion(
        self,
        response: str,
        return_only_suggestion: bool = True,  # noqa: FBT001, FBT002 - the original's signature
    ) -> dict[str, Any]:
        """Return the suggested values of a reply by the names that it uses, not converted.

        Returns:
            The suggestion, or ``{"reasoning": .., "variables": ..}``; nothing suggested if the
            reply can't be read and `ignore_extraction_error` is set.
        """
        try:
            found = extract(response, Names(self.wanted()), keys=self._keys)
        except ProposalError as error:
            if not self.ignore_extraction_error:
                raise
            self._refuse(error)
            found = Extracted(())
        values = dict(found.pairs)
        if return_only_suggestion:
            return values
        return {"reasoning": found.reasoning, "variables": values}

    def construct_update_dict(self, suggestion: Mapping[str, Any]) -> UpdateDict:
        """Return suggested values by parameter, converted to their types, all or none."""
        try:
            return self.converted(suggestion)
        except ProposalError as error:
            if not self.ignore_extraction_error:
                raise
            self._refuse(error)
            return {}


def _known(
    given: Mapping[str, Any] | None, default: Mapping[str, Any], argument: str
) -> dict[str, Any]:
    """Return the default with what was given; raises `InvalidArgument` for unknown keys."""
    if unknown := sorted((given or {}).keys() - default.keys()):
        message = f"{argument} has no {', '.join(unknown)}; it has {', '.join(default)}"
        raise InvalidArgument(message)
    return {**default, **(given or {})}
