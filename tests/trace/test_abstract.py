from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import InvalidArgument, WrongType
from opto.trace.abstract import AbstractNode, inputs_of, sources_of
from tests.strategies import is_node, same, scalars
from tests.trace.helpers import node


@given(scalars)
def test_the_value_is_kept_as_it_is(value: Any) -> None:
    made = node(value)

    assert made.data is value
    assert made.type is type(value)
    assert same(made.data, value)
    assert str(made) == f"Node: ({made.name}, dtype={type(value)}, data={value})"
    assert made.name == f"{type(value).__name__}:{made.id}"


@given(st.text("ab._/<> ", min_size=1, max_size=5))
def test_names(name: str) -> None:
    made = node(1, name=name)

    assert made.name == f"{name}:{made.id}"
    assert made.py_name == f"{name}{made.id}"


def test_names_that_cannot_be() -> None:
    with pytest.raises(InvalidArgument, match="contains ':'"):
        node(1, name="a:b")
    with pytest.raises(WrongType, match="must be a str, not int: 3"):
        node(1, name=3)


def test_values_are_set() -> None:
    x = node(1)
    x._set(2)
    assert x.data == 2
    x._set(node(3))
    assert x.data == 3


def test_order_of_a_heap() -> None:
    x = node(1)
    y = x + 1

    assert y.lt(x)
    assert x.gt(y)
    assert not x.lt(y)


def test_inputs_as_recorded() -> None:
    x = node(2)
    y = x * x

    assert [one is x for one in inputs_of(y)] == [True, True]
    assert sources_of(y) == y._inputs
    assert len(y.parents) == 1


def test_a_bare_node_has_no_operators() -> None:
    made: Any = AbstractNode(3, name="bare")

    assert is_node(made) is False
    assert not hasattr(made, "__add__")
    assert made.is_root
    assert made.is_leaf
