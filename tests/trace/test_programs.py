"""Whole programs: traced as untraced, feedback where it belongs, order, copies, freeing."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from opto.errors import AlreadyPropagated
from opto.trace import bundle, node, stop_tracing
from opto.trace.nodes import MessageNode, Node, ParameterNode
from opto.trace.propagators import GraphPropagator, SumPropagator, TraceGraph
from opto.trace.utils import sum_feedback
from tests.strategies import (
    Shape,
    Step,
    build,
    gather,
    is_node,
    outcome,
    programs,
    run_step,
    same,
    shapes,
    too_big,
)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def agree(start: list[Any], steps: list[Step], *, trainable: bool) -> list[Any]:
    """Run a program on nodes and on plain values side by side; return the nodes."""
    plain: list[Any] = copy.deepcopy(start)
    traced: list[Any] = [node(value, trainable=trainable) for value in copy.deepcopy(start)]
    for step in steps:
        if too_big(plain[step.left % len(plain)]) or too_big(plain[step.right % len(plain)]):
            continue
        expected = outcome(partial(run_step, step, plain, traced=False))
        found = outcome(partial(run_step, step, traced, traced=True))
        note(f"{step}: {expected} {found}")
        if step.name in {"items", "reversed"} and found.error is None:
            found = found._replace(value=[item.data for item in found.value])
        assert expected.agrees(found), step
        if expected.error is None:
            plain.append(expected.value)
            traced.append(node(found.made) if is_node(found.made) else node(expected.value))
    for value, made in zip(plain, traced, strict=True):
        assert same(value, made.data)
    return traced


@settings(max_examples=150)
@given(programs, st.booleans())
def test_a_traced_program_gives_what_the_plain_one_gives(
    program: tuple[list[Any], list[Step]], trainable: bool
) -> None:
    agree(*program, trainable=trainable)


@settings(max_examples=60)
@given(programs)
def test_nothing_is_different_under_stop_tracing(program: tuple[list[Any], list[Step]]) -> None:
    with stop_tracing():
        traced = agree(*program, trainable=True)

    assert all(made.is_root for made in traced)


@settings(max_examples=60)
@given(programs)
def test_a_program_survives_pickling_and_copying(program: tuple[list[Any], list[Step]]) -> None:
    last = agree(*program, trainable=True)[-1]

    twin = pickle.loads(pickle.dumps(last))

    assert same(twin.data, last.data)
    assert twin.name == last.name
    assert type(twin) is type(last)
    assert [parent.name for parent in twin.parents] == [parent.name for parent in last.parents]
    assert {p.name for p in twin.parameter_dependencies} == {
        p.name for p in last.parameter_dependencies
    }
    alone = copy.deepcopy(last)
    assert same(alone.data, last.data)
    assert alone.is_root
    assert not alone.children


# ---- feedback ------------------------------------------------------------------------------------


def received(nodes: list[Any]) -> set[int]:
    return {index for index, made in enumerate(nodes) if made.feedback}


@pytest.mark.parametrize("general", [False, True], ids=["notes", "node by node"])
@given(shape=shapes(), data=st.data())
def test_feedback_reaches_exactly_the_trainable_ancestors(
    general: bool, shape: Shape, data: st.DataObject
) -> None:
    propagator = GraphPropagator()
    if general:
        propagator.register("never", lambda _: {})
    nodes, below = build(shape)
    outputs = data.draw(st.lists(st.integers(0, len(nodes) - 1), min_size=1, max_size=4))
    outputs = [index for index in outputs if not nodes[index].is_root]
    expected: set[int] = set()

    for count, index in enumerate(outputs):
        last = count == len(outputs) - 1
        nodes[index].backward(f"say {count}", propagator=propagator, retain_graph=not last)
        expected |= below[index]

    assert received(nodes) == expected
    for index in expected:
        notes = sum_feedback([nodes[index]]).notes
        concerned = {id(nodes[out]) for out in outputs if index in below[out]}
        assert {id(said.output) for said in notes} == concerned


@given(shape=shapes())
def test_both_ways_of_propagating_give_the_same_graph(shape: Shape) -> None:
    nodes, below = build(shape)
    general = GraphPropagator()
    general.register("never", lambda _: {})

    found: list[dict[int, set[int]]] = []
    for propagator in (GraphPropagator(), general):
        nodes[-1].backward("say", propagator=propagator, retain_graph=True)
        graphs = {i: sum_feedback([nodes[i]]).graph for i in below[-1]}
        found.append({i: {id(made) for _, made in graph} for i, graph in graphs.items()})
        for made in nodes:
            made.zero_feedback()

    assert found[0] == found[1]


@given(shape=shapes(results=7))
def test_sums_count_the_ways(shape: Shape) -> None:
    """With 1 on the output, each parameter gets one for each way that leads to it."""
    nodes, _ = build(shape)
    ways = Counter({len(nodes) - 1: 1})
    for index in reversed(range(len(shape.learns), len(nodes))):
        for parent in set(shape.results[index - len(shape.learns)]):
            ways[parent] += ways[index]

    nodes[-1].backward(1, propagator=SumPropagator())

    for index, learns in enumerate(shape.learns):
        total = sum(item for items in nodes[index].feedback.values() for item in items)
        assert total == (ways[index] if learns else 0)


@given(shape=shapes(), data=st.data())
def test_the_graph_of_feedback_is_in_topological_order(shape: Shape, data: st.DataObject) -> None:
    nodes, below = build(shape)
    nodes[-1].backward("say", retain_graph=True)
    reached = sorted(below[-1])
    if not reached:
        return
    asked = data.draw(st.sets(st.sampled_from(reached), min_size=1))

    graph = sum_feedback([nodes[index] for index in asked]).graph

    place = {id(made): index for index, (_, made) in enumerate(graph)}
    assert len(place) == len(graph)
    levels = [level for level, _ in graph]
    assert levels == sorted(levels)
    assert graph[-1][1] is nodes[-1] or levels[-1] == levels[place[id(nodes[-1])]]
    assert {id(nodes[index]) for index in asked} <= set(place)
    for level, made in graph:
        inside = [parent for parent in made.parents if id(parent) in place]
        assert all(place[id(parent)] < place[id(made)] for parent in inside)
        assert level == 1 + max((graph[place[id(p)]][0] for p in inside), default=-1)


@given(shape=shapes())
def test_a_graph_is_used_once(shape: Shape) -> None:
    nodes, below = build(shape)
    nodes[-1].backward("first")
    before = {index: copy.copy(made.feedback) for index, made in enumerate(nodes)}

    with pytest.raises(AlreadyPropagated, match="has been backwarded"):
        nodes[-1].backward("second")

    assert {index: made.feedback for index, made in enumerate(nodes)} == before
    assert received(nodes) == below[-1]


@given(shape=shapes())
def test_zeroing_forgets(shape: Shape) -> None:
    nodes, _ = build(shape)
    nodes[-1].backward("say", retain_graph=True)

    for made in nodes:
        made.zero_feedback()

    assert received(nodes) == set()
    nodes[-1].backward("again")
    assert {note.feedback for made in nodes for note in sum_or_nothing(made)} <= {"again"}


def sum_or_nothing(made: Node[Any]) -> tuple[Any, ...]:
    total = sum_feedback([made])
    return total.notes if isinstance(total, TraceGraph) else ()


# ---- levels and order ----------------------------------------------------------------------------


@given(shape=shapes())
def test_levels_and_families_are_consistent(shape: Shape) -> None:
    nodes, below = build(shape)

    for made, parameters in zip(nodes, below, strict=True):
        assert made.level == (1 + max(p.level for p in made.parents) if made.parents else 0)
        assert all(any(child is made for child in p.children) for p in made.parents)
        assert all(any(p is made for p in child.parents) for child in made.children)
        assert len({id(child) for child in made.children}) == len(made.children)
        assert made.is_leaf is (made.children == [])
        assert made.parameter_dependencies == {nodes[index] for index in parameters}
        assert made.expandable_dependencies == set()
    assert len({made.name for made in nodes}) == len(nodes)


# ---- memory --------------------------------------------------------------------------------------


class Value:
    """Something with a weak reference."""


@pytest.mark.usefixtures("no_collector")
@settings(max_examples=30)
@given(shape=shapes(), backward=st.booleans())
def test_graphs_are_freed_by_reference_counting(shape: Shape, backward: bool) -> None:
    nodes, _ = build(shape)
    watched: list[weakref.ref[Any]] = [weakref.ref(made) for made in nodes]
    for index in range(len(nodes)):
        value = Value()
        watched.append(weakref.ref(value))
        nodes[index]._set(value)
        del value
    if backward:
        nodes[-1].backward("say")
        while nodes:
            nodes.pop().zero_feedback()

    del nodes

    assert [one for one in watched if one() is not None] == []


@pytest.mark.usefixtures("no_collector")
def test_a_parameter_keeps_no_result_alive() -> None:
    p = node(1.0, trainable=True)

    watched = [weakref.ref(p + index) for index in range(100)]
    watched += [weakref.ref(gather(p, p * 2)) for _ in range(100)]

    assert [one for one in watched if one() is not None] == []
    assert p.children == []


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("trainable", [False, True])
def test_bundles_and_their_failures_are_freed(trainable: bool) -> None:
    def divide(x: Any, y: Any) -> Any:
        return Value() if y else x / y

    traced = bundle(trainable=trainable)(divide)
    p = node(1, trainable=True)
    watched: list[weakref.ref[Any]] = [weakref.ref(traced(p, 1)), weakref.ref(traced(p, 1).data)]
    try:
        traced(p, 0)
    except ZeroDivisionError as error:
        watched.append(weakref.ref(error.exception_node))  # type: ignore[attr-defined]  # an ExecutionError too

    assert [one for one in watched if one() is not None] == []


@pytest.mark.usefixtures("no_collector")
def test_feedback_keeps_the_graph_until_it_is_zeroed() -> None:
    p = node(1, trainable=True)
    out = p + 1
    watched = weakref.ref(out)
    out.backward("say")
    del out
    assert watched() is not None

    p.zero_feedback()

    assert watched() is None


# ---- size ----------------------------------------------------------------------------------------

DEEP = 20_000


def chain(length: int) -> tuple[ParameterNode[Any], Any]:
    p = node(0, trainable=True)
    x: Any = p
    for _ in range(length):
        x = x + 1
    return p, x


@pytest.mark.parametrize("propagator", [GraphPropagator, SumPropagator])
def test_depth_is_no_limit(propagator: Any) -> None:
    p, x = chain(DEEP)

    x.backward("say", propagator=propagator())

    assert x.level == DEEP
    assert len(p.feedback) == 1
    assert p.feedback[p.children[0] if p.children else next(iter(p.feedback))]


def test_a_deep_graph_is_copied_pickled_and_freed() -> None:
    p, x = chain(DEEP)

    twin = pickle.loads(pickle.dumps(x))

    assert twin.level == DEEP
    assert copy.deepcopy(x).data == x.detach().data == DEEP
    assert isinstance(next(iter(twin.parameter_dependencies)), ParameterNode)
    watched = weakref.ref(p)
    del p, x, twin
    gc.collect()
    assert watched() is None


def test_wide_graphs() -> None:
    p = node(1, trainable=True)
    total = gather(*(p * index for index in range(2_000)))

    total.backward("say")

    assert len(p.feedback) == 2_000
    assert len(sum_feedback([p]).graph) == 2_000 * 2 + 2
    assert isinstance(total, MessageNode)
