"""What every optimizer does: collect feedback, check a proposal as a whole, set all or nothing."""

from __future__ import annotations

import copy
import logging
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard, cast

from opto.errors import (
    InvalidArgument,
    ParameterFileError,
    ProposalError,
    UsageError,
    WrongType,
)
from opto.optimizers.problem import NameBook, Problem, read_problem
from opto.optimizers.rendering import values_text
from opto.optimizers.showing import show, view_of
from opto.trace.files import FILES
from opto.trace.nodes import Node, ParameterNode
from opto.trace.origin import FromModel, Origin
from opto.trace.parameters import set_all
from opto.trace.propagators import GraphPropagator, Propagator, TraceGraph
from opto.trace.utils import sum_feedback

Parameter = ParameterNode[Any]
UpdateDict = dict[Parameter, Any]

_LOGS = ("log", "summary_log")

_log = logging.getLogger(__name__)


class Optimizer(ABC):
    """Changes parameters by the feedback they received. Subclasses write `_step`.

    Args:
        parameters: what to change; a list, as ``model.parameters()`` returns.
        propagator: how feedback travels; None for the default.
        ignore_extraction_error: whether a proposal that can't be used makes `step` return an empty
            dict (it is logged and kept in `refused`) instead of raising `ProposalError`.

    Attributes:
        refused: why proposals were refused since the last one that was used.
        run: a name for the run that this is part of; every value that is set carries it.
        step_number: how many proposals were asked for in this run.
        names: gives each parameter the name by which it is shown, and no other.
        summary_log: what was shown and proposed in each step, for `render_step`; None if it isn't
            kept.
        in_process: what ran in this process of code that the author didn't write, since somebody
            said that it may: the parameter, and where the code was from.
    """

    def __init__(
        self,
        parameters: list[Parameter],
        *,
        propagator: Propagator | None = None,
        ignore_extraction_error: bool = True,
    ) -> None:
        self.parameters = _checked(parameters)
        self._propagator = _checked_propagator(propagator) or self.default_propagator()
        self.ignore_extraction_error = ignore_extraction_error
        self.refused: list[ProposalError] = []
        self.run = secrets.token_hex(6)
        self.step_number = 0
        self.in_process: list[dict[str, Any]] = []
        self.names = NameBook(self.parameters)
        self.summary_log: list[dict[str, Any]] | None = None
        self._entry: dict[str, Any] = {}
        self._calls_before = 0

    # ---- feedback --------------------------------------------------------------------------------

    def default_propagator(self) -> Propagator:
        """Return the propagator to use if none is given."""
        return GraphPropagator()

    @property
    def propagator(self) -> Propagator:
        """How feedback travels."""
        return self._propagator

    @property
    def trace_graph(self) -> TraceGraph:
        """The part of the run that the feedback of all parameters concerns.

        Raises:
            UsageError: the feedback came by a propagator that keeps no graph.
        """
        graph = sum_feedback(self.parameters)
        if isinstance(graph, TraceGraph):
            return graph
        if any(parameter.feedback for parameter in self.parameters):
            message = f"the feedback is no TraceGraph but {type(graph).__name__}"
            raise UsageError(f"{message}; use optimizer.backward, or a GraphPropagator")
        return TraceGraph()

    def zero_feedback(self) -> None:
        """Forget the feedback of all parameters."""
        for parameter in self.parameters:
            parameter.zero_feedback()

    def backward(self, node: Node[Any], *args: Any, **kwargs: Any) -> Any:
        """Carry feedback from a node to the parameters; see `Node.backward`."""
        return node.backward(*args, **{"propagator": self.propagator, **kwargs})

    # ---- steps -----------------------------------------------------------------------------------

    def step(self, bypassing: bool = False, *args: Any, **kwargs: Any) -> UpdateDict:  # noqa: FBT001, FBT002 - the original's signature
        """Propose new values and set them, all or none.

        Args:
            bypassing: propose without setting.
            args: for `propose`, as are `kwargs`.

        Returns:
            The new value of each changed parameter; empty if nothing changed.

        Raises:
            ProposalError: the proposal can't be used, and `ignore_extraction_error` is False.
        """
        try:
            update = self.project(self.propose(*args, **kwargs))
            self._note(update=self._named(update))
        except ProposalError as error:
            self._note(refused=error.reason, update={})
            self._refuse(error)
            if not self.ignore_extraction_error:
                raise
            return {}
        self.refused.clear()
        if not bypassing:
            self.update(update)
        return update

    def propose(self, *args: Any, **kwargs: Any) -> UpdateDict:
        """Return new values, checked but neither projected nor set; raises `ProposalError`."""
        self._note_in_process()
        self.step_number += 1
        self._entry, self._calls_before = {}, self._calls()
        try:
            update = self._step(*args, **kwargs)
        except ProposalError as error:
            self._note(refused=error.reason)
            raise
        self._note(update=self._named(update))
        return update

    @abstractmethod
    def _step(self, *args: Any, **kwargs: Any) -> UpdateDict:
        """Return new values for some of the parameters."""

    def project(self, update_dict: UpdateDict) -> UpdateDict:
        """Apply each parameter's projections to its new value, in place.

        Raises:
            ProposalError: if a projection fails; `update_dict` is as it was then.
        """
        projected: UpdateDict = {}
        for parameter, value in update_dict.items():
            new = value
            for projection in parameter.projections if parameter.trainable else ():
                try:
                    new = projection(new)
                except Exception as error:
                    kind = type(projection).__name__
                    message = f"{parameter.py_name}: {kind} can't take the value: {error}"
                    raise ProposalError(message) from error
            projected[parameter] = new
        update_dict.update(projected)
        return update_dict

    def update(self, update_dict: Mapping[Parameter, Any]) -> None:
        """Set the values of the trainable parameters; if one can't be set, none is."""
        values = {p: value for p, value in update_dict.items() if p.trainable}
        set_all(values, {parameter: self.origin(parameter) for parameter in values})

    def origin(self, parameter: Parameter) -> Origin:
        """Return where a value is from that this optimizer sets now."""
        return FromModel(self.run, self.step_number, self.model_of(parameter))

    def model_of(self, parameter: Parameter) -> str | None:
        """Return the name of the model that proposes values of a parameter, None if unknown."""
        del parameter  # one model proposes all
        name = getattr(getattr(self, "llm", None), "model_name", None)
        return str(name) if name else None

    @contextmanager
    def applied(self, update_dict: Mapping[Parameter, Any]) -> Generator[None]:
        """Set values for the duration of a ``with`` block, to try them out."""
        before = {parameter: parameter._data for parameter in update_dict}
        origins = {parameter: parameter.origin for parameter in update_dict}
        self.update(update_dict)
        try:
            yield
        finally:
            set_all(before, origins)

    # ---- showing ---------------------------------------------------------------------------------

    def note_step(self, shown: object, summary: Problem, **more: Any) -> None:
        """Put what this step is about into `summary_log`, where one is kept; once a step.

        Of a step that says nothing, the parameters and the feedback are put there.

        Args:
            shown: the problem as it was shown, for ``problem_instance``.
            summary: the problem.
            more: what else there is to tell: ``reasoning``.
        """
        if self.summary_log is None:
            return
        if not self._entry:
            self.summary_log.append(self._entry)
        known = {"problem_instance": str(shown), "summary": summary}
        self._entry.update(known, first_call=self._calls_before, **more)

    def _note(self, **more: Any) -> None:
        """Add to what was put into the log in this step."""
        if self.summary_log is None:
            return
        if not self._entry:
            graph = self.trace_graph
            if not graph.notes:
                return
            problem = read_problem(graph, self.parameters, self.names).bare()
            self.note_step(values_text(problem.variables), problem)
        self._entry.update(more, calls_until=self._calls())

    def _calls(self) -> int:
        return len(getattr(self, "log", None) or ())

    def _named(self, update: Mapping[Parameter, Any]) -> dict[str, Any]:
        return {self.names.name(parameter): value for parameter, value in update.items()}

    def render_step(
        self, number: int = -1, *, with_problem: bool = True, with_change: bool = True
    ) -> None:
        """Show a step that was made, in a notebook or on the terminal; see `showing.view_of`."""
        show(view_of(self, number, with_problem=with_problem, with_change=with_change))

    # ---- files -----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters and `kept_state` to a text file, whole or not at all.

        Raises:
            NotPlainData: if something can't be written; the message names it.
        """
        self._note_in_process()
        names = _names(self.parameters)
        FILES.get("default").save(path, names, holder=self, state=self.kept_state())

    def load(self, path: str | os.PathLike[str], *, allow_pickle: bool = False) -> None:
        """Set the parameters, which stay the same objects, and the state from a file, or neither.

        Args:
            path: a file that `save` wrote, of an optimizer of this kind with such parameters.
            allow_pickle: also read a pickle of parameters; nothing in it is called.

        Raises:
            ParameterFileError: if the file is damaged, newer, or doesn't fit.
        """
        contents = FILES.get("default").read(
            path,
            _names(self.parameters),
            holder=self,
            state=self.kept_state(),
            allow_pickle=allow_pickle,
        )
        before = dict(vars(self))
        try:
            self.restore_state(contents.state)
            contents.apply()
        except BaseException as error:
            vars(self).update(before)
            if isinstance(error, (TypeError, ValueError, LookupError, AttributeError)):
                message = f"{os.fspath(path)}: the state can't be that of this optimizer: {error}"
                raise ParameterFileError(message) from error
            raise

    def kept_state(self) -> dict[str, Any]:
        """Return what `save` writes beside the parameters: plain data by name.

        Who overrides this overrides `restore_state`, and adds to what ``super()`` returns.
        """
        kept: dict[str, Any] = {"name": self.run, "steps": self.step_number}
        return {"run": {**kept, "in process": self.in_process}}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `kept_state` gave: new objects for the attributes, no change of old ones.

        Args:
            state: what the file had; it may lack some of the names.
        """
        if "run" in state:
            run = state["run"]
            self.run, self.step_number = str(run["name"]), int(run["steps"])
            self.in_process = [dict(entry) for entry in run["in process"]]

    def __deepcopy__(self, memo: dict[int, Any]) -> Optimizer:
        """Return a copy with a state of its own, for the same parameters."""
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        memo[id(self.parameters)] = self.parameters
        memo.update((id(parameter), parameter) for parameter in self.parameters)
        for name in _LOGS:  # what was written down doesn't change; only the list is its own
            entries = self.__dict__.get(name)
            if isinstance(entries, list):
                memo[id(entries)] = list(cast("list[object]", entries))
        for name, value in self.__dict__.items():
            setattr(twin, name, copy.deepcopy(value, memo))
        twin._entry = {}
        return twin

    def _refuse(self, error: ProposalError) -> None:
        self.refused.append(error)
        _log.warning("proposal refused, no parameter was changed: %s", error.reason)

    def _note_in_process(self) -> None:
        """Note which code that the author didn't write ran without a boundary."""
        for name, parameter in _names(self.parameters).items():
            entry = {"parameter": name, "origin": parameter.origin.as_plain()}
            if parameter.ran != "inprocess" or entry in self.in_process:
                continue
            if all(known["parameter"] != name for known in self.in_process):
                _log.warning(
                    "code of %s (from %s) ran in this process without a boundary, as was asked for",
                    name,
                    parameter.origin,
                )
            self.in_process.append(entry)

    def _feedback(self) -> TraceGraph:
        """Return the graph of the feedback; raises `UsageError` if there is none."""
        graph = self.trace_graph
        if not graph.notes:
            message = (
                "no parameter of the optimizer has feedback; call optimizer.backward(output, "
                "feedback) with an output that depends on one of them before step()"
            )
            raise UsageError(message)
        return graph


