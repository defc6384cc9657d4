from __future__ import annotations

from typing import Any

import pytest

from opto.errors import WrongType
from opto.trace import bundle
from opto.trace.propagators import GraphPropagator, Note, TraceGraph
from tests.trace.helpers import node


def graph_of(p: Any) -> TraceGraph:
    (items,) = p.feedback.values()
    (found,) = items
    assert isinstance(found, TraceGraph)
    return found


def test_a_graph_by_hand() -> None:
    x = node(1)
    y = x + 1

    made = TraceGraph([(7, y), (3, x), (9, y)], "say")

    assert made.notes == (Note(y, "say"),)
    assert [(level, one.name) for level, one in made] == [(0, "int:0"), (1, "add:0")]
    assert len(made) == 2
    assert not made.empty()
    assert made.user_feedback == "say"
    assert repr(made) == "TraceGraph(2 nodes, 1 notes)"
    assert TraceGraph().empty()
    assert TraceGraph().graph == []
    assert TraceGraph().user_feedback is None


def test_sums() -> None:
    p, q = node(1, trainable=True), node(2, trainable=True)
    (p * q).backward("say")
    one, two = graph_of(p), graph_of(q)

    both = sum([one, two])

    assert isinstance(both, TraceGraph)
    assert len(both) == 3
    assert len(both.notes) == 1
    assert (one + TraceGraph()).graph == one.graph
    assert 0 + one is one
    with pytest.raises(WrongType, match="not to int"):
        _ = one + 3
    with pytest.raises(WrongType, match="not to int"):
        _ = 3 + one


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a", "a", "a"),
        (None, "a", "a"),
        (None, None, None),
        ("a", "b", "add0: a\nadd1: b"),
        (1, 1.0, "add0: 1\nadd1: 1.0"),
        (float("nan"), float("nan"), "nan"),
    ],
)
def test_feedback_of_several_outputs(first: Any, second: Any, expected: Any) -> None:
    p = node(1, trainable=True)
    one, two = p + 1, p + 2
    one.backward(first)
    two.backward(second)

    total: Any = sum(item for items in p.feedback.values() for item in items)

    found = total.user_feedback
    assert found == expected or str(found) == expected


def test_the_rule_alone_passes_the_graph_on() -> None:
    p = node(1, trainable=True)
    out = (p + 1) * 2
    propagator = GraphPropagator()

    start = propagator.init_feedback(out, "say")

    assert [one for _, one in start.graph][-1] is out
    passed = propagator._passed(out, {out: [start]})
    (reached,) = passed.values()
    assert reached.notes == start.notes
    assert propagator.aggregate({out: [start, start]}).graph == start.graph


def test_traceable_code_expands() -> None:
    hidden = node(5, trainable=True)

    @bundle(traceable_code=True, allow_external_dependencies=True)
    def inside(x: Any) -> Any:
        return x * 2 + hidden

    made = inside(node(1))

    assert made.data == 7
    assert len(TraceGraph.expand(made)) == 5
    assert TraceGraph.expand(node(1)).empty()
    assert TraceGraph.expand(node(1) + 1).empty()


def test_graphs_are_drawn() -> None:
    p = node(1, trainable=True)
    (p + 1).backward("say")

    picture = graph_of(p).visualize(reverse_plot=True, print_limit=3)

    assert len(picture.boxes) == 3
    assert picture.reverse
