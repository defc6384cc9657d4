from __future__ import annotations

import math
import operator
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from opto.trace import bundle
from tests.strategies import Outcome, outcome, values
from tests.trace.helpers import node

ASKED: dict[str, Any] = {
    "bool": bool,
    "len": len,
    "int": int,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "str": "{}".format,
    "format": "{:>5}".format,
    "list": list,
    "reversed": lambda x: list(reversed(x)),
    "contains": lambda x: 1 in x,
    "equal": lambda x: x == 1,
    "unequal": lambda x: x != 1,
    "items": lambda x: list(x.items()),
    "unpack": lambda x: [*x],
}


def plain(found: Outcome) -> Outcome:
    """Take the values out of a list of nodes, or of pairs of them."""
    if not isinstance(found.value, list):
        return found

    def data(item: Any) -> Any:
        return tuple(map(data, item)) if type(item) is tuple else getattr(item, "_data", item)

    items: list[Any] = found.value
    return found._replace(value=[data(item) for item in items])


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
@given(value=values)
def test_what_python_asks_is_answered_as_by_the_value(ask: Any, value: Any) -> None:
    assert outcome(lambda: ask(value)).agrees(plain(outcome(lambda: ask(node(value)))))


@given(values, values)
def test_equality_is_that_of_the_values(one: Any, other: Any) -> None:
    assert (node(one) == node(other)) is (one == other)
    assert (node(one) != other) is (one != other)
    assert (one == node(other)) is (one == other)


def test_tests_inside_a_bundle_are_noted() -> None:
    flag = node(1, name="flag")

    @bundle(allow_external_dependencies=True)
    def use(x: int) -> int:
        return x if flag else -x

    assert use(1).info["external_dependencies"] == [flag]


def test_numpy_functions_are_operators() -> None:
    x = node(np.array([1.0, 4.0]))

    root: Any = np.sqrt(x)
    both: Any = np.add(np.array([1.0, 1.0]), x)

    assert root.name == "sqrt:0"
    assert list(root.data) == [1.0, 2.0]
    assert list(both.inputs) == ["x", "y"]
    assert both.inputs["y"] is x
    assert np.add.reduce(x).data == 5.0
    with pytest.raises(TypeError):
        np.add(x, 1, out=np.zeros(2))


def test_math_functions() -> None:
    assert math.floor(node(1.5)).data == 1
    assert math.ceil(node(1.5)).data == 2
    assert math.trunc(node(-1.5)).data == -1
    assert math.sqrt(node(4)) == 2.0


def test_iteration_over_other_iterables() -> None:
    assert [item.data for item in node(deque([1, 2]))] == [1, 2]
    assert [item.data for item in reversed(node(deque([1, 2])))] == [2, 1]
    assert [item.data for item in reversed(node({"a": 1, "b": 2}))] == ["b", "a"]
    assert [item.data for item in node(iter("ab"))] == ["a", "b"]
    assert [list(row.data) for row in node(np.eye(2))] == [[1.0, 0.0], [0.0, 1.0]]


def test_iterators_that_fail() -> None:
    def steps() -> Any:
        yield 1
        raise KeyError

    items = iter(node(steps()))

    assert next(items).data == 1
    with pytest.raises(KeyError) as caught:
        next(items)
    error: Any = caught.value
    assert error.exception_node.name.startswith("exception_next_item")


@pytest.mark.parametrize("value", [3, None, np.float64(1.0)])
def test_what_cannot_be_iterated(value: Any) -> None:
    with pytest.raises(TypeError, match=r"."):
        iter(node(value))
    with pytest.raises(TypeError, match=r"."):
        reversed(node(value))


def test_lists_that_grow_while_they_are_read() -> None:
    x = node([1, 2])
    seen: list[Any] = []

    for item in x:
        seen.append(item.data)
        if len(seen) < 4:
            x.append(item)

    assert seen == [1, 2, 1, 2, 1]


def test_attributes() -> None:
    x = node(1 + 2j)

    assert x.getattr("imag").data == 2.0
    assert x.getattr(node("real")).data == 1.0
    with pytest.raises(AttributeError):
        x.getattr("nothing")


def test_data_frames_on_the_left_hand_over() -> None:
    priority_of_a_data_frame = 4_000  # pandas asks the other operand for its own

    assert node(1).__pandas_priority__ > priority_of_a_data_frame
