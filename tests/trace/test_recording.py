from __future__ import annotations

from typing import Any

import pytest

from opto.errors import WrongType
from opto.trace import stop_tracing
from opto.trace.nodes import MessageNode, Node
from opto.trace.ops import Op
from opto.trace.recording import checked_inputs, constant, record
from tests.trace.helpers import node

OP = Op("f", "[f]", ("x", "y"), max)


def test_constants_are_nodes_without_the_checks() -> None:
    made = constant(Node, 3)

    assert type(made) is Node
    assert (made.name, made.data) == ("int:0", 3)
    assert constant(Node, 3, "x").name == "x:0"


def test_results_know_their_inputs_and_whether_they_learn() -> None:
    x, p = node(1), node(2, trainable=True)

    made = record(MessageNode, OP, (x, p), 2)

    assert made.inputs == {"x": x, "y": p}
    assert made.parameter_dependencies == {p}
    assert record(MessageNode, OP, (x, x), 1).parameter_dependencies == set()
    assert [child.name for child in p.children] == ["f:0"]


def test_nothing_is_recorded_when_stopped() -> None:
    x = node(1, trainable=True)
    with stop_tracing():
        made = record(MessageNode, OP, (x, x), 1)

    assert made.is_root
    assert made.inputs == {}
    assert x.children == []
    assert made.parameter_dependencies == set()


def test_inputs_by_hand() -> None:
    x = node(1, name="x")

    assert checked_inputs(Node, [x]) == {"x:0": x}
    assert checked_inputs(Node, {"a": x}) == {"a": x}
    for wrong in ("text", 3, None):
        with pytest.raises(WrongType, match="must be a list or a dict of nodes"):
            checked_inputs(Node, wrong)
    unwrapped: Any = {"a": 3}
    with pytest.raises(WrongType, match="input 'a' must be a node, not int; wrap it"):
        checked_inputs(Node, unwrapped)