AbstractOptimizer = Optimizer
"""The same class, under the name of the original's base class."""


def _checked(parameters: object) -> list[Parameter]:
    hint = "pass a list of trainable nodes, as model.parameters() returns"
    if not isinstance(parameters, list):
        message = f"parameters must be a list, not {type(parameters).__name__}; {hint}"
        raise WrongType(message)
    found: dict[int, Parameter] = {}
    for item in cast("list[object]", parameters):
        if not _is_parameter(item):
            message = f"parameters must be ParameterNodes, not {type(item).__name__}; {hint}"
            raise WrongType(message)
        found[id(item)] = item
    if not found:
        message = f"there is nothing to optimize: the list of parameters is empty; {hint}"
        raise InvalidArgument(message)
    return list(found.values())


def _names(parameters: list[Parameter]) -> dict[str, Parameter]:
    """Return parameters by name without the number of the run; those of one name are counted."""
    bases = [parameter.name.partition(":")[0] for parameter in parameters]
    found: dict[str, Parameter] = {}
    for index, (base, parameter) in enumerate(zip(bases, parameters, strict=True)):
        found[base if bases.count(base) == 1 else f"{base}.{bases[:index].count(base)}"] = parameter
    return found


def _is_parameter(item: object) -> TypeGuard[Parameter]:
    return isinstance(item, ParameterNode)


def _checked_propagator(propagator: object) -> Propagator | None:
    if propagator is None or isinstance(propagator, Propagator):
        return propagator
    message = f"propagator must be a Propagator, not {type(propagator).__name__}"
    raise WrongType(message)
