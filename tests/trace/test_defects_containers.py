"""Faults of the original with lists and their like, as arguments and changed: none may be ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from opto.trace import bundle
from opto.trace.utils import contain, sum_feedback
from tests.trace.helpers import node, same_nodes

# ---- containers of nodes -------------------------------------------------------------------------


@dataclass
class Pair:
    """Two things."""

    one: Any
    other: Any


@pytest.mark.covers("A33", "S5.3.6")
@pytest.mark.parametrize(
    "hold",
    [
        lambda x: [x, node(2)],
        lambda x: (x, 2),
        lambda x: {"a": x, "b": 2},
        lambda x: [[x], {"deep": (2, x)}],
        lambda x: Pair(x, 2),
        lambda x: Pair([x], 2),
    ],
)
@pytest.mark.parametrize("by_name", [False, True])
def test_nodes_in_arguments_keep_their_edges(hold: Callable[[Any], Any], by_name: bool) -> None:
    x = node(1, trainable=True)

    @bundle()
    def show(xs: Any) -> str:
        return str(xs)

    made = show(xs=hold(x)) if by_name else show(hold(x))
    made.backward("f")

    assert "Node" not in made.data
    assert same_nodes(made.parameter_dependencies, [x])
    assert sum_feedback([x]).user_feedback == "f"


@pytest.mark.covers("A33")
def test_a_sum_over_a_list_of_nodes() -> None:
    x = node(1, trainable=True)

    @bundle()
    def total(xs: list[Any]) -> Any:
        return sum(xs)

    made = total([x, node(2)])

    assert made.data == 3
    assert same_nodes(made.parameter_dependencies, [x])


# ---- changes in place ----------------------------------------------------------------------------


@pytest.mark.covers("A34", "S3.32")
def test_pop_leaves_the_recorded_input_as_it_was() -> None:
    x = node([1, 2, 3], name="x", trainable=True)

    z = x.pop()

    assert z.data == 3
    assert next(iter(z.inputs.values())).data == [1, 2, 3]
    assert z.info["inputs"]["args"][0] == [1, 2, 3]
    assert x.data == [1, 2]
    assert same_nodes(z.parameter_dependencies, [x])


@pytest.mark.covers("A34", "S3.32")
def test_append_puts_the_plain_value_in() -> None:
    x, item = node([1], name="x", trainable=True), node(9, trainable=True)

    made = x.append(item)

    assert made.data is None
    assert x.data == [1, 9]
    assert type(x.data[1]) is int
    assert contain(x.children, made)
    assert same_nodes(made.parameter_dependencies, [x, item])


@pytest.mark.covers("A34")
def test_what_was_put_into_a_result_gets_feedback() -> None:
    item = node(9, trainable=True)
    x = node([1]) + node([2])

    x.append(item)
    total = x[2]
    total.backward("f")

    assert x.data == [1, 2, 9]
    assert sum_feedback([item]).user_feedback == "f"


@pytest.mark.covers("A34")
@pytest.mark.parametrize("trainable", [False, True])
def test_changes_rewrite_nothing_computed_before(trainable: bool) -> None:
    x = node([1, 2], trainable=trainable)
    before = x + x

    x.append(3)

    assert before.data == [1, 2, 1, 2]
    assert [given.data for given in before.inputs.values()] == [[1, 2], [1, 2]]
    assert x.data == [1, 2, 3]
    assert (x + x).data == [1, 2, 3, 1, 2, 3]


@pytest.mark.covers("A35")
@pytest.mark.parametrize(
    ("start", "change"),
    [
        ([], lambda value: value.append(1)),
        ({}, lambda value: value.update(a=1)),
        (set[int](), lambda value: value.add(1)),
    ],
)
def test_functions_that_change_their_argument_rewrite_no_history(
    start: Any, change: Callable[[Any], Any]
) -> None:
    @bundle()
    def push(held: Any) -> Any:
        change(held)
        return held

    empty = type(start)()
    x = node(start, name="x", trainable=True)

    y = push(x)

    assert len(x.data) == 1  # changed for all to see, as in plain Python
    assert len(y.data) == 1
    assert y.inputs["held"].data == empty
    assert same_nodes(y.parameter_dependencies, [x])


@pytest.mark.covers("A35")
def test_two_changes_of_one_argument() -> None:
    @bundle()
    def push(held: list[int]) -> list[int]:
        held.append(len(held))
        return held

    x = node([], name="x", trainable=True)
    y = push(x)
    z = push(y)

    assert z.data == [0, 1]
    assert y.inputs["held"].data == []
    assert z.inputs["held"].data == [0]
    assert same_nodes(z.parameter_dependencies, [x])
