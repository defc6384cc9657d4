"""Gradient descent as an optimizer of one's own, in the two ways that the original teaches.

Once the gradient is computed from the graph when a step is made, once a propagator carries it. The
program is the one of the original's tutorial, |x| + x² / 2, and each way must go where plain
gradient descent goes. The classes use what the original documents for such optimizers and nothing
of ours beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opto.optimizers.optimizer import Optimizer
from opto.trace import bundle, node
from opto.trace.nodes import MessageNode, Node, ParameterNode
from opto.trace.propagators.propagators import Propagator

STEPSIZE = 0.1
STEPS = 10


# ---- by hand, with plain numbers -----------------------------------------------------------------


@bundle("[absolute] The absolute value of x.")
def absolute(x: float) -> float:
    return abs(x)


@bundle("[squared] The square of x.")
def squared(x: float) -> float:
    return x * x


RULES: dict[str, Callable[..., tuple[float, ...]]] = {
    "absolute": lambda x: (1.0 if x > 0 else -1.0,),
    "squared": lambda x: (2 * x,),
    "multiply": lambda x, y: (y, x),
    "add": lambda x, y: (1.0, 1.0),
}


def derivatives(child: MessageNode[Any]) -> list[tuple[Node[Any], float]]:
    """The inputs of a result, each with the derivative by it; each as often as used."""
    inputs = child.inputs
    values = [one.data for one in inputs.values()]
    return list(zip(inputs.values(), RULES[child.op_name](*values), strict=True))


class FromTheGraph(Optimizer):
    """Walks the graph that the default propagator brought, from its output to the parameters."""

    def __init__(self, parameters: Any, stepsize: float, *args: Any, **kwargs: Any) -> None:
        super().__init__(parameters, *args, **kwargs)
        self.stepsize = stepsize

    def _step(self, *args: Any, **kwargs: Any) -> dict[ParameterNode[Any], Any]:
        graph = self.trace_graph
        gradient: dict[Any, float] = {graph.graph[-1][1]: graph.user_feedback}
        for _, child in reversed(graph.graph):
            if child.is_root or child not in gradient:
                continue
            for parent, slope in derivatives(child):
                gradient[parent] = gradient.get(parent, 0.0) + gradient[child] * slope
        return {p: p.data - self.stepsize * gradient[p] for p in self.parameters if p.trainable}


class BackPropagator(Propagator):
    """Carries the gradient itself."""

    def init_feedback(self, node: Node[Any], feedback: Any) -> Any:
        return feedback

    def _propagate(self, child: MessageNode[Any]) -> dict[Any, Any]:
        received = sum(sum(items) for items in child.feedback.values())
        passed: dict[Any, Any] = {}
        for parent, slope in derivatives(child):
            passed[parent] = passed.get(parent, 0.0) + received * slope
        return passed


class GradientDescent(Optimizer):
    """Reads the gradients that its propagator brought to the parameters."""

    def __init__(self, parameters: Any, stepsize: float, *args: Any, **kwargs: Any) -> None:
        super().__init__(parameters, *args, **kwargs)
        self.stepsize = stepsize

    def default_propagator(self) -> Propagator:
        return BackPropagator()

    def _step(self, *args: Any, **kwargs: Any) -> dict[ParameterNode[Any], Any]:
        return {
            p: p.data - self.stepsize * sum(sum(items) for items in p.feedback.values())
            for p in self.parameters
            if p.trainable
        }


def expected_losses() -> list[float]:
    x, losses = 1.0, []
    for _ in range(STEPS):
        losses.append(abs(x) + x * x * 0.5)
        x -= STEPSIZE * ((1.0 if x > 0 else -1.0) + x)
    return losses


@pytest.mark.parametrize("kind", [FromTheGraph, GradientDescent])
def test_both_ways_descend_as_by_hand(kind: Callable[..., Optimizer]) -> None:
    param = node(1.0, trainable=True)
    optimizer = kind([param], stepsize=STEPSIZE)
    losses: list[float] = []
    for _ in range(STEPS):
        y = absolute(param) + squared(param) * 0.5
        optimizer.zero_feedback()
        optimizer.backward(y, 1.0)
        optimizer.step()
        losses.append(y.data)
    assert losses == pytest.approx(expected_losses())


def test_a_parameter_that_is_used_on_several_ways() -> None:
    x = node(3.0, trainable=True)
    optimizer = GradientDescent([x], stepsize=1.0)
    y = squared(x)
    optimizer.backward(y * x + x, 1.0)
    assert optimizer.step(bypassing=True) == {x: 3.0 - (3 * 9.0 + 1.0)}


def test_rules_may_be_registered_for_operators() -> None:
    x = node(2.0, trainable=True)
    propagator = BackPropagator()
    propagator.register("squared", lambda child: dict.fromkeys(child.parents, 42.0))
    optimizer = GradientDescent([x], 1.0, propagator=propagator)
    optimizer.backward(squared(x), 1.0)
    assert optimizer.step() == {x: 2.0 - 42.0}


# ---- with torch, as the tutorial has it ----------------------------------------------------------


def torch_program(torch: Any) -> tuple[ParameterNode[Any], Callable[[], Any]]:
    """The tutorial's objective, of bundled functions of torch."""
    x: Any = node(torch.tensor(1.0, requires_grad=True), trainable=True)

    @bundle()
    def absolute_of(x: Any) -> Any:
        """Absolute value."""
        return torch.abs(x)

    @bundle()
    def square_of(x: Any) -> Any:
        """Square."""
        return torch.square(x)

    half = torch.tensor(0.5, requires_grad=True)
    return x, lambda: absolute_of(x) + square_of(x) * half


