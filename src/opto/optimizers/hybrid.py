"""One step over mixed parameters: numbers by a classical optimizer, text and code by a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opto.optimizers.bounds import Given, bounds_for
from opto.optimizers.model import Model
from opto.optimizers.optimizer import Optimizer, Parameter, UpdateDict
from opto.optimizers.optoprime import OptoPrime
from opto.optimizers.optuna import OptunaOptimizer
from opto.optimizers.problem import NameBook


class HybridOptimizer(Optimizer):
    """Gives parameters with bounds to `OptunaOptimizer` and all others to a model's optimizer.

    If all have bounds no model is asked; if none has, no score is needed. A reply of the model that
    can't be used leaves the numbers as they are, too.

    Args:
        parameters: what to change.
        llm: the model; None for the default one, which is looked for only if it is needed.
        bounds: as of `OptunaOptimizer`.
        text_optimizer: the optimizer of what has no bounds, called with parameters and model.
        numbers: other arguments of `OptunaOptimizer` (``{"sampler": "cmaes", "seed": 1}``).
        settings: `propagator` and `ignore_extraction_error` of `Optimizer`.

    Attributes:
        by_score: the optimizer of what has bounds, None if nothing has.
        by_model: the optimizer of the others, None if there are none.
    """

    def __init__(
        self,
        parameters: list[Parameter],
        llm: Model | None = None,
        *,
        bounds: Mapping[Any, Given] | None = None,
        text_optimizer: Callable[..., Optimizer] = OptoPrime,
        numbers: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, **settings)
        found = bounds_for(self.parameters, bounds, NameBook(self.parameters).name)
        scored = [parameter for parameter in self.parameters if parameter in found]
        others = [parameter for parameter in self.parameters if parameter not in found]
        self.by_score = OptunaOptimizer(scored, bounds=found, **(numbers or {})) if scored else None
        self.by_model = text_optimizer(others, llm=llm) if others else None
        if self.by_model is not None:
            self.by_model.refused = self.refused  # so that the model is told of them

    def _step(self, *args: Any, **kwargs: Any) -> UpdateDict:
        graph = self._feedback()
        if self.by_score is not None:
            self.by_score.tell(graph)
        update: UpdateDict = {}
        if self.by_model is not None and self.by_model.trace_graph.notes:
            update.update(self.by_model.propose(*args, **kwargs))
        if self.by_score is not None:
            update.update(self.by_score.ask())
        return update
