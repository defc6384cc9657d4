"""Numbers and choices by a classical optimizer, which asks no model."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Mapping
from typing import Any

from opto.errors import InvalidArgument, MissingExtra
from opto.optimizers.bounds import Bounds, Choices, Given, bounds_for
from opto.optimizers.optimizer import Optimizer, Parameter, UpdateDict
from opto.optimizers.problem import NameBook
from opto.optimizers.scores import ScoreReader, mean_score, score_of
from opto.trace.propagators import TraceGraph

SAMPLERS = ("tpe", "cmaes", "random")


class OptunaOptimizer(Optimizer):
    """Chooses numbers, bools, enums and other choices by Optuna, from the scores in the feedback.

    Needs the extra: ``pip install 'trace-opt[optuna]'``.

    Args:
        parameters: what to change; each needs bounds, given or told by its constraint or
            description ("between 0 and 10", "one of: fast, slow").
        bounds: by parameter or name: ``(low, high)``, ``[choice, ...]``, `Range` or `Choices`.
        maximize: whether higher scores are better.
        sampler: "tpe", "cmaes" (for numbers alone), "random", or a sampler of Optuna.
        seed: makes the proposals repeatable.
        score: reads the score of one feedback; the default takes numbers and "score: 0.7".
        settings: `propagator` and `ignore_extraction_error` of `Optimizer`.

    Attributes:
        study: Optuna's record of what was tried.
    """

    def __init__(
        self,
        parameters: list[Parameter],
        *,
        bounds: Mapping[Any, Given] | None = None,
        maximize: bool = True,
        sampler: Any = "tpe",
        seed: int | None = None,
        score: ScoreReader = score_of,
        **settings: Any,
    ) -> None:
        settings.pop("llm", None)  # so that it can take the place of an optimizer that asks one
        super().__init__(parameters, **settings)
        self.names = NameBook(self.parameters)
        self.bounds = bounds_for(self.parameters, bounds, self.names.name)
        without = [self.names.name(p) for p in self.parameters if p not in self.bounds]
        if without:
            name = without[0]
            message = f"{', '.join(without)}: no bounds; pass bounds={{{name!r}: (low, high)}}, or "
            raise InvalidArgument(message + "say 'between 0 and 10' in the constraint")
        optuna = library()
        self._space = {
            self.names.name(p): _distribution(optuna, p, self.bounds[p]) for p in self.parameters
        }
        self._score = score
        direction = "maximize" if maximize else "minimize"
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self.study = optuna.create_study(
                direction=direction, sampler=_sampler(optuna, sampler, seed)
            )
        finally:
            optuna.logging.set_verbosity(before)
        self._asked: Any = None

    def _step(self, *_: Any, **__: Any) -> UpdateDict:
        self.tell(self._feedback())
        return self.ask()

    def tell(self, graph: TraceGraph) -> None:
        """Record the score of the present values."""
        optuna = library()
        score = mean_score((note.feedback for note in graph.notes), self._score)
        present = {self.names.name(p): self._index(p) for p in self.parameters}
        asked, self._asked = self._asked, None
        if asked is not None and asked.params == present:
            self.study.tell(asked, score)
            return
        if asked is not None:  # what was proposed wasn't used
            self.study.tell(asked, state=optuna.trial.TrialState.FAIL)
        if all(self._space[name]._contains(value) for name, value in present.items()):
            trial = optuna.trial.create_trial(
                params=present, distributions=self._space, value=score
            )
            self.study.add_trial(trial)

    def ask(self) -> UpdateDict:
        """Return new values for the trainable parameters."""
        self._asked = self.study.ask(self._space)
        chosen = self._asked.params
        return {
            p: self._value(p, chosen[self.names.name(p)]) for p in self.parameters if p.trainable
        }

    def _index(self, parameter: Parameter) -> Any:
        """Return the present value as Optuna has it: of choices the position."""
        bounds, data = self.bounds[parameter], parameter._data
        if not isinstance(bounds, Choices):
            return data
        alike = [
            index
            for index, value in enumerate(bounds.values)
            if type(value) is type(data) and value == data
        ]
        return alike[0] if alike else -1

    def _value(self, parameter: Parameter, chosen: Any) -> Any:
        bounds = self.bounds[parameter]
        return (
            bounds.values[chosen] if isinstance(bounds, Choices) else type(parameter._data)(chosen)
        )


def library() -> Any:
    """The module ``optuna``; raises `MissingExtra` if it isn't installed."""
    try:
        return importlib.import_module("optuna")
    except ImportError:
        raise MissingExtra("optuna", "optuna", "OptunaOptimizer") from None


def _sampler(optuna: Any, name: Any, seed: int | None) -> Any:
    if not isinstance(name, str):
        return name
    made = {
        "tpe": optuna.samplers.TPESampler,
        "cmaes": optuna.samplers.CmaEsSampler,
        "random": optuna.samplers.RandomSampler,
    }.get(name)
    if made is None:
        message = f"there is no sampler {name!r}; there are {', '.join(SAMPLERS)}"
        raise InvalidArgument(message)
    return made(seed=seed)


def _distribution(optuna: Any, parameter: Parameter, bounds: Bounds) -> Any:
    kinds = optuna.distributions
    if isinstance(bounds, Choices):
        return kinds.CategoricalDistribution(range(len(bounds.values)))
    data = parameter._data
    if isinstance(data, bool) or not isinstance(data, (int, float)) or isinstance(data, enum.Enum):
        message = f"{parameter.py_name} is a {type(data).__name__}; a range is for numbers"
        raise InvalidArgument(message)
    if isinstance(data, int):
        return kinds.IntDistribution(int(bounds.low), int(bounds.high), log=bounds.log)
    return kinds.FloatDistribution(bounds.low, bounds.high, log=bounds.log)
