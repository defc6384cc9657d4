"""OPRO in the tagged form: the problem in words, the present solution and its feedback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opto.optimizers.folding import LIMITS
from opto.optimizers.optimizer import Parameter
from opto.optimizers.optoprime_v2 import OptoPrimeV2, TaggedInstance
from opto.optimizers.problem import Entries, Problem
from opto.optimizers.prompts import PromptText
from opto.optimizers.symbols import OptimizerPromptSymbolSet


class OPROPromptSymbolSet(OptimizerPromptSymbolSet):
    """Titles and tags of `OPROv2`."""

    instruction_section_title = "# Problem Context"
    variables_section_title = "# Solution"
    variable_tag = "solution"


class OPROv2(OptoPrimeV2):
    """Proposes values from the present ones, their feedback and a few past rounds.

    The run isn't shown.

    Args:
        parameters: what to change.
        llm: the model; None for the default one.
        memory_size: how many past rounds to show.
        settings: other arguments of `OptoPrimeV2`.
    """

    default_objective = PromptText("opro_v2.objective")
    representation_prompt = PromptText("opro_v2.system")
    example_problem_template = PromptText("opro_v2.problem")
    default_symbol_set = OPROPromptSymbolSet
    question_prompt = "opro_v2.question"

    def __init__(
        self,
        parameters: list[Parameter],
        llm: Callable[..., Any] | None = None,
        *,
        memory_size: int = 5,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, llm, memory_size=memory_size, **settings)

    def folded(self, problem: Problem, tokens: int | None = None) -> tuple[Problem, int]:  # noqa: ARG002 - the run isn't shown
        """Return the problem as it is, since the run isn't shown."""
        return problem, LIMITS[0]

    def problem_instance(  # type: ignore[override]  # as that of OptoPrimeV2
        self, summary: Problem, mask: Sequence[str] | None = None, *, limit: int = LIMITS[0]
    ) -> TaggedInstance:
        """Write out a problem; the sections named in `mask`, by title or name, stay empty."""
        hidden = ["code", "documentation", "inputs", "others", "outputs", *(mask or ())]
        return super().problem_instance(summary, hidden, limit=limit)

    def variables_text(self, entries: Entries) -> str:
        """Write the solution, its values cut, with their constraints."""
        tag = self.optimizer_prompt_symbol_set.variable_tag
        limit = self.initial_var_char_limit
        return "\n\n".join(
            self._element(tag, name, entry.kind, self._cut(entry.data, limit), entry.constraint)
            for name, entry in entries.items()
        )
