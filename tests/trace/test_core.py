from __future__ import annotations

from typing import Any

import pytest

from opto.errors import InvalidArgument
from opto.trace import bundle, stop_tracing
from opto.trace.nodes import ExceptionNode, MessageNode, Node, apply
from opto.trace.table import BY_NAME
from tests.trace.helpers import node

ADD = BY_NAME["add"].op


def test_operations_are_applied_in_one_place() -> None:
    x = node(1)

    made = apply(ADD, x, 2)

    assert made.data == 3
    assert made.inputs["x"] is x
    with pytest.raises(TypeError) as caught:
        apply(ADD, x, "a")
    error: Any = caught.value
    assert error.exception_node.name == "exception_add:0"
    assert error.exception_node.inputs["x"] is x


def test_results_made_by_hand() -> None:
    x = node(1, trainable=True)

    made = MessageNode(5, inputs={"a": x}, description="[mine] by hand", info={"k": 1})

    assert (made.name, made.op_name, made.description) == ("mine:0", "mine", "[mine] by hand")
    assert made.info == {"k": 1}
    assert made.inputs["a"] is x
    made.backward("say")
    assert len(x.feedback) == 1
    function: Any = made._op.function
    with pytest.raises(InvalidArgument, match="made by hand; its operation has no function"):
        function(1)


def test_no_inputs_by_hand_while_stopped() -> None:
    with stop_tracing():
        made: MessageNode[int] = MessageNode(5, inputs=[], description="[mine]")
        assert made.is_root
        with pytest.raises(InvalidArgument, match="has no inputs"):
            MessageNode(5, inputs=[node(1)], description="[mine]")


def test_failures_by_hand() -> None:
    x = node(1)

    made = ExceptionNode(ValueError("v"), inputs=[x], description="[exception] e", info={"a": 1})

    assert made.data == "(ValueError) v"
    assert str(made).startswith("MessageNode: (exception:0")
    assert made.create_feedback("full").endswith("(ValueError) v.")
    assert made.parents == [x]


def test_what_was_changed_in_place_is_a_node_like_others() -> None:
    x, p = node([1]), node(2, trainable=True)
    before = x[0]

    x.append(p)

    assert type(x).__name__ != "Node"
    assert str(x).startswith("Node: (list:")
    assert x.description.startswith("[append]") or x.description.startswith("[Node]")
    assert not x.is_root
    assert x.parameter_dependencies == {p}
    assert x.op_name
    before.backward("early")
    assert not p.feedback
    x.backward("late")
    assert len(p.feedback) == 1
    x.append(3)
    assert x.data == [1, 2, 3]


def test_changes_when_stopped_are_changes() -> None:
    x = node([1])
    with stop_tracing():
        made = x.append(2)

    assert x.data == [1, 2]
    assert x.is_root
    assert made.is_root


def test_feedback_on_roots() -> None:
    x = node(1)

    assert x.backward("one") is None
    x.backward("two")

    assert [str(key.data) for key in x.feedback] == ["FEEDBACK_ORACLE"] * 2
    assert not x._backwarded
    y = x + 1
    y.backward("say")
    assert y._backwarded
    y_again = x + 1
    y_again.backward("say", retain_graph=True)
    assert not y_again._backwarded


def test_calls_keep_containers_and_give_nodes_their_due() -> None:
    seen: list[Any] = []
    p = node(1, trainable=True)

    def record_call(*args: Any, **kwargs: Any) -> Any:
        seen.append((args, kwargs))
        return args[0]

    made = node(record_call)(p, [p], key=p)

    args, kwargs = seen[0]
    assert args[0] is p
    assert args[1][0] is p
    assert kwargs["key"] is p
    assert made.data == 1
    assert made.info["output"] is p
    assert len(made.inputs) == 4


def test_calls_of_methods_by_name() -> None:
    assert node("a,b").call("split", ",").data == ["a", "b"]
    assert isinstance(node(3).call("bit_length"), Node)


def test_hidden_parameters() -> None:
    p, q = node(1, trainable=True), node(2, trainable=True)

    @bundle(traceable_code=True, allow_external_dependencies=True)
    def inside(x: Any) -> Any:
        return x + p + 1

    made = inside(q)

    assert made.hidden_dependencies == {p}
    assert made.expandable_dependencies == {made}
    assert made.parameter_dependencies == {p, q}
    assert (made + 1).expandable_dependencies == {made}
    assert inside(p).hidden_dependencies == set()
