from __future__ import annotations

import logging
from typing import Any

import pytest

from opto.errors import InvalidArgument, ProposalError, UsageError, WrongType
from opto.optimizers.optimizer import Optimizer, UpdateDict
from opto.trace import ParameterNode, bundle, node
from opto.trace.projections import Projection
from opto.trace.propagators import GraphPropagator


class Fixed(Optimizer):
    """Proposes what it was told to, or raises it."""

    proposal: UpdateDict | Exception

    def _step(self, **_: Any) -> UpdateDict:
        self._feedback()
        if isinstance(self.proposal, Exception):
            raise self.proposal
        return dict(self.proposal)


def two() -> tuple[ParameterNode[Any], ParameterNode[Any], Fixed]:
    x, y = node(1, name="x", trainable=True), node("a", name="y", trainable=True)
    optimizer = Fixed([x, y])
    optimizer.backward(x + 1, "more")
    return x, y, optimizer


def test_a_step_sets_and_returns_the_values() -> None:
    x, y, optimizer = two()
    optimizer.proposal = {x: 5, y: "b"}
    assert optimizer.step() == {x: 5, y: "b"}
    assert (x.data, y.data) == (5, "b")


def test_bypassing_sets_nothing() -> None:
    x, _, optimizer = two()
    optimizer.proposal = {x: 5}
    assert optimizer.step(bypassing=True) == {x: 5}
    assert optimizer.step(True) == {x: 5}
    assert x.data == 1


def test_a_parameter_that_is_frozen_keeps_its_value() -> None:
    x, y, optimizer = two()
    y.trainable = False
    optimizer.update({x: 2, y: "b"})
    assert (x.data, y.data) == (2, "a")


def test_a_refused_proposal_changes_nothing_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    x, _, optimizer = two()
    optimizer.proposal = ProposalError("no good", reply="?")
    with caplog.at_level(logging.WARNING):
        assert optimizer.step() == {}
    assert x.data == 1
    assert "no good" in caplog.text
    assert [error.reason for error in optimizer.refused] == ["no good"]
    optimizer.proposal = {x: 2}
    optimizer.step()
    assert optimizer.refused == []


def test_a_refused_proposal_can_be_raised() -> None:
    x, y = node(1, trainable=True), node(2, trainable=True)
    optimizer = Fixed([x, y], ignore_extraction_error=False)
    optimizer.backward(x + y, "more")
    optimizer.proposal = ProposalError("no good")
    with pytest.raises(ProposalError, match="no good"):
        optimizer.step()
    assert len(optimizer.refused) == 1


class Positive(Projection):
    def project(self, x: Any) -> Any:
        if x == 0:
            message = "zero has no sign"
            raise ValueError(message)
        return abs(x)


def test_projections_are_applied_before_anything_is_set() -> None:
    x = ParameterNode(1, name="x", projections=[Positive()])
    y = ParameterNode(1, name="y", projections=[Positive()])
    optimizer = Fixed([x, y])
    optimizer.backward(x + y, "more")
    optimizer.proposal = {x: -3, y: -4}
    assert optimizer.step() == {x: 3, y: 4}
    optimizer.proposal = {x: -7, y: 0}
    assert optimizer.step() == {}
    assert (x.data, y.data) == (3, 4)
    assert "y0: Positive can't take the value: zero has no sign" in optimizer.refused[0].reason


def test_values_are_set_all_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, optimizer = two()

    def fail(self: ParameterNode[Any], value: Any) -> None:
        if self is y:
            raise MemoryError
        self._data = value

    monkeypatch.setattr(ParameterNode, "_set", fail)
    with pytest.raises(MemoryError):
        optimizer.update({x: 5, y: "b"})
    assert (x.data, y.data) == (1, "a")


def test_values_can_be_tried_out() -> None:
    x, y, optimizer = two()
    with optimizer.applied({x: 8}):
        assert x.data == 8
    with pytest.raises(ZeroDivisionError), optimizer.applied({x: 8, y: "b"}):
        raise ZeroDivisionError
    assert (x.data, y.data) == (1, "a")


def test_a_step_without_feedback_says_what_to_do() -> None:
    x, _, optimizer = two()
    optimizer.proposal = {x: 5}
    optimizer.zero_feedback()
    with pytest.raises(UsageError, match=r"call optimizer\.backward"):
        optimizer.step()


def test_backward_uses_the_propagator() -> None:
    propagator = GraphPropagator()
    x = node(1, trainable=True)
    optimizer = Fixed([x], propagator=propagator)
    assert optimizer.propagator is propagator
    optimizer.backward(x + 1, "more", retain_graph=True)
    assert optimizer.trace_graph.user_feedback == "more"
    optimizer.zero_feedback()
    assert optimizer.trace_graph.empty()


@bundle(trainable=True)
def double(x: int) -> int:
    """Twice."""
    return x + x


def test_it_takes_what_parameters_returns() -> None:
    assert Fixed(double.parameters()).parameters == double.parameters()


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ((), WrongType, "must be a list, not tuple"),
        ("x", WrongType, "must be a list, not str"),
        ([], InvalidArgument, "list of parameters is empty"),
        ([1], WrongType, "must be ParameterNodes, not int"),
        ([node(1)], WrongType, "ParameterNodes, not Node"),
    ],
)
def test_wrong_parameters(parameters: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        Fixed(parameters)
    assert isinstance(caught.value, AssertionError)


def test_a_parameter_given_twice_counts_once() -> None:
    x = node(1, trainable=True)
    assert len(Fixed([x, x]).parameters) == 1


def test_a_wrong_propagator() -> None:
    with pytest.raises(WrongType, match="must be a Propagator, not str"):
        Fixed([node(1, trainable=True)], propagator="graph")  # type: ignore[arg-type]  # the point
