from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opto.trace import graph
from tests.strategies import Shape, shapes

DEEP = 50_000


class Item:
    """Anything with inputs."""

    def __init__(self, *inputs: Item) -> None:
        self.inputs: tuple[Item, ...] = inputs


def inputs(item: Item) -> tuple[Item, ...]:
    return item.inputs


def items(shape: Shape) -> list[Item]:
    made = [Item() for _ in shape.learns]
    for indices in shape.results:
        made.append(Item(*(made[index] for index in indices)))
    return made


def ancestors(item: Item) -> set[Item]:
    return {item}.union(*(ancestors(parent) for parent in item.inputs))


starting = st.lists(st.integers(0, 100), min_size=1, max_size=3)


@given(shapes(results=8), starting)
def test_ancestors_are_found_once(shape: Shape, starts: list[int]) -> None:
    made = items(shape)
    chosen = [made[index % len(made)] for index in starts]

    found = graph.ancestors(chosen, inputs)

    assert len(found) == len(set(found))
    assert set(found) == set[Item]().union(*(ancestors(item) for item in chosen))


@given(shapes(results=8), starting)
def test_orders_are_topological(shape: Shape, starts: list[int]) -> None:
    made = items(shape)
    chosen = [made[index % len(made)] for index in starts]

    order = graph.inputs_first(chosen, inputs)

    place = {item: index for index, item in enumerate(order)}
    assert len(place) == len(order)
    assert set(place) == set(graph.ancestors(chosen, inputs))
    assert all(place[p] < place[item] for item in order for p in item.inputs)
    assert graph.consumers_first(chosen, inputs) == order[::-1]


@given(shapes(results=8))
def test_levels_are_the_longest_ways_from_a_root(shape: Shape) -> None:
    made = items(shape)

    def longest(item: Item) -> int:
        return max((1 + longest(parent) for parent in item.inputs), default=0)

    level = graph.levels(graph.inputs_first(made, inputs), inputs)

    assert level == {id(item): longest(item) for item in made}


@given(shapes(results=8), starting, starting)
def test_between_is_what_lies_on_a_way(shape: Shape, left: list[int], right: list[int]) -> None:
    made = items(shape)
    sources = {made[index % len(made)] for index in left}
    outputs = [made[index % len(made)] for index in right]

    found = graph.between(sources, outputs, inputs)

    above = set[Item]().union(*(ancestors(item) for item in outputs))
    assert set(found) == {item for item in above if ancestors(item) & sources}
    assert found == [item for item in graph.inputs_first(outputs, inputs) if item in set(found)]


def test_depth_is_no_limit() -> None:
    first = item = Item()
    for _ in range(DEEP):
        item = Item(item)

    order = graph.inputs_first([item], inputs)

    assert order[0] is first
    assert graph.levels(order, inputs)[id(item)] == DEEP
    assert len(graph.between([first], [item], inputs)) == DEEP + 1
    for one in order:  # a chain of plain objects would be freed by recursion
        one.inputs = ()