class TorchPropagator(BackPropagator):
    """Lets torch compute the derivative of each operation by its inputs."""

    def _propagate(self, child: MessageNode[Any]) -> dict[Any, Any]:
        torch: Any = pytest.importorskip("torch")
        received = sum(sum(items) for items in child.feedback.values())
        parents = child.parents
        found = torch.autograd.grad(
            child.data, [one.data for one in parents], received, retain_graph=True
        )
        return dict(zip(parents, found, strict=True))


class TorchDescent(GradientDescent):
    """Gradient descent on tensors; the new value is a leaf again."""

    def default_propagator(self) -> Propagator:
        return TorchPropagator()

    def _step(self, *args: Any, **kwargs: Any) -> dict[ParameterNode[Any], Any]:
        update = super()._step(*args, **kwargs)
        return {p: value.detach().requires_grad_() for p, value in update.items()}


class TorchFromTheGraph(Optimizer):
    """Lets torch differentiate the output of the graph that came with the feedback."""

    def __init__(self, parameters: Any, stepsize: float, *args: Any, **kwargs: Any) -> None:
        super().__init__(parameters, *args, **kwargs)
        self.stepsize = stepsize

    def _step(self, *args: Any, **kwargs: Any) -> dict[ParameterNode[Any], Any]:
        torch: Any = pytest.importorskip("torch")
        graph = self.trace_graph
        output, feedback = graph.graph[-1][1], graph.user_feedback
        found = torch.autograd.grad(output.data, [p.data for p in self.parameters], feedback)
        return {
            p: (p.data - self.stepsize * gradient).detach().requires_grad_()
            for p, gradient in zip(self.parameters, found, strict=True)
        }


@pytest.mark.filterwarnings("ignore:Failed to initialize NumPy")
@pytest.mark.parametrize("kind", [TorchFromTheGraph, TorchDescent])
def test_both_ways_descend_as_torch_does(kind: Callable[..., Optimizer]) -> None:
    torch: Any = pytest.importorskip("torch")
    param, forward = torch_program(torch)
    optimizer = kind([param], stepsize=STEPSIZE)
    losses: list[float] = []
    for _ in range(STEPS):
        y = forward()
        optimizer.zero_feedback()
        optimizer.backward(y, torch.tensor(1.0))
        optimizer.step()
        losses.append(y.data.item())
    assert losses == pytest.approx(expected_losses())
