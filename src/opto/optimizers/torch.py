"""Tensors by their gradients, beside numbers, text and code by other optimizers.

Traced operations on tensors are recorded by PyTorch's autograd as well, since they run on the
tensors themselves. So feedback on an output reaches a tensor as the derivative of that output, and
everything else as words, in one `backward`. Nothing here imports torch before it is asked for.
"""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from opto.errors import InvalidArgument, MissingExtra, PropagationError, UsageError
from opto.optimizers.hybrid import HybridOptimizer
from opto.optimizers.model import Model
from opto.optimizers.optimizer import Optimizer, Parameter, UpdateDict
from opto.optimizers.problem import Entry, Problem, entry_of
from opto.optimizers.shortening import text_of
from opto.optimizers.showing import reason_of
from opto.trace.propagators import GraphPropagator, Propagator, TraceGraph

ALGORITHMS: Mapping[str, str] = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
}


class GradientPropagator(Propagator):
    """Carries gradients to tensors that require one, and notes to all other parameters.

    The gradient is that of the output, which is a single number, or is given its own gradient as
    feedback: a tensor of its shape. Other feedback has no part in it. Several ways from a tensor to
    the output make one gradient, as PyTorch computes it; an output that PyTorch can't differentiate
    (text, an error, a tensor made of constants) sends none. Rules that are registered for an
    operator concern notes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._notes = GraphPropagator()
        self._notes.override = self.override

    def init_feedback(self, node: Any, feedback: Any) -> Any:
        """Return what travels if the feedback is on a parameter itself."""
        if requires_gradient(node._data):
            return _gradient_of_itself(node._data, feedback)
        return self._notes.init_feedback(node, feedback)

    def _propagate(self, child: Any) -> Mapping[Any, Any]:
        return self._notes._propagate(child)

    def deliver(self, output: Any, feedback: Any) -> tuple[list[tuple[Any, Any, Any]], list[Any]]:
        """Return notes and gradients for the trainable roots, and the results on the way."""
        delivered, passed = self._notes.deliver(output, feedback)
        notes = [item for item in delivered if not requires_gradient(item[0]._data)]
        tensors = {id(root): root for root, *_ in delivered if requires_gradient(root._data)}
        found = _gradients(output._data, feedback, list(tensors.values()))
        return [*notes, *((root, output, gradient) for root, gradient in found)], passed


class TorchOptimizer(Optimizer):
    """Changes tensors by their gradients, with an algorithm of ``torch.optim``.

    Parameters that are no tensors go to another optimizer in the same step: numbers with bounds to
    Optuna, text and code to a model, as `HybridOptimizer` does it. If what the model says can't be
    used, the tensors keep their values, too. Needs the extra: ``pip install 'trace-opt[torch]'``.

    A tensor that is a parameter requires its gradient from then on. A step gives it a new tensor
    and leaves the old one as it was, so what was recorded keeps its values. What the algorithm
    remembers (momentum, say) counts a step only if its values were set.

    Args:
        parameters: what to change.
        llm: the model for `others`; None for the default one, looked for only if it is needed.
        algorithm: a name ("adam", "sgd", "adamw", "rmsprop", "adagrad"), or what makes an optimizer
            of torch from ``(tensors, lr=...)``, as ``torch.optim.SGD`` does; its step must need no
            closure. Loss is made small; ``{"maximize": True}`` says otherwise.
        lr: the learning rate.
        options: other arguments of the algorithm.
        others: makes the optimizer of all parameters that are no tensors; gets them and `llm`.
        log: whether to keep steps in `summary_log`.
        settings: `propagator` and `ignore_extraction_error` of `Optimizer`.

    Attributes:
        algorithm: the optimizer of torch, for its schedulers; None if there is no tensor.
        others: the optimizer of the other parameters, None if there are none.
    """

    def __init__(
        self,
        parameters: list[Parameter],
        llm: Model | None = None,
        *,
        algorithm: str | Callable[..., Any] = "adam",
        lr: float = 1e-3,
        options: Mapping[str, Any] | None = None,
        others: Callable[..., Optimizer] = HybridOptimizer,
        log: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, **settings)
        torch = library()
        self.summary_log = [] if log else None
        self._tensors = [p for p in self.parameters if is_tensor(p._data)]
        for parameter in self._tensors:
            _make_ready(parameter)
        rest = [parameter for parameter in self.parameters if not is_tensor(parameter._data)]
        self.others = others(rest, llm=llm) if rest else None
        if self.others is not None:
            self.refused = self.others.refused  # so that the model is told of them
        # The algorithm works on tensors of its own: torch changes them in place, and what a run
        # recorded must stay as it was.
        self._own = [p._data.detach().clone().requires_grad_() for p in self._tensors]
        make = _maker(torch, algorithm)
        self.algorithm: Any = make(self._own, lr=lr, **(options or {})) if self._own else None
        self._open: tuple[Any, list[Any]] | None = None

    def default_propagator(self) -> Propagator:
        """Return a `GradientPropagator`."""
        return GradientPropagator()

    @property
    def trace_graph(self) -> TraceGraph:
        """The part of the run that the feedback of the other parameters concerns."""
        return self.others.trace_graph if self.others is not None else TraceGraph()

    def project(self, update_dict: UpdateDict) -> UpdateDict:
        """Apply each parameter's projections; what they make of a tensor has no history."""
        super().project(update_dict)
        for parameter in self._tensors:
            value: Any = update_dict.get(parameter)
            if is_tensor(value) and not (value.is_leaf and value.requires_grad):
                update_dict[parameter] = _like(parameter._data, value)
        return update_dict

    def _step(self, *args: Any, **kwargs: Any) -> UpdateDict:
        gradients = {p: gradient_of(p) for p in self._tensors if p.trainable}
        known = {p: gradient for p, gradient in gradients.items() if gradient is not None}
        asked = self.others is not None and bool(self.others.trace_graph.notes)
        if not known and not asked:
            message = (
                "no tensor has a gradient, and no other parameter has feedback: call "
                "optimizer.backward(loss) with a loss that PyTorch made of the parameters"
            )
            raise UsageError(message)
        update: UpdateDict = {}
        if self.others is not None and asked:
            try:
                update.update(self.others.propose(*args, **kwargs))
            finally:
                self._note_others(self.others)
        if known:
            self._note_gradients(known)
            update.update(self._descended(known))
        return update

    def _note_others(self, others: Optimizer) -> None:
        """Tell what the other optimizer did, and let go of the tensors that its logs hold."""
        nested = [value for value in vars(others).values() if isinstance(value, Optimizer)]
        for optimizer in (others, *nested):
            if entry := optimizer._entry:
                entry["summary"] = _without_run(entry["summary"])
        if entry := others._entry:
            why = reason_of(others, entry)
            self.note_step(entry["problem_instance"], entry["summary"], reasoning=why)

    def _note_gradients(self, gradients: Mapping[Parameter, Any]) -> None:
        """Tell how long the gradients are, after what the other optimizer did."""
        variables = {self.names.name(p): _without_graph(entry_of(p)) for p in gradients}
        outputs = {id(o): o for p in gradients for o in p.feedback}.values()
        said = tuple((o.py_name, f"its value is {text_of(o._data)}") for o in outputs)
        problem = Problem((), {}, variables, {}, {}, {}, said)
        shown = "\n".join(
            f"(tensor) {self.names.name(parameter)} of shape {tuple(gradient.shape)}: "
            f"a gradient of length {float(gradient.detach().norm()):.4g}"
            for parameter, gradient in gradients.items()
        )
        if before := self._entry:
            shown = f"{before['problem_instance']}\n\n{shown}"
            known: Problem = before["summary"]
            problem = replace(known, variables={**known.variables, **variables})
        self.note_step(shown, problem)

    def _descended(self, gradients: Mapping[Parameter, Any]) -> UpdateDict:
        """Return the values after a step of the algorithm; its state can be taken back."""
        self._settle()
        before = copy.deepcopy(self.algorithm.state_dict()["state"])
        for parameter, own in zip(self._tensors, self._own, strict=True):
            own.data.copy_(_unchanged(parameter, own))
            gradient = gradients.get(parameter)
            own.grad = None if gradient is None else gradient.detach().clone()
        self.algorithm.step()
        self._open = before, [parameter._data for parameter in self._tensors]
        return {
            parameter: _like(parameter._data, own)
            for parameter, own in zip(self._tensors, self._own, strict=True)
            if parameter in gradients
        }

    def _settle(self) -> None:
        """Take back what the algorithm learnt from the last step if its values weren't set."""
        if self._open is None:
            return
        state, values = self._open
        self._open = None
        if all(p._data is value for p, value in zip(self._tensors, values, strict=True)):
            groups = self.algorithm.state_dict()["param_groups"]
            self.algorithm.load_state_dict({"state": state, "param_groups": groups})

    def __deepcopy__(self, memo: dict[int, Any]) -> Optimizer:
        """Return a copy with a state of its own, for the same parameters."""
        self._settle()
        return super().__deepcopy__(memo)


