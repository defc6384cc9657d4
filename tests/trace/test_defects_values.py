"""Faults of the original with what values can do: none may be ours."""

from __future__ import annotations

import collections
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from opto import trace
from opto.errors import UsageError
from opto.trace import GRAPH, bundle
from opto.trace import operators as ops
from opto.trace.nodes import MessageNode
from opto.trace.utils import contain, sum_feedback
from tests.trace.helpers import node, same_nodes


class Text(str):
    """A kind of text."""

    __slots__ = ()


# ---- operators -----------------------------------------------------------------------------------


@pytest.mark.covers("A16", "S3.21")
@pytest.mark.parametrize(
    ("compute", "expected", "name"),
    [
        (lambda: abs(node(-1)), 1, "abs:0"),
        (lambda: round(node(2.567), 2), 2.57, "round:0"),
        (lambda: round(node(-2.5)), -2, "round:0"),
        (lambda: ops.abs(-1), 1, "abs:0"),
        (lambda: ops.round(2.5), 2, "round:0"),
    ],
)
def test_abs_and_round_end(compute: Callable[[], Any], expected: Any, name: str) -> None:
    made = compute()

    assert made.data == expected
    assert made.name == name


@pytest.mark.covers("A18")
@pytest.mark.parametrize(
    "compute",
    [
        lambda array, x: array + x,
        lambda array, x: array - x,
        lambda array, x: array * x,
        lambda array, x: array / x,
        lambda array, x: array**x,
        lambda array, x: array @ x,
        lambda array, x: array > x,
        np.add,
    ],
)
def test_arrays_on_the_left_are_traced_as_one(compute: Callable[[Any, Any], Any]) -> None:
    array, values = np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 1.0])
    x = node(values, trainable=True)

    made = compute(array, x)

    assert isinstance(made, MessageNode)
    np.testing.assert_array_equal(np.asarray(made.data), compute(array, values))
    assert same_nodes(made.parameter_dependencies, [x])
    assert len(x.children) == 1


@pytest.mark.covers("A84")
def test_numpy_scalars_on_the_left_are_traced() -> None:
    x = node(2.0, trainable=True)

    made = np.float64(1.5) + x

    assert made.data == 3.5
    assert same_nodes(made.parameter_dependencies, [x])


@pytest.mark.covers("A85")
def test_the_mean_of_nodes_is_traced() -> None:
    xs = [node(1.0, trainable=True), node(2.0, trainable=True)]

    made: Any = np.mean(xs)

    assert made.data == 1.5
    assert same_nodes(made.parameter_dependencies, xs)


@pytest.mark.covers("A20", "S3.15", "S3.12")
def test_equal_nodes_are_found_in_lists_and_are_two_in_sets() -> None:
    a, b = node(1), node(1)

    assert (a == b) is True
    assert (a != b) is False
    assert hash(a) != hash(b)
    assert b in [a, 5]
    assert b not in {a, 5}
    assert len({a: 1, b: 2}) == 2
    assert not contain([a], b)


@pytest.mark.covers("A56")
@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        (int, 3),
        (float, 3.0),
        (complex, 3 + 0j),
        (lambda x: list(range(x)), [0, 1, 2]),
        (lambda x: [1, 2, 3, 4][x], 4),
        (lambda x: format(x, ".2f"), "3.00"),
        (lambda x: f"{x}", "3"),
        (lambda x: f"{x:>3}|", "  3|"),
        (lambda x: math.sqrt(x + 1), 2.0),
    ],
)
def test_python_gets_plain_values_where_it_insists(
    compute: Callable[[Any], Any], expected: Any
) -> None:
    assert compute(node(3)) == expected


@pytest.mark.covers("A56")
def test_the_rarer_operators_are_traced() -> None:
    x = node(3, trainable=True)
    square = node(np.eye(2))

    power: Any = pow(x, 2, 5)
    product = square @ np.ones(2)

    assert power.data == 4
    assert same_nodes(power.parameter_dependencies, [x])
    np.testing.assert_array_equal(product.data, [1.0, 1.0])
    assert product.name.startswith("matmul")


@pytest.mark.covers("A56")
def test_items_can_be_assigned_and_deleted() -> None:
    x = node([1, 2, 3], trainable=True)
    part = node(9, trainable=True)

    x[0] = part
    del x[1]

    assert x.data == [9, 3]


@pytest.mark.covers("A56", "A57")
@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        (lambda x: x[1:3], [2, 3]),
        (lambda x: x[-1], 4),
        (lambda x: x[::-1], [4, 3, 2, 1]),
        (lambda x: x[node(1) : node(3)], [2, 3]),
        (lambda x: x[node(1)], 2),
        (lambda x: x[:: node(2)], [1, 3]),
    ],
)
def test_slices(compute: Callable[[Any], Any], expected: Any) -> None:
    x = node([1, 2, 3, 4], trainable=True)

    made = compute(x)

    assert made.data == expected
    assert same_nodes(made.parameter_dependencies, [x])


@pytest.mark.covers("A57", "A33")
def test_bounds_of_slices_get_feedback() -> None:
    low, high = node(1, trainable=True), node(3, trainable=True)

    made = node([1, 2, 3, 4])[low:high]

    assert made.data == [2, 3]
    assert same_nodes(made.parameter_dependencies, [low, high])


