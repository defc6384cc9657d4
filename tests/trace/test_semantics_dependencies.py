"""SEMANTICS §5.6, §7.3 and §24: what a bundle reads beside its arguments, and what is inside it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opto import trace
from opto.trace import GRAPH, bundle
from opto.trace.bundle import (
    disable_external_dependencies_check,
    trace_nodes,
)
from opto.trace.propagators import TraceGraph
from opto.trace.utils import contain
from tests.trace.helpers import node, same_nodes

COUNTER = [0]
total = 0
# ---- external dependencies -----------------------------------------------------------------------


@pytest.mark.covers("S5.6.1", "S22.1")
def test_unlisted_reads() -> None:
    other = node(5, name="other")

    def use(x: Any) -> Any:
        return x + other.data

    with pytest.raises(
        trace.TraceMissingInputsError, match=r"^Not all nodes used in the operator"
    ) as caught:
        bundle()(use)(1)
    assert "('other:0', 5)" in caught.value.message
    made = bundle(allow_external_dependencies=True)(use)(1)
    assert same_nodes(made.info["external_dependencies"], [other])
    assert not contain(made.parents, other)
    assert bundle()(lambda x: x + other._data)(1).data == 6
    assert bundle(_process_inputs=False)(lambda o: o.data)(other).data == 5


@pytest.mark.covers("S5.6.1")
def test_only_the_innermost_bundle_reads() -> None:
    other = node(5, name="other")

    @bundle(allow_external_dependencies=True)
    def inner(x: Any) -> Any:
        return x + other.data

    @bundle()
    def outer(x: Any) -> Any:
        return inner(x)

    assert outer(1).data == 6


@pytest.mark.covers("S5.6.2")
def test_the_switch_of_the_check() -> None:
    other = node(5)

    def use(x: Any) -> Any:
        return x + other.data

    closed, opened = bundle()(use), bundle(allow_external_dependencies=True)(use)

    async def switched(value: bool, call: Any) -> Any:  # in a task: for itself alone
        disable_external_dependencies_check(value)
        return call(1)

    assert asyncio.run(switched(True, closed)).data == 6
    with pytest.raises(trace.TraceMissingInputsError):
        asyncio.run(switched(False, opened))
    assert opened(1).data == 6


@pytest.mark.covers("S5.12.1")
def test_nodes_read_in_a_block() -> None:
    x, y = node(1), node(2)

    with trace_nodes() as used:
        assert x.data == 1
        assert y._data == 2

    assert same_nodes(used, [x])
    assert GRAPH.TRACE is True


# ---- sub-graphs ----------------------------------------------------------------------------------


@pytest.mark.covers("S7.3.5", "S23.2", "S3.39")
def test_traceable_code_expands() -> None:
    hidden = node(3, name="hidden", trainable=True)
    x = node(1, name="x", trainable=True)

    @bundle()
    def inner(v: Any) -> Any:
        return v * 2

    @bundle(traceable_code=True, allow_external_dependencies=True)
    def outer(v: Any) -> Any:
        return inner(v) + 1 + hidden

    made = outer(x)
    expanded = TraceGraph.expand(made)

    assert made.data == 6
    assert len(expanded.graph) == 6
    assert contain([inside for _, inside in expanded.graph], hidden)
    assert len(TraceGraph.expand(x).graph) == 0
    assert same_nodes(made.expandable_dependencies, [made])


@pytest.mark.covers("S24.5")
def test_functions_may_change_globals_and_nonlocals() -> None:
    seen = 0

    @bundle()
    def count(x: int) -> int:
        global total  # noqa: PLW0603 - what is tested
        nonlocal seen
        total += x
        seen += x
        COUNTER[0] += x
        return x

    @bundle(trainable=True)
    def learn(x: int) -> int:
        COUNTER[0] += x
        return x

    COUNTER[0] = 0
    count(2)
    learn(3)

    assert (total, seen, COUNTER) == (2, 2, [5])
