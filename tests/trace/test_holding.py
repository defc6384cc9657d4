from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.trace import NodeContainer, bundle, node
from opto.trace.core import Node
from opto.trace.holding import may_hold_nodes, nodes_within, plain


@dataclass(frozen=True)
class Pair:
    left: Any
    right: Any


@dataclass
class Late:
    value: Any = field(init=False)


class Point(NamedTuple):
    x: Any
    y: Any


def itself(x: Any) -> Any:
    return x


@bundle()
def both(p: Pair) -> Any:
    return p.left + p.right[0]


leaves = st.one_of(st.integers(), st.text(max_size=2), st.none())
keys = st.integers(0, 3)
nested = st.recursive(
    st.one_of(leaves, st.builds(node, leaves)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Point, inner, inner),
    ),
    max_leaves=8,
)


def by_hand(value: Any) -> tuple[Any, list[Any]]:
    """The plain value and the nodes in order."""
    found: list[Any] = []

    def walk(item: Any) -> Any:
        kind: Any = type(item)
        if issubclass(kind, Node):
            found.append(item)
            return item.data
        if kind is Pair:
            return Pair(walk(item.left), walk(item.right))
        if kind is Point:
            return Point(walk(item.x), walk(item.y))
        if kind is dict:
            return {key: walk(inner) for key, inner in item.items()}
        return kind(walk(inner) for inner in item) if kind in {list, tuple} else item

    return walk(value), found


@given(nested)
def test_nodes_are_found_and_replaced(value: Any) -> None:
    expected, nodes = by_hand(value)

    assert [id(found) for found in nodes_within(value, Node)] == [id(found) for found in nodes]
    made = plain(value, Node)
    assert type(made) is type(expected)
    assert repr(made) == repr(expected)


@given(nested)
def test_an_argument_keeps_the_edges_of_nodes_inside(value: Any) -> None:
    expected, nodes = by_hand(value)

    seen: list[Any] = []

    @bundle()
    def traced(x: Any) -> None:
        seen.append(x)

    out = traced(value)

    assert repr(seen[0]) == repr(expected)
    above = {id(made) for made in out.inputs["x"].parents} or {id(out.inputs["x"])}
    if nodes:
        assert {id(found) for found in nodes} <= above


def test_sets_and_keys_may_hold_nodes() -> None:
    x, y = node(1), node(2)

    assert plain({x, 3}, Node) == {1, 3}
    assert plain(frozenset({x}), Node) == frozenset({1})
    assert plain({x: y}, Node) == {1: 2}
    assert {id(found) for found in nodes_within({x: [y]}, Node)} == {id(x), id(y)}


def test_a_container_that_holds_itself() -> None:
    x = node(1)
    around: list[Any] = [x]
    around.append(around)
    table: dict[str, Any] = {"x": x}
    table["me"] = table

    made, made_table = plain(around, Node), plain(table, Node)

    assert [id(found) for found in nodes_within([around, table], Node)] == [id(x)]
    assert made[0] == 1
    assert made[1] is made
    assert made_table["me"] is made_table
    assert made_table["x"] == 1


def test_fields_that_were_never_set() -> None:
    late = Late()

    assert nodes_within(late, Node) == []
    assert not hasattr(plain(late, Node), "value")


def test_what_is_looked_into() -> None:
    class Own(NodeContainer, list[Any]):
        pass

    @dataclass
    class Marked(NodeContainer):
        x: Any

    assert may_hold_nodes([1])
    assert may_hold_nodes(Pair(1, 2))
    assert may_hold_nodes(Point(1, 2))
    assert not may_hold_nodes([])
    assert not may_hold_nodes("text")
    assert not may_hold_nodes(Own([node(1)]))
    assert not may_hold_nodes(Marked(node(1)))
    assert plain(Own(), Node) == []


class Items(list[Any]):
    pass


def default(x: Any) -> Any:
    return defaultdict[str, Any](list, a=[x])


RELATIVES: dict[str, Callable[[Any], Any]] = {
    "OrderedDict": lambda x: OrderedDict[str, Any](a=x),
    "defaultdict": default,
    "deque": lambda x: deque[Any]([x], maxlen=3),
    "list of one's own": lambda x: Items([x]),
}


@pytest.mark.parametrize("make", RELATIVES.values(), ids=RELATIVES)
def test_relatives_of_the_containers_keep_edges_too(make: Callable[[Any], Any]) -> None:
    x = node(1, trainable=True)
    seen: list[Any] = []

    out = bundle()(seen.append)(make(x))
    out.backward("say")

    assert repr(seen[0]) == repr(make(1))
    assert type(seen[0]).__name__ == type(make(1)).__name__
    assert len(x.feedback) == 1


def test_the_callers_container_is_left_alone() -> None:
    x = node(1, trainable=True)
    pair = Pair(x, [x])

    out = both(pair)
    out.backward("say")

    assert pair.left is x
    assert out.data == 2
    assert len(x.feedback) == 1


@pytest.mark.parametrize("size", [10_000])
def test_long_lists_of_plain_values_are_passed_as_they_are(size: int) -> None:
    values = list(range(size))

    assert node(values).data is values
    assert bundle()(itself)(values).data is values