@pytest.mark.covers("A58")
@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        (lambda: divmod(node(-7), 2), (-4, 1)),
        (lambda: divmod(7, node(2)), (3, 1)),
        (lambda: node("aaa").replace("a", "b", 1), "baa"),
        (lambda: node("-").join(["x", node("y")]), "x-y"),
        (lambda: node("a b c").split(None, 1), ["a", "b c"]),
        (lambda: node({1}) | {2, 3}, {1, 2, 3}),
        (lambda: node({1: 2}) | {3: 4}, {1: 2, 3: 4}),
        (lambda: node({1, 2}) - {1}, {2}),
        (lambda: node({"a": 5}).get("a"), 5),
        (lambda: node({"a": 5}).get("b", 6), 6),
    ],
)
def test_what_was_right_stays_right(compute: Callable[[], Any], expected: Any) -> None:
    assert compute().data == expected


@pytest.mark.covers("A59")
def test_kinds_of_text_have_the_methods_of_text() -> None:
    assert node(Text("ab")).upper().data == "AB"
    assert (node(Text("ab")) + "c").data == "abc"
    assert [letter.data for letter in node(Text("ab"))] == ["a", "b"]


# ---- iteration -----------------------------------------------------------------------------------


@pytest.mark.covers("A55", "S3.28")
@pytest.mark.parametrize(
    "values",
    [range(3), frozenset({1}), {1: 2}.keys(), {1: 2}.items(), b"ab", collections.deque([1, 2])],
)
def test_whatever_python_iterates_can_be_iterated(values: Any) -> None:
    x = node(values, trainable=True)

    made = list(x)

    assert [item.data for item in made] == list(values)
    assert all(same_nodes(item.parameter_dependencies, [x]) for item in made)


@pytest.mark.covers("A54", "A55")
def test_generators_as_data_are_iterated_once() -> None:
    x = node((i for i in (1, 2)), trainable=True)

    assert [item.data for item in x] == [1, 2]
    assert list(x) == []


@pytest.mark.covers("A93")
def test_membership_makes_no_nodes() -> None:
    x = node([1, 2, 3])
    before = len(GRAPH)

    assert 3 in x
    assert 4 not in x
    assert node(3) in x
    assert len(GRAPH) - before == 1  # the one written here
    assert x.children == []


@pytest.mark.covers("A93")
def test_the_end_of_a_loop_makes_no_nodes() -> None:
    loop = iter(node([1, 2, 3]))
    made = list(loop)
    before = len(GRAPH)

    assert list(loop) == []
    assert len(GRAPH) == before
    assert [item.data for item in made] == [1, 2, 3]


# ---- exceptions, names and pickles ---------------------------------------------------------------


@pytest.mark.covers("A60", "S5.5.2")
def test_an_error_is_of_the_original_type_too() -> None:
    with pytest.raises(KeyError) as caught:
        _ = node({"a": 1})["b"]

    error: Any = caught.value
    assert isinstance(error, trace.ExecutionError)
    assert error.exception_node.data == "(KeyError) 'b'"


@pytest.mark.covers("A60")
def test_an_error_whose_type_wants_arguments_is_of_that_type() -> None:
    @bundle()
    def decode(x: bytes) -> str:
        return x.decode("ascii")

    with pytest.raises(UnicodeDecodeError) as caught:
        decode(b"\xff")

    assert isinstance(caught.value, trace.ExecutionError)


@pytest.mark.covers("A61")
def test_results_and_errors_can_be_pickled() -> None:
    made = pickle.loads(pickle.dumps(node(1, name="x", trainable=True) + 1))
    with pytest.raises(trace.ExecutionError) as caught:
        _ = node(1) / 0
    error = pickle.loads(pickle.dumps(caught.value))

    assert (made.data, made.name, made.inputs["x"].name) == (2, "add:0", "x:0")
    assert isinstance(error, trace.ExecutionError)
    assert isinstance(error, ZeroDivisionError)
    assert error.exception_node.data == caught.value.exception_node.data
    assert error.args == caught.value.args
    assert "division by zero" in str(error)


@pytest.mark.covers("A62", "S2.10")
def test_python_names_may_collide_and_nodes_stay_two() -> None:
    tenth = [node(float(index), name="x", trainable=True) for index in range(11)][10]
    other = node(99.0, name="x1", trainable=True)

    (tenth + other).backward("f")
    problem = sum_feedback([tenth, other])

    assert tenth.py_name == other.py_name == "x10"
    assert len([1 for _, made in problem.graph if made.py_name == "x10"]) == 2


@pytest.mark.covers("A63", "S2.8")
@pytest.mark.parametrize("trainable", [False, True])
def test_a_colon_in_a_name_is_refused_in_words(trainable: bool) -> None:
    with pytest.raises(UsageError, match=r"'a:b'.*':'") as caught:
        node(1, name="a:b", trainable=trainable)

    assert isinstance(caught.value, AssertionError)


@pytest.mark.covers("A87", "S2.13")
def test_feedback_uses_up_no_names() -> None:
    x = node("a", trainable=True)
    for _ in range(3):
        (x + node("b", name="b")).backward("f")
        x.zero_feedback()

    assert node("next").name == "str:1"
