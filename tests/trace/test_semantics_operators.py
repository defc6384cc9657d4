"""SEMANTICS §3 and §4: what nodes can do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from opto import trace
from opto.trace.nodes import MessageNode
from opto.trace.utils import contain
from tests.trace.helpers import node, same_nodes

BINARY: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("add", lambda x, y: x + y),
    ("subtract", lambda x, y: x - y),
    ("multiply", lambda x, y: x * y),
    ("divide", lambda x, y: x / y),
    ("floor_divide", lambda x, y: x // y),
    ("mod", lambda x, y: x % y),
    ("power", lambda x, y: x**y),
    ("lshift", lambda x, y: x << y),
    ("rshift", lambda x, y: x >> y),
    ("and_", lambda x, y: x & y),
    ("or_", lambda x, y: x | y),
    ("xor", lambda x, y: x ^ y),
    ("node_divmod", divmod),
]
UNARY: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("pos", lambda x: +x, -3),
    ("neg", lambda x: -x, -3),
    ("invert", lambda x: ~x, -3),
    ("abs", abs, -3),
    ("round", round, 2.5),
    ("floor", math.floor, -2.5),
    ("ceil", math.ceil, -2.5),
    ("trunc", math.trunc, -2.5),
]
# ---- comparison, truth, length -------------------------------------------------------------------


@pytest.mark.covers("S3.12")
def test_equality_is_what_the_values_say() -> None:
    x = node(1, trainable=True)

    assert (x == 1) is True
    assert (x == node(1)) is True
    assert (x != 1) is False
    assert (1 == x) is True  # noqa: SIM300 - the reflected form
    assert (node(np.array([1, 2])) == np.array([1, 3])).tolist() == [True, False]
    assert x.children == []


@pytest.mark.covers("S3.13", "S3.14")
def test_traced_comparison() -> None:
    x = node(1)
    made = [x.eq(1), x.neq(1), x < 2, x <= 0, x > 0, x >= 2]

    assert [result.data for result in made] == [True, False, True, False, True, False]
    assert [result.op_name for result in made] == ["eq", "neq", "lt", "le", "gt", "ge"]
    assert all(list(result.inputs) == ["x", "y"] for result in made)


@pytest.mark.covers("S3.15")
def test_sets_of_nodes() -> None:
    x, y = node(1), node(1)

    assert y in [x, 0]
    assert y not in {x, 0}
    assert contain([y], y)
    assert not contain([x], y)


@pytest.mark.covers("S3.16")
def test_truth() -> None:
    yes, no = node([1]), node([])

    assert bool(yes)
    assert not bool(no)
    assert (no or True) is True
    assert (yes and no) is no
    assert (yes or no) is yes
    assert (not yes) is False


@pytest.mark.covers("S3.17")
def test_length_and_membership() -> None:
    x = node([1, 2])
    traced = x.len()

    assert (len(x), type(len(x))) == (2, int)
    assert (traced.data, traced.op_name, same_nodes(traced.parents, [x])) == (2, "len_", True)
    assert (1 in x) is True
    assert (node(3) in x) is False


# ---- operators -----------------------------------------------------------------------------------


@pytest.mark.covers("S3.18", "S3.19", "S24.7")
@pytest.mark.parametrize(("name", "compute"), BINARY)
@pytest.mark.parametrize("left", ["node", "plain"])
@pytest.mark.parametrize("right", ["node", "plain"])
def test_binary_operators(
    name: str, compute: Callable[[Any, Any], Any], left: str, right: str
) -> None:
    if left == right == "plain":
        return
    x: Any = node(7, name="left", trainable=True) if left == "node" else 7
    y: Any = node(2, name="right", trainable=True) if right == "node" else 2

    made = compute(x, y)

    assert isinstance(made, MessageNode)
    assert made.data == compute(7, 2)
    assert made.name == f"{name}:0"
    assert [given.data for given in made.inputs.values()] == [7, 2]
    assert list(made.inputs) == ["x", "y"]
    assert same_nodes(made.parameter_dependencies, [v for v in (x, y) if not isinstance(v, int)])


@pytest.mark.covers("S3.19")
@pytest.mark.parametrize(("name", "compute", "value"), UNARY)
def test_unary_operators(name: str, compute: Callable[[Any], Any], value: Any) -> None:
    x = node(value)

    made = compute(x)

    assert (made.data, made.name) == (compute(value), f"{name}:0")
    assert same_nodes(made.parents, [x])


@pytest.mark.covers("S3.20")
def test_plus() -> None:
    assert (node("a") + "b").name == "concat:0"
    assert ("a" + node("b")).data == "ab"
    assert ("a" + node("b")).op_name == "concat"
    assert (node([1]) + node([2])).name == "add:0"
    total = sum([node(1), node(2)])
    assert isinstance(total, MessageNode)
    assert total.data == 3


@pytest.mark.covers("S3.22")
def test_augmented_assignment_makes_a_new_node() -> None:
    x = before = node([1], trainable=True)
    more = [2]

    x += more

    assert x is not before
    assert (x.data, before.data) == ([1, 2], [1])
    assert same_nodes(x.parents, [before, x.inputs["y"]])


@pytest.mark.covers("S3.18", "S3.23")
def test_items() -> None:
    x, key = node({(1, 2): "a", "k": "b"}), node("k")

    made = x[key]

    assert (made.data, list(made.inputs)) == ("b", ["x", "index"])
    assert same_nodes(made.parents, [x, key])
    assert x[1, 2].data == "a"
    matrix = node(np.eye(2))
    assert matrix[node(1), node(1)].data == 1.0
    assert matrix[:, 0].data.tolist() == [1.0, 0.0]


# ---- call and attributes -------------------------------------------------------------------------


class Thing:
    """Has an attribute and a method."""

    def __init__(self) -> None:
        self.value = 3

    def scaled(self, by: int, *, plus: int = 0) -> int:
        return self.value * by + plus


@pytest.mark.covers("S3.24", "S22.1")
def test_attributes() -> None:
    x = node(Thing())

    with pytest.raises(AttributeError):
        _ = x.value
    made = x.getattr("value")
    assert (made.data, made.name) == (3, "node_getattr:0")
    assert len(made.parents) == 2
    with pytest.raises(AttributeError) as caught:
        x.getattr("nothing")
    assert isinstance(caught.value, trace.ExecutionError)


@pytest.mark.covers("S3.25")
def test_calls() -> None:
    seen: list[Any] = []

    def function(*args: Any, **kwargs: Any) -> int:
        seen.extend([*args, *kwargs.values()])
        return 7

    fun, x = node(function), node(1)
    made = fun(x, 2, k=x)

    assert (made.data, made.name) == (7, "call:0")
    assert contain(made.parents, fun)
    assert contain(made.parents, x)
    assert sorted(str(given._data)[:2] for given in made.parents) == ["1", "2", "<f"]
    assert seen[0] is x
    assert seen[2] is x
    with pytest.raises(trace.ExecutionError):
        node(3)(1)


@pytest.mark.covers("S3.25")
def test_called_functions_may_read_other_nodes() -> None:
    other = node(5)

    assert node(lambda x: x.data + other.data)(node(1)).data == 6


@pytest.mark.covers("S3.26")
def test_calls_of_methods() -> None:
    x, by = node(Thing()), node(2)

    made = x.call("scaled", by, plus=1)

    assert made.data == 7
    assert contain(made.parents, by)


@pytest.mark.covers("S3.27")
def test_a_called_function_that_returns_a_node() -> None:
    inner = node(5) + 1

    made = node(lambda: inner)()

    assert made.data == 6
    assert made.info["output"] is inner
    assert not contain(made.parents, inner)
