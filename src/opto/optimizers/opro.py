"""OPRO: solutions that were tried, with what was said about them, as the whole prompt.

Yang et al., "Large Language Models as Optimizers", arXiv 2309.03409. The graph isn't shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from opto.errors import InvalidArgument
from opto.llm.base import abilities_of
from opto.optimizers.memory import trial_of
from opto.optimizers.model import ModelOptimizer, Score, Verbose
from opto.optimizers.optimizer import Parameter, UpdateDict
from opto.optimizers.problem import Entries, Problem
from opto.optimizers.prompts import PromptText
from opto.optimizers.requests import schema_format
from opto.optimizers.schemas import closed, schema_of_object, schemas_of


class Solution(NamedTuple):
    """Values that were tried.

    Attributes:
        variables: name to value, as text.
        feedback: what was said about them.
        score: the feedback as a number, if it is one.
    """

    variables: dict[str, str]
    feedback: str
    score: float | None


class OPRO(ModelOptimizer):
    """Proposes values from the history of values and feedback.

    Args:
        parameters: what to change.
        llm: the model; None for the default one.
        memory_size: how many solutions to keep. With feedback that is a number the best are kept,
            and shown with the best last; else the newest.
        candidates: how many proposals to ask for in a step.
        select: scores an update; the best candidate wins (the first if None).
        settings: as of `ModelOptimizer`.

    Attributes:
        buffer: the solutions kept.
    """

    default_objective = PromptText("opro.objective")
    representation_prompt = PromptText("opro.system")
    output_format_prompt = PromptText("opro.format")

    def __init__(
        self,
        parameters: list[Parameter],
        llm: Callable[..., Any] | None = None,
        *,
        memory_size: int = 20,
        candidates: int = 1,
        select: Score | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, llm, **settings)
        if memory_size < 1 or candidates < 1:
            message = "memory_size and candidates must be at least 1"
            raise InvalidArgument(message)
        self.memory_size, self.candidate_count, self.select = memory_size, candidates, select
        self.buffer: list[Solution] = []

    def kept_state(self) -> dict[str, Any]:
        """Return the log and the solutions."""
        return {**super().kept_state(), "buffer": [solution._asdict() for solution in self.buffer]}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Take up the log and the solutions, as many as are kept here."""
        super().restore_state(state)
        if "buffer" in state:
            found = [Solution(**solution) for solution in state["buffer"]]
            self.buffer = self._ordered(found)[-self.memory_size :]

    def remember(self, problem: Problem) -> None:
        """Add the values of a run; the worst is forgotten if there are too many."""
        variables, feedback = trial_of(problem)
        new = Solution(variables, feedback, _number(feedback))
        known = [item for item in self.buffer if item != new]
        self.buffer = self._ordered([*known, new])[-self.memory_size :]

    def _ordered(self, solutions: list[Solution]) -> list[Solution]:
        """Return the best last, if each has a score; else as they are, the newest last."""
        if any(item.score is None for item in solutions):
            return solutions
        return sorted(solutions, key=lambda item: item.score or 0.0)

    def construct_prompt(self, problem: Problem) -> tuple[str, str]:
        """Return system and user prompt for the solutions kept and the variables of a problem."""
        scored = all(item.score is not None for item in self.buffer)
        variables = _described(problem.variables)
        user = self.prompts.render(
            "opro.user",
            order="best" if scored else "newest",
            history=self._history(self.budget.problem - self.budget.count(variables)),
            variables=variables,
            refused=self.refusals(),
            objective=self.objective,
        )
        return f"{self.representation_prompt}\n\n{self.output_format_prompt}", user

    def _history(self, tokens: int) -> str:
        """Write the last of the solutions, as many as fit; the last one in any case."""
        texts = [_text(item) for item in self.buffer]
        return "\n\n".join(self.budget.newest(texts, tokens) or texts[-1:])

    def _step(self, verbose: Verbose = False, **_: Any) -> UpdateDict:  # noqa: FBT002 - the original's signature
        problem = self.summarize()
        if not problem.variables:
            return {}
        self.remember(problem)
        system, user = self.construct_prompt(problem)
        self.note_step(user, problem.bare())
        options = self._format(problem) | self.sampling(self.candidate_count)
        ask = partial(self._candidate, system, user, verbose, options)
        return self.best([ask] * self.candidate_count, self.select)

    def _candidate(
        self, system: str, user: str, verbose: Verbose, options: dict[str, Any]
    ) -> UpdateDict:
        reply = self.call_llm(system, user, verbose, **options)
        return self.converted(self.read(reply, self.wanted()), reply=reply)

    def _format(self, problem: Problem) -> dict[str, Any]:
        if not abilities_of(self.llm).json_schema:
            return {"response_format": {"type": "json_object"}}
        inner = schema_of_object(schemas_of(problem.variables))
        schema = schema_of_object({"suggestion": inner})
        return {"response_format": schema_format(schema, strict=closed(schema))}


def _text(solution: Solution) -> str:
    return json.dumps(
        {"variables": solution.variables, "feedback": solution.feedback},
        ensure_ascii=False,
        indent=1,
    )


def _described(entries: Entries) -> str:
    return "\n".join(
        f"({entry.kind}) {name}" + (f": {entry.constraint}" if entry.constraint else "")
        for name, entry in entries.items()
    )


def _number(feedback: str) -> float | None:
    try:
        return float(feedback)
    except ValueError:
        return None
