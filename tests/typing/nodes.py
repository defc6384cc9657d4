"""Nodes as type checkers see them. Nothing here is run; `test_typing.py` has it checked."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import assert_type

from opto.trace import GRAPH, Node, ParameterNode, node, stop_tracing
from opto.trace import operators as ops
from opto.trace.nodes import ExceptionNode, MessageNode
from opto.trace.propagators import GraphPropagator, TraceGraph


class Prompt:
    """Something of the user's own."""


def making(text: str, anything: Any, prompt: Prompt, learn: bool) -> None:
    """`node` keeps the type of the value, and says whether it can be trained."""
    assert_type(node(1), Node[int])
    assert_type(node(text, "style"), Node[str])
    assert_type(node(text, name="style", description="How to speak."), Node[str])
    assert_type(node([1, 2]), Node[list[int]])
    assert_type(node(prompt), Node[Prompt])
    assert_type(node(None), Node[None])
    assert_type(node(1, trainable=True), ParameterNode[int])
    assert_type(node(text, "style", trainable=True), ParameterNode[str])
    assert_type(node(text, "style", True), ParameterNode[str])
    assert_type(node(prompt, trainable=True, constraint="Be short."), ParameterNode[Prompt])
    assert_type(node(1, trainable=learn), Node[int])
    assert_type(node(node(1)), Node[int])
    assert_type(node(node(1), trainable=True), ParameterNode[int])
    assert_type(node(anything), Node[Any])
    assert_type(Node(1), Node[int])
    assert_type(ParameterNode("a", projections=None), ParameterNode[str])


def values(x: Node[int], p: ParameterNode[str], wide: Node[object]) -> None:
    """The value has its type; the graph doesn't know the types of others."""
    assert_type(x.data, int)
    assert_type(p.data, str)
    assert_type(x.name, str)
    assert_type(x.py_name, str)
    assert_type(x.level, int)
    assert_type(x.is_root, bool)
    assert_type(x.description, str)
    assert_type(x.description_text, str | None)
    assert_type(p.trainable, bool)
    assert_type(p.is_code, bool)
    assert_type(bool(x), bool)
    assert_type(len(p), int)
    assert_type(int(x), int)
    assert_type(float(x), float)
    assert_type(f"{x:>3}", str)
    assert_type("a" in p, bool)
    wider: list[Node[object]] = [x, p, wide]
    assert_type(wider[0].data, object)


def arithmetic(x: Node[int], y: Node[float], s: Node[str], a: Node[Any], u: Node[Prompt]) -> None:
    """Numbers and texts keep their types; anything else is a node of anything."""
    assert_type(x + 1, MessageNode[int])
    assert_type(1 + x, MessageNode[int])
    assert_type(-x + 2, MessageNode[int])
    assert_type(x * x - x // 3 % 2, MessageNode[int])
    assert_type(x << 1 | 4 & x ^ 1, MessageNode[int])
    assert_type(~x, MessageNode[int])
    assert_type(abs(x), MessageNode[int])
    assert_type(x / 2, MessageNode[float])
    assert_type(x + 0.5, MessageNode[float])
    assert_type(0.5 * x, MessageNode[float])
    assert_type(x * y, MessageNode[float])
    assert_type(y * 2 - 1, MessageNode[float])
    assert_type(-y, MessageNode[float])
    assert_type(s + "b", MessageNode[str])
    assert_type("b" + s, MessageNode[str])
    assert_type(s * 3, MessageNode[Any])
    assert_type(s % 3, MessageNode[Any])
    assert_type(a + 1, MessageNode[Any])
    assert_type(1 + a, MessageNode[Any])
    assert_type(u + 1, MessageNode[Any])
    assert_type(u @ u, MessageNode[Any])
    assert_type(x**2, MessageNode[Any])
    assert_type(2**x, MessageNode[Any])
    assert_type(divmod(x, 2), MessageNode[Any])
    assert_type(round(y), MessageNode[Any])


def comparing(x: Node[int], s: Node[str]) -> None:
    """What comparison gives hangs on the values."""
    assert_type(x < 3, MessageNode[Any])
    assert_type(x >= node(2), MessageNode[Any])
    assert_type(x.eq(3), MessageNode[Any])
    assert_type(s.neq("a"), MessageNode[Any])
    if x == 3 and s != "a":
        assert_type(not x, bool)


def texts(s: Node[str], b: Node[bytes], a: Node[Any]) -> None:
    """The methods of a text are those of its node."""
    assert_type(node("a").upper(), MessageNode[str])
    assert_type(s.strip().title(), MessageNode[str])
    assert_type(s.replace("a", node("b")), MessageNode[str])
    assert_type(s.split(","), MessageNode[list[str]])
    assert_type(s.partition(":"), MessageNode[tuple[str, str, str]])
    assert_type(s.startswith("a"), MessageNode[bool])
    assert_type(s.find("a"), MessageNode[int])
    assert_type(s.encode(), MessageNode[bytes])
    assert_type(s.format(1, name=2), MessageNode[str])
    assert_type(s.join(["a", s]), MessageNode[str])
    assert_type(b.upper(), MessageNode[bytes])
    assert_type(b.split(), MessageNode[list[bytes]])
    assert_type(b.decode(), MessageNode[str])
    assert_type(a.upper(), MessageNode[Any])


def collections(items: Node[list[int]], table: Node[dict[str, int]], a: Node[Any]) -> None:
    """Items are nodes of anything; what changes a value in place gives None."""
    assert_type(items[0], MessageNode[Any])
    assert_type(items[1:], MessageNode[Any])
    assert_type(items.len(), MessageNode[int])
    assert_type(items.append(1), MessageNode[None])
    assert_type(items.pop(), MessageNode[Any])
    assert_type(items.count(1), MessageNode[int])
    assert_type(table.get("a"), MessageNode[Any])
    assert_type(table.keys(), MessageNode[list[Any]])
    assert_type(items.clone(), MessageNode[list[int]])
    assert_type(a.clone(), MessageNode[Any])
    items[0] = 3
    table["a"] = node(3)
    del items[0]
    for item in items:
        assert_type(item, Any)
    first, *_ = items
    assert_type(first, Any)
    for pair in table.items():
        assert_type(pair, tuple[Any, Any])
    assert_type(list(reversed(items)), list[Any])


def functions(x: Node[int]) -> None:
    """The operators as functions take nodes and plain values."""
    assert_type(ops.add(x, 1), MessageNode[Any])
    assert_type(ops.make_list(x, 1, "a"), MessageNode[Any])
    assert_type(ops.identity(x), MessageNode[Any])
    assert_type(ops.call_llm("Be kind.", node("Hello")), MessageNode[str])


def feedback(x: Node[int], failed: ExceptionNode) -> None:
    """Feedback may be anything."""
    x.backward()
    x.backward("too long", propagator=GraphPropagator(), retain_graph=True)
    x.backward(0.5)
    x.zero_feedback()
    assert_type(TraceGraph.expand(x), TraceGraph)
    assert_type(failed.create_feedback("full"), str)
    assert_type(failed.data, str)
    style: Literal["simple"] = "simple"
    failed.create_feedback(style)


def switches() -> None:
    """Tracing can be stopped."""
    with stop_tracing():
        assert_type(GRAPH.TRACE, bool)
    GRAPH.clear()


def mistakes(x: Node[int], s: Node[str]) -> None:
    """What can't be right is found; mypy says so when one of these isn't an error any more."""
    node(1, 2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    node(1, trainable="yes")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    s.no_such_method()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    x.data = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    wrong: Node[str] = x  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del wrong
