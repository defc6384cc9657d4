"""Numbers and choices by a classical optimizer, which asks no model."""

from __future__ import annotations

import enum
import importlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from opto.errors import InvalidArgument, MissingExtra
from opto.optimizers.bounds import Bounds, Choices, Given, Range, bounds_for, place_of, told
from opto.optimizers.memory import Trial
from opto.optimizers.model import function_of
from opto.optimizers.optimizer import Optimizer, Parameter, UpdateDict
from opto.optimizers.problem import Entry, Problem, entry_of
from opto.optimizers.scores import ScoreReader, have_scores, mean_score, score_of, without_score
from opto.optimizers.shortening import text_of
from opto.optimizers.tried import Tried
from opto.trace.nodes import ParameterNode
from opto.trace.propagators import TraceGraph

SAMPLERS = ("tpe", "cmaes", "random")
_SAID = "said"


class Pointer(NamedTuple):
    """The next value of a parameter, as Optuna has it, and why the feedback says so."""

    value: Any
    why: str


class OptunaOptimizer(Optimizer):
    """Chooses numbers, bools, enums and other choices by Optuna, from the scores in the feedback.

    Needs the extra: ``pip install 'trace-opt[optuna]'``.

    Words count, too, where each line of the feedback names one parameter, or there is only one:
    once those on a number turn between two values that were tried ("too low" at 20, "too high" at
    60), the next is in their middle; what is no longer named stays. The sampler chooses the rest.

    Args:
        parameters: what to change; each needs bounds, given or told by its constraint or
            description ("between 0 and 10", "one of: fast, slow").
        bounds: by parameter or name: ``(low, high)``, ``[choice, ...]``, `Range` or `Choices`.
        maximize: whether higher scores are better.
        sampler: "tpe", "cmaes" (for numbers alone), "random", or a sampler of Optuna.
        seed: makes the proposals repeatable.
        score: reads the score of one feedback; the default takes numbers and "score: 0.7".
        log: whether to keep steps in `summary_log`.
        settings: `propagator` and `ignore_extraction_error` of `Optimizer`.

    Attributes:
        study: Optuna's record of what was tried. Files keep it; the state of the sampler's random
            numbers they don't.
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
        log: bool = True,
        **settings: Any,
    ) -> None:
        settings.pop("llm", None)  # so that it can take the place of an optimizer that asks one
        super().__init__(parameters, **settings)
        self.summary_log = [] if log else None
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
        self._settings = ("maximize" if maximize else "minimize", sampler, seed)
        self.study = self._new_study()
        self._asked: Any = None
        self._pointers: dict[str, Pointer] = {}

    def _new_study(self) -> Any:
        optuna = library()
        direction, sampler, seed = self._settings
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            return optuna.create_study(direction=direction, sampler=_sampler(optuna, sampler, seed))
        finally:
            optuna.logging.set_verbosity(before)

    def kept_state(self) -> dict[str, Any]:
        """Return the values that were tried, in the order of the parameters, with their scores."""
        asked = None if self._asked is None else self._in_order(self._asked.params)
        tried = [
            {
                "values": self._in_order(trial.params),
                "score": trial.value,
                _SAID: trial.user_attrs.get(_SAID, ""),
            }
            for trial in self._told()
        ]
        return {**super().kept_state(), "study": {"tried": tried, "asked": asked}}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Take up what was tried, in a study of its own."""
        super().restore_state(state)
        if "study" not in state:
            return
        study, asked = self._new_study(), state["study"]["asked"]
        for trial in state["study"]["tried"]:
            params = dict(zip(self._space, trial["values"], strict=True))
            said = str(trial.get(_SAID, ""))
            study.add_trial(self._trial(params, float(trial["score"]), said))
        self._asked = None
        if asked is not None:
            study.enqueue_trial(dict(zip(self._space, asked, strict=True)))
            self._asked = study.ask(self._space)
        self.study = study

    def _in_order(self, params: Mapping[str, Any]) -> list[Any]:
        return [params[name] for name in self._space]

    def _told(self) -> list[Any]:
        return [trial for trial in self.study.trials if trial.value is not None]

    def _trial(self, params: Mapping[str, Any], score: float, said: str) -> Any:
        make = library().trial.create_trial
        attributes = {_SAID: said}
        return make(
            params=dict(params), distributions=self._space, value=score, user_attrs=attributes
        )

    def _step(self, *_: Any, **__: Any) -> UpdateDict:
        graph = self._feedback()
        self.tell(graph)
        self.note_step(*self.shown(graph))
        self._note(reasoning=self.standing())
        return self.ask()

    def scored(self, graph: TraceGraph) -> bool:
        """Whether each feedback has a score."""
        return have_scores((note.feedback for note in graph.notes), self._score)

    def shown(self, graph: TraceGraph) -> tuple[str, Problem]:
        """Return the parameters with their bounds and values, as text and as a problem."""
        variables: dict[str, Entry] = {}
        for parameter in self.parameters:
            hint = told(self.bounds[parameter])
            variables[self.names.name(parameter)] = replace(entry_of(parameter), constraint=hint)
        said = tuple((note.output.py_name, str(note.feedback)) for note in graph.notes)
        lines = (
            f"({entry.kind}) {name}={entry.data}, {entry.constraint}"
            for name, entry in variables.items()
        )
        return "\n".join(lines), Problem((), {}, variables, {}, {}, {}, said)

    def standing(self) -> str:
        """Tell the last score, the best with its values, and where the words of feedback point."""
        done = self._told()
        if not done:
            return "no values within the bounds were tried yet"
        best = self.study.best_trial
        values = ", ".join(
            f"{self.names.name(p)}={self._value(p, best.params[self.names.name(p)])}"
            for p in self.parameters
        )
        last = f"score {done[-1].value:g}"
        best_of = f"the best of {len(done)} tried is {best.value:g} with {values}"
        next_ones = (f"next {name} {pointer.why}" for name, pointer in self._pointers.items())
        return "; ".join([last, best_of, *next_ones])

    def tell(self, graph: TraceGraph) -> None:
        """Record the score of the present values, and what was said about them."""
        optuna = library()
        score = mean_score((note.feedback for note in graph.notes), self._score)
        said = without_score(str(graph.user_feedback))
        self._pointers = dict(self._pointed(graph, said))
        present = {self.names.name(p): self._index(p) for p in self.parameters}
        asked, self._asked = self._asked, None
        if asked is not None and asked.params == present:
            asked.set_user_attr(_SAID, said)
            self.study.tell(asked, score)
            return
        if asked is not None:  # what was proposed wasn't used
            self.study.tell(asked, state=optuna.trial.TrialState.FAIL)
        if all(self._space[name]._contains(value) for name, value in present.items()):
            self.study.add_trial(self._trial(present, score, said))

    def _pointed(self, graph: TraceGraph, said: str) -> Iterator[tuple[str, Pointer]]:
        """Yield the parameters of which the feedback says where their next value is."""
        if not said:
            return
        tried = self._tried(graph, said)
        for parameter in self.parameters if tried.apart else ():
            name, now = self.names.name(parameter), self._index(parameter)
            if tried.is_settled(name):
                if self._space[name]._contains(now):
                    yield name, Pointer(now, "stays, nothing more was said against it")
            elif gap := tried.gap(name):
                value = self._middle(parameter, *map(float, gap))
                if value is not None:
                    yield name, Pointer(value, f"is between {gap[0]} and {gap[1]}, as was said")

    def _tried(self, graph: TraceGraph, said: str) -> Tried:
        entries = {self.names.name(p): entry_of(p) for p in self.parameters}
        mine = set(self.parameters)
        others = (node for _, node in graph.graph if isinstance(node, ParameterNode))
        words = {name: name for name in entries} | {
            other.py_name: function_of(other) or other.py_name
            for other in others
            if other.trainable and other not in mine
        }
        return Tried(entries, words, map(self._remembered, self._told()), said)

    def _remembered(self, trial: Any) -> Trial:
        values = zip(self.parameters, self._in_order(trial.params), strict=True)
        texts = {self.names.name(p): text_of(self._value(p, value)) for p, value in values}
        return Trial(texts, str(trial.user_attrs.get(_SAID, "")))

    def _middle(self, parameter: Parameter, low: float, high: float) -> float | None:
        """Return the middle of two values that were tried; None if there is none or it was, too."""
        bounds, name = self.bounds[parameter], self.names.name(parameter)
        if not isinstance(bounds, Range):
            return None
        low, high = max(low, bounds.low), min(high, bounds.high)
        half = math.sqrt(low * high) if bounds.log else (low + high) / 2
        value = type(parameter._data)(half)
        was_tried = any(trial.params[name] == value for trial in self._told())
        fits = low < value < high and self._space[name]._contains(value)
        return value if fits and not was_tried else None

    def ask(self) -> UpdateDict:
        """Return new values for the trainable parameters."""
        pointers, self._pointers = self._pointers, {}
        if pointers:
            fixed = {name: pointer.value for name, pointer in pointers.items()}
            self.study.enqueue_trial(fixed)
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
        place = place_of(data, bounds)
        return -1 if place is None else place

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
