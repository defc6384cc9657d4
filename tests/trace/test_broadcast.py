from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import WrongType
from opto.trace import NodeContainer, apply_op
from opto.trace import operators as ops
from opto.trace.broadcast import recursive_conversion
from tests.trace.helpers import node


class Box(NodeContainer):
    """Attributes with nodes and without."""

    def __init__(self, value: Any) -> None:
        self.value = node(value)
        self.inner = [node(value), {"deep": node(value)}]
        self.label = "box"


def data(value: Any) -> Any:
    return recursive_conversion(lambda made: made.data, lambda leaf: leaf)(value)


def test_nodes_alone_are_a_call() -> None:
    assert apply_op(ops.add, node(0), node(1), node(2)).data == 3
    assert apply_op(ops.add, node(0), x=node(1), y=node(2)).data == 3


def test_lists_element_by_element_in_place() -> None:
    output = [node(0), [node(0), "leaf"]]

    made = apply_op(ops.add, output, [node(1), [node(2), 0]], node(10))

    assert made is output
    assert data(output) == [11, [12, "leaf"]]


def test_tuples_are_built_anew() -> None:
    made = apply_op(ops.add, (node(0), node(0)), (node(1), node(2)), y=node(10))

    assert data(made) == (11, 12)


def test_dicts_and_attributes() -> None:
    output, left = Box(0), Box(1)

    apply_op(ops.add, output, left, y=Box(10))

    assert output.value.data == 11
    assert data(output.inner) == [11, {"deep": 11}]
    assert output.label == "box"
    table = {"a": node(0)}
    assert data(apply_op(ops.add, table, {"a": node(1)}, node(2))) == {"a": 3}


@pytest.mark.parametrize(
    ("output", "given_value", "says"),
    [
        ([1, 2], [1], "a list of length 1 where the output is a list of length 2"),
        ([1], (1,), "a tuple of length 1 where the output is a list of length 1"),
        (Box(1), [1], "a list of length 1 where the output is a Box"),
    ],
)
def test_shapes_must_fit(output: Any, given_value: Any, says: str) -> None:
    with pytest.raises(WrongType, match=says):
        apply_op(ops.add, output, given_value, node(1))


def test_what_is_no_container_stays() -> None:
    assert apply_op(ops.add, 3, 4, node(1)) == 3


leaves = st.one_of(st.integers(), st.builds(node, st.integers()))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=1), inner, max_size=3),
    ),
    max_leaves=6,
)


@given(trees)
def test_conversion_there_and_back(tree: Any) -> None:
    marked = recursive_conversion(lambda made: ("node", made), lambda leaf: ("leaf", leaf))(tree)
    plain = data(tree)

    assert repr(data(tree)) == repr(plain)
    assert str(marked).count("'node'") + str(marked).count("'leaf'") == len(all_leaves(tree))


def all_leaves(tree: Any) -> list[Any]:
    found: list[Any] = []
    recursive_conversion(found.append, found.append)(tree)
    return found


def test_containers_of_nodes_are_copied() -> None:
    box = Box(3)

    twin = data(box)

    assert isinstance(box.value, type(node(1)))
    assert (twin.value, twin.label) == (3, "box")
    assert twin is not box
    assert data({node(1)}) == {1}
