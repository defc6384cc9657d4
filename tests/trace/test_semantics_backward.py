"""SEMANTICS §7, §16, §23 and §24: feedback on its way back."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from typing import Any
from weakref import ref

import pytest

from opto.errors import AlreadyPropagated
from opto.trace import bundle, utils
from opto.trace.nodes import MessageNode
from opto.trace.propagators import GraphPropagator, Propagator, SumPropagator, TraceGraph
from opto.trace.utils import contain, dedent, parse_eqs_to_dict, remove_non_ascii, sum_feedback
from tests.trace.helpers import node, same_nodes


class Counting(Propagator):
    """Counts the operations that feedback crossed."""

    def __init__(self) -> None:
        super().__init__()
        self.visited: list[str] = []

    def init_feedback(self, node: Any, feedback: Any) -> Any:
        """Start at the feedback given."""
        return feedback

    def _propagate(self, child: MessageNode[Any]) -> Mapping[Any, Any]:
        self.visited.append(child.name)
        received = [item for items in child.feedback.values() for item in items]
        return dict.fromkeys(child.parents, sum(received) + 1)


# ---- backward ------------------------------------------------------------------------------------


@pytest.mark.covers("S7.1.1", "S7.1.2", "S3.36")
def test_backward_takes_what_it_always_took() -> None:
    x = node(1, name="x", trainable=True)

    assert (x + 1).backward() is None
    ((graph,),) = x.feedback.values()
    assert isinstance(graph, TraceGraph)
    assert graph.user_feedback == ""
    picture = (x + 1).backward("f", None, False, True, True, False, 50)
    assert picture is not None


@pytest.mark.covers("S7.1.3", "S22.1")
@pytest.mark.parametrize("again", ["head", "other head", "middle"])
def test_a_second_backward_is_refused(again: str) -> None:
    x = node(1, name="x", trainable=True)
    middle = x + 1
    head, other = middle * 2, middle * 3
    head.backward("f")
    received = {child: list(items) for child, items in x.feedback.items()}

    with pytest.raises(AttributeError, match=r"has been backwarded") as caught:
        {"head": head, "other head": other, "middle": middle}[again].backward("g")

    assert isinstance(caught.value, AlreadyPropagated)
    assert str(middle if again != "head" else head) in str(caught.value)
    assert x.feedback == received
    assert not other._backwarded


@pytest.mark.covers("S7.1.4")
def test_a_root_keeps_what_it_is_told() -> None:
    x = node(1, trainable=True)

    x.backward("one")
    x.backward("two")

    assert len(x.feedback) == 2
    assert not x._backwarded
    assert {note.feedback for note in sum_feedback([x]).notes} == {"one", "two"}


@pytest.mark.covers("S7.1.5")
def test_every_result_is_visited_once_outputs_first() -> None:
    x = node(1, trainable=True)
    a = x + 1
    b, c = a * 2, a * 3
    head = b + c
    rule = Counting()

    head.backward(0, propagator=rule)

    assert rule.visited[0] == head.name
    assert rule.visited[-1] == a.name
    assert len(rule.visited) == len(set(rule.visited)) == 4
    assert x.feedback == {a: [5]}  # b and c each gave 2
    assert all(made.feedback == {} for made in (a, b, c, head))
    assert all(made._backwarded for made in (a, b, c, head))


@pytest.mark.covers("S7.1.6")
def test_feedback_gathers_until_it_is_cleared() -> None:
    x = node(1, trainable=True)
    a, b = x + 1, x + 2
    a.backward("a")
    b.backward("b")

    assert same_nodes(x.feedback, [a, b])
    assert not x._backwarded
    x.zero_feedback()
    assert x.feedback == {}


@pytest.mark.covers("S7.1.7", "S24.2")
def test_only_what_can_learn_gets_feedback() -> None:
    x, fixed = node(1, trainable=True), node(2)
    constant = fixed + 1
    first, second = x * constant, x * 2
    assert len(x.children) == 2

    first.backward("f")
    assert (fixed.feedback, constant.feedback, constant._backwarded) == ({}, {}, False)
    assert len(x.children) == 1
    second.backward("f")
    assert len(x.children) == 0
    assert len(x.feedback) == 2


@pytest.mark.covers("S7.1.7")
def test_a_used_graph_is_freed_with_its_head() -> None:
    x = node(1, trainable=True)
    head = (x + 1) * 2
    watched = ref(head.parents[0])
    head.backward("f")
    x.zero_feedback()

    del head
    gc.collect()

    assert watched() is None


@pytest.mark.covers("S7.1.8")
def test_a_retained_graph_can_be_used_again() -> None:
    x = node(1, name="x", trainable=True)
    head = (x + 1) * 2

    head.backward("one", retain_graph=True)
    head.backward("two", retain_graph=True)

    assert {note.feedback for note in sum_feedback([x]).notes} == {"one", "two"}
    assert not head._backwarded
    head.backward("three")
    with pytest.raises(AttributeError):
        head.backward("four")


@pytest.mark.covers("S7.1.9")
def test_errors_of_rules_are_raised_and_change_nothing() -> None:
    x = node(1, trainable=True)
    head = (x + 1) * 2
    rule = Counting()
    rule.register("add", lambda child: child.parents[9])

    with pytest.raises(IndexError):
        head.backward(0, propagator=rule)

    assert x.feedback == {}
    assert not head._backwarded
    head.backward(0, propagator=Counting())
    assert len(x.feedback) == 1


@pytest.mark.covers("S7.1.10", "S7.3.6", "S3.33")
def test_pictures() -> None:
    x = node("v" * 200, name="x", description="words", trainable=True)
    copied = x.clone()
    head = copied + node({"content": "shown"}, name="c")["content"]

    text = str(head.backward("f", visualize=True, retain_graph=True, print_limit=20))
    turned = str(head.backward("f", visualize=True, retain_graph=True, reverse_plot=True))
    full = str(head.backward("f", visualize=True, simple_visualization=False, retain_graph=True))
    graph = str(sum_feedback([x]).visualize())

    assert "x0" in text
    assert "concat0" in text
    assert "v" * 20 + "..." in text
    assert "v" * 21 not in text
    assert "clone0" not in text
    assert "clone0" in full
    assert text != turned
    assert "x0" in graph
    for colour in ("#FFE5E5", "#FF7E79", "#DEEBF6", "#5C9BD5"):
        assert colour in text


# ---- propagators ---------------------------------------------------------------------------------


@pytest.mark.covers("S7.2.1", "S7.2.2")
def test_rules_are_checked() -> None:
    x = node(1, trainable=True)
    rule = Counting()

    with pytest.raises(Exception, match="results of operations"):
        rule(x)
    rule.register("add", lambda child: 3)  # type: ignore[arg-type,return-value]  # what is tested
    with pytest.raises(ValueError, match="dict"):
        (x + 1).backward(0, propagator=rule)
    rule.register("add", lambda child: {})
    with pytest.raises(ValueError, match=r"no feedback for int:0"):
        (x + 1).backward(0, propagator=rule)


@pytest.mark.covers("S7.2.2")
def test_an_operator_can_have_its_own_rule() -> None:
    x = node(1, trainable=True)
    rule = Counting()
    rule.register("multiply", lambda child: dict.fromkeys(child.parents, 100))

    ((x + 1) * 2).backward(0, propagator=rule)

    assert list(x.feedback.values()) == [[101]]


@pytest.mark.covers("S7.2.3")
def test_the_sum_propagator() -> None:
    x = node(1, trainable=True)
    a = x + 1

    (a * a + a).backward("f", propagator=SumPropagator())

    assert list(x.feedback.values()) == [["ff"]]
    assert sum_feedback([node(1)]) == 0


@pytest.mark.covers("S7.2.4")
def test_rules_of_operators_in_the_graph_propagator() -> None:
    x, y = node(1, name="x", trainable=True), node(2, name="y", trainable=True)
    rule = GraphPropagator()

    def left_alone(child: MessageNode[Any]) -> Any:
        passed = rule._propagate(child)
        told = rule.init_feedback(child, "said otherwise")
        return {parent: told if parent is y else passed[parent] for parent in child.parents}

    rule.register("multiply", left_alone)
    ((x + 1) * y).backward("f", propagator=rule)

    assert sum_feedback([x]).user_feedback == "f"
    assert sum_feedback([y]).user_feedback == "said otherwise"


# ---- graphs of feedback --------------------------------------------------------------------------


@pytest.mark.covers("S7.3.1", "S7.3.2", "S7.3.7")
def test_the_graph_of_feedback() -> None:
    x, one = node(1, name="x", trainable=True), node(1, name="one")
    middle = x + one
    head = middle * 2
    start = GraphPropagator().init_feedback(head, "f")
    head.backward("f")

    graph = sum_feedback([x])

    assert [made for _, made in start.graph] == [head]
    assert same_nodes([made for _, made in graph.graph], [x, one, middle, head, head.inputs["y"]])
    assert graph.graph[-1][1] is head
    assert graph.user_feedback == "f"
    by_hand = TraceGraph(graph=[(0, x), (1, middle)], user_feedback="g")
    assert [made.name for _, made in by_hand.graph] == ["x:0", middle.name]
    assert by_hand.user_feedback == "g"


@pytest.mark.covers("S7.3.3")
def test_sums_of_graphs() -> None:
    x = node(1, name="x", trainable=True)
    middle = x + 1
    one = TraceGraph(graph=[(0, x), (1, middle)], user_feedback="f")
    silent = TraceGraph(graph=[(0, x)], user_feedback=None)

    joined = one + silent
    total = sum([one, one, TraceGraph()])

    assert isinstance(total, TraceGraph)
    assert (len(joined), len(total)) == (2, 2)
    assert joined.user_feedback == total.user_feedback == "f"
    assert [level for level, _ in joined] == [0, 1]
    assert TraceGraph().empty()
    assert not one.empty()
    with pytest.raises(TypeError):
        one + 3  # type: ignore[operator,unused-ignore]  # what is tested


@pytest.mark.covers("S7.3.4", "S23.2")
def test_levels_start_at_the_roots() -> None:
    x = node(1, name="x", trainable=True)
    y = x + node(0) + 1
    head = y * 2
    head.backward("f")

    graph = sum_feedback([x]).graph

    assert [level for level, _ in graph] == [0, 0, 0, 0, 1, 2, 3]
    assert contain([made for level, made in graph if level == 0], x)


@pytest.mark.covers("S7.3.7")
def test_the_sum_over_several_parameters() -> None:
    x, y = node(1, name="x", trainable=True), node(2, name="y", trainable=True)
    (x + 1).backward("to x")
    (y * 1).backward("to y")

    graph = sum_feedback([x, y])

    assert set(graph.user_feedback.splitlines()) == {"add0: to x", "multiply0: to y"}
    assert len(graph) == 6


# ---- helpers -------------------------------------------------------------------------------------


@pytest.mark.covers("S16.1")
def test_small_helpers() -> None:
    x = node(1)

    assert parse_eqs_to_dict("a=1\nb=`2`\nmore") == {"a": "1", "b": "2\nmore"}
    assert remove_non_ascii("naïve ✓") == "nave "
    assert dedent("  a\n    b ") == "a\nb"
    assert contain([x], x)
    assert not contain([node(1)], x)


@pytest.mark.covers("S16.1")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "plain"}', "plain"),
        ('{"a": "say "hi" now"}', 'say "hi" now'),
        ('{"a": "it\'s"}', "it's"),
    ],
)
def test_quotes_inside_json_are_escaped(text: str, value: str) -> None:
    escape: Any = utils.escape_json_nested_quotes  # type: ignore[attr-defined,unused-ignore]

    assert json.loads(escape(text))["a"] == value


@pytest.mark.covers("S7.2.4", "S5.5.1")
def test_feedback_on_an_error_reaches_through_nested_bundles() -> None:
    x = node(0, name="x", trainable=True)

    @bundle()
    def inner(v: int) -> float:
        return 1 / v

    @bundle()
    def outer(v: int) -> Any:
        return inner(v)

    with pytest.raises(ZeroDivisionError) as caught:
        outer(x + 0)
    error: Any = caught.value
    error.exception_node.backward(error.exception_node.create_feedback())

    assert sum_feedback([x]).user_feedback == "(ZeroDivisionError) division by zero"
