"""Faults of the original's `backward` and propagators: none may be ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opto.trace import bundle
from opto.trace.nodes import MessageNode
from opto.trace.propagators import GraphPropagator, SumPropagator, TraceGraph
from opto.trace.utils import contain, sum_feedback
from tests.trace.helpers import node, same_nodes


def is_sorted(found: TraceGraph) -> bool:
    """Whether levels rise and every node comes after its parents, each once."""
    nodes = [made for _, made in found.graph]
    levels = [level for level, _ in found.graph]
    place = {id(made): index for index, made in enumerate(nodes)}
    after = all(
        place[id(parent)] < place[id(made)]
        for made in nodes
        for parent in made.parents
        if id(parent) in place
    )
    return levels == sorted(levels) and after and len(place) == len(nodes)


# ---- consumed results ----------------------------------------------------------------------------


@pytest.mark.covers("A21", "S7.1.7")
def test_the_result_that_was_used_leaves_the_children() -> None:
    x = node(1, trainable=True)
    a, b = x * 1, x * 1

    b.backward("fb")

    assert contain(x.children, a)
    assert not contain(x.children, b)


@pytest.mark.covers("A22", "S7.1.7")
def test_results_that_are_arrays_leave_the_children() -> None:
    x = node(1.0, trainable=True)
    a, b = x + np.ones(3), x + np.ones(3)

    b.backward("fb")

    assert same_nodes(x.children, [a])


@pytest.mark.covers("A23", "S7.1.3", "S22.1")
def test_a_second_head_on_a_used_node_is_refused_and_changes_nothing() -> None:
    x = node(1, name="x", trainable=True)
    y = x + 1
    a, b = y * 2, y * 3
    a.backward("A")
    before = {child.name: list(given) for child, given in x.feedback.items()}

    with pytest.raises(AttributeError, match="has been backwarded"):
        b.backward("B")

    assert {child.name: list(given) for child, given in x.feedback.items()} == before
    assert same_nodes(b.parents, [y, b.inputs["y"]])
    assert same_nodes(x.children, [])
    assert not b._backwarded


@pytest.mark.covers("A23", "S7.1.8")
def test_two_heads_with_a_retained_graph() -> None:
    x = node(1, name="x", trainable=True)
    y = x + 1
    a, b = y * 2, y * 3

    a.backward("A", retain_graph=True)
    b.backward("B")

    assert {note.feedback for note in sum_feedback([x]).notes} == {"A", "B"}


@pytest.mark.covers("A25", "S3.38")
def test_one_node_as_both_operands() -> None:
    x = node(3, trainable=True)
    y = x + 1
    z = y * y

    z.backward("fb")

    assert same_nodes(z.parents, [y])
    assert list(z.inputs) == ["x", "y"]
    assert len(x.feedback) == 1
    assert sum_feedback([x]).user_feedback == "fb"


# ---- feedback of any kind ------------------------------------------------------------------------


@pytest.mark.covers("A27")
@pytest.mark.parametrize("feedback", [float("nan"), np.array([1.0, 2.0]), None, {"a": 1}, 0, ""])
def test_any_feedback_crosses_a_diamond(feedback: Any) -> None:
    x = node(1.0, trainable=True)
    z = (x + 1) + (x + 2)

    z.backward(feedback)
    graph = sum_feedback([x])

    assert [note.feedback is feedback for note in graph.notes] == [True]
    assert len(graph.graph) == 6
    assert is_sorted(graph)


@pytest.mark.covers("C22", "S7.3.3")
def test_different_feedback_on_two_outputs_is_merged() -> None:
    x = node(1, name="x", trainable=True)
    a, b = x + 1, x * 2
    a.backward("up")
    b.backward("down")

    graph = sum_feedback([x])

    assert {(note.output.name, note.feedback) for note in graph.notes} == {
        (a.name, "up"),
        (b.name, "down"),
    }
    assert set(graph.user_feedback.splitlines()) == {"add0: up", "multiply0: down"}
    assert all(contain([made for _, made in graph.graph], output) for output in (x, a, b))


@pytest.mark.covers("C22", "S7.3.3")
def test_equal_feedback_on_two_outputs_is_said_once() -> None:
    x = node(1, name="x", trainable=True)
    (x + 1).backward("same")
    (x * 2).backward("same")

    assert sum_feedback([x]).user_feedback == "same"


# ---- order ---------------------------------------------------------------------------------------


@pytest.mark.covers("A104", "S7.3.4")
@pytest.mark.parametrize("turned", [False, True])
def test_a_graph_lists_every_node_after_its_inputs(turned: bool) -> None:
    q, x = node(2, name="q", trainable=True), node(3, name="x", trainable=True)
    r = node(1, name="r")
    n = q + r
    a = x + 1 + 1 + 1 + 1 + 1
    head = a * r + n * 1

    head.backward("fb", retain_graph=True)
    graph = sum_feedback([q, x] if turned else [x, q])

    assert is_sorted(graph)
    assert contain([made for _, made in graph.graph], n)
    assert graph.graph[-1][1] is head


@pytest.mark.covers("A104", "S7.3.4")
def test_sums_of_graphs_are_sorted() -> None:
    q, x = node(2, name="q", trainable=True), node(3, name="x", trainable=True)
    low = q + 1
    high = low * 2 * x
    high.backward("fb")

    feedback = [item for given in [q.feedback, x.feedback] for item in given.values()]
    graph = sum([one for items in feedback for one in items])

    assert isinstance(graph, TraceGraph)
    assert is_sorted(graph)
    assert is_sorted(sum_feedback([x]) + sum_feedback([q]))


# ---- propagators that fail -----------------------------------------------------------------------


def failing_at(operator: str, error: Exception) -> GraphPropagator:
    """A propagator whose rule for `operator` raises."""

    def fail(child: MessageNode[Any]) -> Any:
        raise error

    propagator = GraphPropagator()
    propagator.register(operator, fail)
    return propagator


@pytest.mark.covers("A24")
@pytest.mark.parametrize("error", [IndexError("list"), StopIteration("stop"), KeyError("key")])
def test_errors_of_a_propagator_are_raised(error: Exception) -> None:
    x = node(1, trainable=True)
    y = x + 1

    with pytest.raises(type(error)) as caught:
        y.backward("fb", propagator=failing_at("add", error))

    assert caught.value is error
    assert x.feedback == {}


@pytest.mark.covers("A86")
def test_backward_does_all_or_nothing() -> None:
    x = node(1, name="x", trainable=True)
    y = (x + 1) * 2 + x

    with pytest.raises(ValueError, match="down"):
        y.backward("fb", propagator=failing_at("add", ValueError("down")))

    assert x.feedback == {}
    assert not any(made._backwarded for made in (y, *y.parents))
    y.backward("fb")
    assert sum_feedback([x]).user_feedback == "fb"


@pytest.mark.covers("C29", "S7.2.3")
@pytest.mark.parametrize(
    ("feedback", "expected"), [("f", "ff"), (2, 4), (0.5, 1.0), (np.array([1.0]), np.array([2.0]))]
)
def test_the_sum_propagator_sums(feedback: Any, expected: Any) -> None:
    x = node(1, trainable=True)
    middle = x + 1

    ((middle * 2) + (middle * 3)).backward(feedback, propagator=SumPropagator())

    ((received,),) = x.feedback.values()
    assert np.all(received == expected)


# ---- hidden parameters ---------------------------------------------------------------------------


@pytest.mark.covers("A32", "S3.39", "S7.2.4")
def test_parameters_used_inside_get_feedback() -> None:
    hidden = node(2, name="hidden", trainable=True)
    x = node(1, name="x", trainable=True)

    @bundle(traceable_code=True, allow_external_dependencies=True)
    def scale(a: Any) -> Any:
        return a * hidden

    made = scale(x)
    made.backward("fb")

    assert made.data == 2
    assert same_nodes(made.hidden_dependencies, [hidden])
    assert same_nodes(made.expandable_dependencies, [made])
    assert sum_feedback([hidden]).user_feedback == "fb"
    assert sum_feedback([x]).user_feedback == "fb"
