"""One step over mixed parameters: numbers by a classical optimizer, text and code by a model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from opto.errors import ProposalError
from opto.optimizers.bounds import Given, bounds_for, read_bounds, told, within
from opto.optimizers.model import Model, ModelOptimizer
from opto.optimizers.optimizer import Optimizer, Parameter, UpdateDict
from opto.optimizers.optoprime import OptoPrime
from opto.optimizers.optuna import OptunaOptimizer
from opto.optimizers.problem import Problem
from opto.optimizers.showing import reason_of


class HybridOptimizer(Optimizer):
    """Gives parameters with bounds to `OptunaOptimizer` and all others to a model's optimizer.

    Numbers are chosen by scores. Where a feedback of the step has none ("too low"), the model is
    asked for the parameters with bounds as well, and kept to the bounds. If all parameters have
    bounds and all feedback has scores no model is asked, or looked for; if no parameter has bounds,
    no score is needed. A reply of the model that can't be used leaves all parameters as they are.

    Args:
        parameters: what to change.
        llm: the model; None for the default one, which is looked for only if it is needed.
        bounds: as of `OptunaOptimizer`.
        text_optimizer: the optimizer that asks the model, called with parameters and model.
        numbers: other arguments of `OptunaOptimizer` (``{"sampler": "cmaes", "seed": 1}``); its
            ``score`` reads the score of a feedback, of your own form or by a scorer of yours.
        log: whether to keep steps in `summary_log`.
        settings: `propagator` and `ignore_extraction_error` of `Optimizer`.

    Attributes:
        by_score: the optimizer of what has bounds, None if nothing has.
        by_model: the optimizer that asks the model; None while none was needed.
    """

    def __init__(
        self,
        parameters: list[Parameter],
        llm: Model | None = None,
        *,
        bounds: Mapping[Any, Given] | None = None,
        text_optimizer: Callable[..., Optimizer] = OptoPrime,
        numbers: Mapping[str, Any] | None = None,
        log: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, **settings)
        self.summary_log = [] if log else None
        self._bounds = bounds_for(self.parameters, bounds, self.names.name)
        scored = [parameter for parameter in self.parameters if parameter in self._bounds]
        self._others = [item for item in self.parameters if item not in self._bounds]
        self.by_score = (
            OptunaOptimizer(scored, bounds=self._bounds, **(numbers or {})) if scored else None
        )
        self._text_optimizer = partial(text_optimizer, llm=llm)
        self._kept_by_model: dict[str, Any] | None = None
        self.by_model: Optimizer | None = None
        if self._others:
            self._with_model()

    def _with_model(self) -> Optimizer:
        """Return the optimizer that asks the model; it is made when it is first needed."""
        if self.by_model is None:
            made = self._text_optimizer(self.parameters)
            made.refused = self.refused  # so that the model is told of them
            if self.summary_log is not None and made.summary_log is None:
                made.summary_log = []
            if isinstance(made, ModelOptimizer):
                given = {p: b for p, b in self._bounds.items() if read_bounds(p) != b}
                made.hints = {parameter: told(bounds) for parameter, bounds in given.items()}
            if self._kept_by_model is not None:
                made.restore_state(self._kept_by_model)
            self.by_model = made
        return self.by_model

    def _step(self, *args: Any, **kwargs: Any) -> UpdateDict:
        graph = self._feedback()
        scored = self.by_score is not None and self.by_score.scored(graph)
        chosen = self._others if scored else self.parameters
        update = self._by_model(chosen, *args, **kwargs)
        if self.by_score is not None and scored:
            self.by_score.tell(graph)
            self._add(*self.by_score.shown(graph), self.by_score.standing())
            update.update(self.by_score.ask())
        return update

    # ---- the model -------------------------------------------------------------------------------

    def _by_model(self, chosen: list[Parameter], *args: Any, **kwargs: Any) -> UpdateDict:
        """Return what the model proposes for some of the parameters; it isn't asked for nothing."""
        if not any(parameter.trainable and parameter.feedback for parameter in chosen):
            return {}
        optimizer = self._with_model()
        optimizer.parameters = chosen
        try:
            update = optimizer.propose(*args, **kwargs)
        finally:
            if entry := optimizer._entry:
                why = reason_of(optimizer, entry)
                self._add(str(entry["problem_instance"]), entry["summary"], why)
        for parameter, value in update.items():
            if parameter in self._bounds:
                self._check(parameter, value)
        return update

    def _check(self, parameter: Parameter, value: object) -> None:
        try:
            within(self._bounds[parameter], value)
        except ProposalError as error:
            message = f"{self.names.name(parameter)}: {error.reason}"
            raise ProposalError(message) from error

    # ---- showing and files -----------------------------------------------------------------------

    def _add(self, shown: str, problem: Problem, reasoning: str) -> None:
        """Put what one of the two did into the entry of the step, after what the other did."""
        if before := self._entry:
            shown = f"{before['problem_instance']}\n\n{shown}"
            reasoning = "\n".join(filter(None, (before["reasoning"], reasoning)))
            known: Problem = before["summary"]
            problem = replace(known, variables={**known.variables, **problem.variables})
        self.note_step(shown, problem, reasoning=reasoning)

    def kept_state(self) -> dict[str, Any]:
        """Return the states of both optimizers."""
        by_model = self._kept_by_model if self.by_model is None else self.by_model.kept_state()
        by_score = None if self.by_score is None else self.by_score.kept_state()
        return {**super().kept_state(), "by model": by_model, "by score": by_score}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Take up the states of both optimizers, in new ones."""
        super().restore_state(state)
        if self.by_score is not None and state.get("by score") is not None:
            by_score = copy.copy(self.by_score)
            by_score.restore_state(state["by score"])
            self.by_score = by_score
        if state.get("by model") is None:
            return
        self._kept_by_model = dict(state["by model"])
        if self.by_model is not None:
            by_model = copy.copy(self.by_model)
            by_model.restore_state(self._kept_by_model)
            self.by_model = by_model

    def model_of(self, parameter: Parameter) -> str | None:
        """Return the name of the model's optimizer's model; none proposes what has bounds."""
        if self.by_model is None or not any(parameter is p for p in self.by_model.parameters):
            return None
        return self.by_model.model_of(parameter)