def _without_run(problem: Problem) -> Problem:
    """Return a problem that doesn't keep what PyTorch recorded."""
    bare = problem.bare()
    variables = {name: _without_graph(entry) for name, entry in bare.variables.items()}
    outputs = {name: _without_graph(entry) for name, entry in bare.outputs.items()}
    return replace(bare, variables=variables, outputs=outputs)


def _without_graph(entry: Entry) -> Entry:
    return replace(entry, data=entry.data.detach()) if is_tensor(entry.data) else entry


def library() -> Any:
    """The module ``torch``; raises `MissingExtra` if it isn't installed."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise MissingExtra("torch", "torch", "TorchOptimizer") from None


def is_tensor(value: object) -> TypeGuard[Any]:
    """Whether a value is a tensor; if torch isn't loaded, none can be."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def requires_gradient(value: Any) -> bool:
    """Whether a value is a tensor that PyTorch records operations on."""
    return is_tensor(value) and bool(value.requires_grad)


def gradient_of(parameter: Parameter) -> Any:
    """Return the sum of the gradients that a parameter received; None if it received none."""
    found = [item for items in parameter.feedback.values() for item in items if is_tensor(item)]
    return sum(found[1:], start=found[0]) if found else None


def _gradients(value: Any, feedback: Any, roots: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return the derivative of a value by each root that it depends on."""
    if not roots or not requires_gradient(value):
        return []
    seed = _gradient_of_itself(value, feedback)
    try:
        found = library().autograd.grad(
            value,
            [root._data for root in roots],
            seed,
            retain_graph=True,  # it goes with the nodes
            allow_unused=True,
        )
    except RuntimeError as error:
        message = f"PyTorch can't differentiate the output: {error}"
        raise PropagationError(message) from error
    return [
        (root, gradient)
        for root, gradient in zip(roots, found, strict=True)
        if gradient is not None
    ]


def _gradient_of_itself(value: Any, feedback: Any) -> Any:
    """Return the gradient to begin with: the feedback if it is a tensor, else 1."""
    if is_tensor(feedback):
        if feedback.shape != value.shape:
            message = (
                f"the gradient given as feedback has shape {tuple(feedback.shape)}, and the output "
                f"has {tuple(value.shape)}; they must be the same"
            )
            raise InvalidArgument(message)
        return feedback.detach().to(value)
    if value.numel() != 1:
        message = (
            f"the output is a tensor of shape {tuple(value.shape)}, and a gradient needs a single "
            "number: reduce it (output.call('mean')), or give its gradient as feedback"
        )
        raise InvalidArgument(message)
    return library().ones_like(value)


def _make_ready(parameter: Parameter) -> None:
    """Let PyTorch record what is done with a parameter."""
    value, name = parameter._data, parameter.py_name
    if not (value.is_floating_point() or value.is_complex()):
        message = f"{name} is a tensor of {value.dtype}, which has no gradient; use a float type"
        raise InvalidArgument(message)
    if not value.is_leaf:
        message = (
            f"{name} is the result of operations on other tensors; make the parameter of "
            "tensor.detach()"
        )
        raise InvalidArgument(message)
    value.requires_grad_()


def _unchanged(parameter: Parameter, own: Any) -> Any:
    """Return the value of a parameter, which must be of the kind that it was."""
    value = parameter._data
    if value.shape != own.shape or value.dtype != own.dtype or value.device != own.device:
        message = (
            f"{parameter.py_name} was {_kind(own)} and is now {_kind(value)}; make a new optimizer"
        )
        raise UsageError(message)
    return value.detach()


def _kind(value: Any) -> str:
    return f"a tensor of {value.dtype} of shape {tuple(value.shape)} on {value.device}"


def _like(old: Any, new: Any) -> Any:
    """Return a copy of a tensor as a parameter has it."""
    made = new.detach().clone()
    kind = library().nn.Parameter
    return kind(made) if isinstance(old, kind) else made.requires_grad_()


def _maker(torch: Any, algorithm: str | Callable[..., Any]) -> Callable[..., Any]:
    if not isinstance(algorithm, str):
        return algorithm
    name = ALGORITHMS.get(algorithm.lower())
    if name is None:
        message = f"there is no algorithm {algorithm!r}; there are {', '.join(ALGORITHMS)}"
        raise InvalidArgument(message)
    made: Callable[..., Any] = getattr(torch.optim, name)
    return made
