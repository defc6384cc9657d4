"""SEMANTICS §3: parameters, results and failures made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from opto.trace import ParameterNode, stop_tracing
from opto.trace.nodes import ExceptionNode, MessageNode
from opto.trace.projections import Projection
from tests.trace.helpers import node, same_nodes

# ---- made by hand --------------------------------------------------------------------------------


@pytest.mark.covers("S3.35")
def test_feedback_is_kept_by_child() -> None:
    x, child = node(1, trainable=True), node(2)
    x._add_feedback(child, "a")
    x._add_feedback(child, "b")

    assert x.feedback[child] == ["a", "b"]
    x.zero_feedback()
    assert x.feedback == {}


class Doubling(Projection):
    """Doubles."""

    def project(self, x: Any) -> Any:
        """Return twice `x`."""
        return 2 * x


@pytest.mark.covers("S3.37", "S23.5")
def test_parameters() -> None:
    made: ParameterNode[int] = ParameterNode(
        1, name="p", description="d", constraint="c", projections=[Doubling()], info=7
    )

    assert same_nodes(made.parameter_dependencies, [made])
    assert (made.trainable, made._constraint, made.info) == (True, "c", 7)
    assert [projection.project(2) for projection in made.projections] == [4]
    assert ParameterNode(1, trainable=False).trainable is False
    for wrong in (Doubling(), [1], "x"):
        with pytest.raises(AssertionError, match="projections"):
            ParameterNode(1, projections=wrong)  # type: ignore[arg-type]  # what is tested


@pytest.mark.covers("S3.38", "S22.1")
def test_results_made_by_hand() -> None:
    x, y = node(1, name="x"), node(2, name="y")

    made: MessageNode[int] = MessageNode(3, inputs={"a": x, "b": y}, description="[sum] adds")
    listed: MessageNode[int] = MessageNode(3, inputs=[x, x], description="[sum] adds", name="n")

    assert (made.name, made.description, made.data) == ("sum:0", "[sum] adds", 3)
    assert list(made.inputs) == ["a", "b"]
    made.inputs.clear()
    assert len(made.inputs) == 2  # a copy was emptied
    assert (listed.name, list(listed.inputs)) == ("n:0", ["x:0"])
    assert same_nodes(listed.parents, [x])
    assert same_nodes(x.children, [made, listed])
    wrong: Any
    for wrong in (3, {"a": 1}, [1], "x"):
        with pytest.raises(AssertionError, match="input"):
            MessageNode(3, inputs=wrong, description="[sum] adds")
    with stop_tracing():
        assert MessageNode(3, inputs=[], description="[sum] adds").parents == []
        with pytest.raises(AssertionError, match="stop_tracing"):
            MessageNode(3, inputs=[x], description="[sum] adds")


class Strange(Exception):
    """An exception of this module."""


@pytest.mark.covers("S3.40", "S22.1")
def test_failures_made_by_hand() -> None:
    x = node(1, trainable=True)

    made = ExceptionNode(ValueError("v"), inputs={"x": x}, description="[f] fails")
    other = ExceptionNode(Strange("s"), inputs=[x], description="[f] fails")

    assert (made.data, made.create_feedback(), made.create_feedback("simple")) == (
        "(ValueError) v", "(ValueError) v", "(ValueError) v",
    )  # fmt: skip
    assert other.data == f"({__name__}.Strange) s"
    assert "(ValueError) v" in made.create_feedback("full")
    with pytest.raises(AssertionError, match="style"):
        made.create_feedback("loud")  # type: ignore[arg-type]  # what is tested
    made.backward(made.create_feedback())
    assert len(x.feedback) == 1
