"""OptoPrime with tags around values and answers, so that code and markup need no escaping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opto.errors import InvalidArgument
from opto.optimizers.folding import LIMITS
from opto.optimizers.optimizer import Parameter
from opto.optimizers.optoprime import Form, OptoPrime
from opto.optimizers.problem import Entries, Problem
from opto.optimizers.prompts import PromptText, render
from opto.optimizers.requests import Request
from opto.optimizers.shortening import beginning_of, text_of
from opto.optimizers.symbols import SECTIONS as SECTIONS
from opto.optimizers.symbols import OptimizerPromptSymbolSet as OptimizerPromptSymbolSet
from opto.optimizers.symbols import OptimizerPromptSymbolSet2 as OptimizerPromptSymbolSet2
from opto.optimizers.symbols import OptimizerPromptSymbolSetJSON as OptimizerPromptSymbolSetJSON
from opto.optimizers.symbols import read_answer
from opto.optimizers.tried import Tried
from opto.optimizers.utils import extract_xml_like_data as extract_xml_like_data
from opto.optimizers.utils import truncate_expression as truncate_expression
from opto.optimizers.worked_example import REASONING

Truncate = Callable[[str, int], str]
_FIXED = ("prompt_symbols", "json_keys", "form", "highlight_variables")


@dataclass(frozen=True)
class TaggedInstance:
    """The sections of a problem as text with tags; as a whole it reads as `template` says."""

    instruction: str
    code: str
    documentation: str
    variables: str
    inputs: str
    others: str
    outputs: str
    feedback: str
    template: str
    symbols: OptimizerPromptSymbolSet

    def __str__(self) -> str:
        texts = {f"{name}_text": getattr(self, name) for name in SECTIONS}
        return self.symbols.filled(self.template, **texts)


@dataclass(frozen=True)
class MemoryInstance:
    """Values that were tried, as text, and the feedback on them.

    Attributes:
        index: which round it was; rounds are counted from 1.
    """

    variables: Mapping[str, str]
    feedback: str
    symbol_set: OptimizerPromptSymbolSet
    index: int

    def __str__(self) -> str:
        symbols = self.symbol_set
        values = "\n".join(
            f'<{symbols.variable_tag} name="{name}">\n<{symbols.value_tag}>\n{value}\n'
            f"</{symbols.value_tag}>\n</{symbols.variable_tag}>"
            for name, value in self.variables.items()
        )
        said = f"<feedback>\n{self.feedback}\n</feedback>"
        return f"<round {self.index}>\n{values}\n{said}\n</round {self.index}>"


class OptoPrimeV2(OptoPrime):
    """OptoPrime in the tagged form.

    Args:
        parameters: what to change.
        llm: the model; None for the default one.
        optimizer_prompt_symbol_set: titles and tags; `OptimizerPromptSymbolSetJSON` asks for JSON.
        initial_var_char_limit: how many characters a value may have that isn't a variable.
        truncate_expression: cuts the text of such a value, ``(text, limit) -> text``.
        max_tokens: how long an answer may be.
        settings: other arguments of `OptoPrime`.
    """

    default_objective = PromptText("optoprime_v2.objective")
    representation_prompt = PromptText("optoprime_v2.system")
    example_problem_template = PromptText("optoprime_v2.problem")
    default_symbol_set: type[OptimizerPromptSymbolSet] = OptimizerPromptSymbolSet
    question_prompt = "optoprime.question"

    def __init__(
        self,
        parameters: list[Parameter],
        llm: Callable[..., Any] | None = None,
        *,
        optimizer_prompt_symbol_set: OptimizerPromptSymbolSet | None = None,
        initial_var_char_limit: int = 2000,
        truncate_expression: Truncate = truncate_expression,
        max_tokens: int = 8192,
        **settings: Any,
    ) -> None:
        if unfit := [name for name in _FIXED if name in settings]:
            message = f"{type(self).__name__} has no {', '.join(unfit)}; titles, tags and the form"
            raise InvalidArgument(f"{message} of answers come by optimizer_prompt_symbol_set")
        super().__init__(parameters, llm, max_tokens=max_tokens, **settings)
        self.optimizer_prompt_symbol_set = optimizer_prompt_symbol_set or self.default_symbol_set()
        self.initial_var_char_limit = initial_var_char_limit
        self.truncate_expression = truncate_expression

    @property
    def form(self) -> Form:
        """The form in which answers are asked for."""
        return "json" if self.optimizer_prompt_symbol_set.expect_json else "tagged"

    # ---- the prompt ------------------------------------------------------------------------------

    def problem_instance(  # type: ignore[override]  # another text of the same sections
        self, summary: Problem, mask: Sequence[str] | None = None, *, limit: int = LIMITS[0]
    ) -> TaggedInstance:
        """Write out a problem; the sections named in `mask`, by title or name, stay empty."""
        symbols = self.optimizer_prompt_symbol_set
        shown = min(limit, self.initial_var_char_limit)
        texts = {
            "instruction": self.objective,
            "code": "\n".join(summary.code),
            "documentation": "\n".join(summary.documentation.values()),
            "variables": self.variables_text(summary.variables),
            "inputs": self.values_text(summary.inputs, shown),
            "others": self.values_text(summary.others, shown),
            "outputs": self.values_text(summary.outputs, shown),
            "feedback": summary.user_feedback,
        }
        titles = symbols.default_prompt_symbols
        hidden = {name.lstrip("# ").casefold() for name in mask or ()} | set(mask or ())
        kept = {name: "" if {name, titles[name]} & hidden else text for name, text in texts.items()}
        return TaggedInstance(**kept, template=self.example_problem_template, symbols=symbols)

    def variables_text(self, entries: Entries) -> str:
        """Write the variables, whole, with their constraints."""
        tag = self.optimizer_prompt_symbol_set.variable_tag
        return "\n\n".join(
            self._element(tag, name, entry.kind, text_of(entry.data), entry.constraint)
            for name, entry in entries.items()
        )

    def values_text(self, entries: Entries, limit: int) -> str:
        """Write other values, cut at `limit` characters."""
        tag = self.optimizer_prompt_symbol_set.node_tag
        return "\n\n".join(
            self._element(tag, name, entry.kind, self._cut(entry.data, limit))
            for name, entry in entries.items()
        )

    def _cut(self, value: object, limit: int) -> str:
        return self.truncate_expression(beginning_of(value, limit), limit)

    def _element(
        self, tag: str, name: str, kind: str, value: str, constraint: str | None = None
    ) -> str:
        symbols = self.optimizer_prompt_symbol_set
        lines = [f'<{tag} name="{name}" type="{kind}">', f"<{symbols.value_tag}>", value]
        lines.append(f"</{symbols.value_tag}>")
        if constraint:
            inner = symbols.constraint_tag
            lines += [f"<{inner}>", constraint, f"</{inner}>"]
        return "\n".join([*lines, f"</{tag}>"])

    @property
    def output_format_prompt(self) -> str:
        """How to answer, with the tags of this optimizer."""
        symbols = self.optimizer_prompt_symbol_set
        if symbols.custom_output_format_instruction:
            return symbols.output_format
        return symbols.filled(self.prompts.text(symbols.format_prompt))

    @property
    def example_response(self) -> str:
        """The answer of the example, in the form that is asked for."""
        return self.optimizer_prompt_symbol_set.example_output(REASONING, {"a0": 9})

    def construct_prompt(
        self, summary: Problem, mask: Sequence[str] | None = None, *, limit: int = LIMITS[0]
    ) -> tuple[str, str]:
        """Return system and user prompt for a problem; the memory is read, not added to."""
        symbols = self.optimizer_prompt_symbol_set
        system = f"{symbols.filled(self.representation_prompt)}\n\n{self.output_format_prompt}"
        user = render(
            self.user_prompt_template,
            {
                "example": self._example() if self.include_example else "",
                "problem": str(self.problem_instance(summary, mask, limit=limit)),
                "refused": self.refusals(),
                "memory": self.block("memory", memory=self._standing(summary)),
                "question": self.block(self.question_prompt, names=", ".join(summary.variables)),
                "final": self.final_prompt,
            },
            name="optoprime.user",
        )
        return system, user

    def remembered(self) -> str:
        """Write what was tried before, the oldest first; no more than a quarter of the room."""
        symbols = self.optimizer_prompt_symbol_set
        rounds = (
            MemoryInstance(trial.variables, trial.feedback, symbols, index)
            for index, trial in enumerate(self.memory, start=1)
        )
        texts = [str(instance) for instance in rounds]
        return "\n\n".join(self.budget.newest(texts, self.budget.problem // 4))

    def _standing(self, problem: Problem) -> str:
        """Write what was tried before; for small models, where to search for numbers as well."""
        past = self.remembered()
        if not past or self.budget.abilities.size != "small":
            return past
        advice = Tried.of(problem, self.wanted_of(problem), self.memory).advice()
        return "\n\n".join([past, *advice])

    # ---- asking ----------------------------------------------------------------------------------

    def requests(
        self, problem: Problem, mask: Sequence[str] | None = None, *, limit: int = LIMITS[0]
    ) -> list[Request]:
        """Return what to ask the model about a problem."""
        system, user = self.construct_prompt(problem, mask, limit=limit)
        wanted = self.wanted_of(problem)
        asks_json = self.optimizer_prompt_symbol_set.expect_json and self.use_json_object_format
        options = {"response_format": {"type": "json_object"}} if asks_json else {}
        return [Request(system, user, wanted, options)]

    def read(self, reply: str, wanted: Sequence[Any]) -> Mapping[str, object]:
        """Return the values of a reply by the parameters' names; raises `ProposalError`."""
        return read_answer(self.optimizer_prompt_symbol_set, reply, wanted)

    def extract_llm_suggestion(
        self,
        response: str,
        return_only_suggestion: bool = True,  # noqa: FBT001, FBT002 - the original's signature
    ) -> dict[str, Any]:
        """Return the suggested values of a reply by the names that it uses, not converted."""
        found = self.optimizer_prompt_symbol_set.output_response_extractor(response)
        return dict(found["variables"]) if return_only_suggestion else found
