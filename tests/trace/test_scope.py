from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.trace import GRAPH, Node, name_scope, new_scope, node, stop_tracing
from opto.trace.scope import NAME_SCOPES, Counter, Names


def test_a_counter_knows_what_it_gave() -> None:
    counter = Counter("x")

    assert [counter.take() for _ in range(3)] == [0, 1, 2]
    assert counter.taken() == 3


@given(st.lists(st.tuples(st.sampled_from(["", "a", "a/b"]), st.sampled_from("xy"))))
def test_names_are_numbered_by_full_base(asked: list[tuple[str, str]]) -> None:
    names = Names()
    expected: dict[str, int] = {}

    for prefix, base in asked:
        full = f"{prefix}/{base}" if prefix else base
        counter = names.counter(base, prefix)
        assert counter.base == full
        assert counter.take() == expected.get(full, 0)
        expected[full] = expected.get(full, 0) + 1

    assert names.total() == len(asked)
    assert {base: counter.taken() for base, counter in names.counters().items()} == expected
    names.clear()
    assert names.total() == 0
    assert names.counter("x").take() == 0


def test_counters_of_copies_go_with_the_last_copy() -> None:
    x = node(1, name="x")
    twin = x.detach()
    again = x.detach()

    assert (twin.name, again.name) == ("x0_copy:0", "x0_copy:1")
    assert twin.detach().name == "x0_copy0_copy:0"
    assert "x0_copy" in str(GRAPH)
    del twin, again
    gc.collect()
    assert "x0_copy" not in str(GRAPH)


def test_a_name_that_was_made_by_hand_is_shared_with_copies() -> None:
    by_hand = node(1, name="x0_copy")

    assert node(1, name="x").detach().name == "x0_copy:1"
    assert by_hand.name == "x0_copy:0"


def test_a_new_scope_counts_from_zero_and_leaves_no_trace() -> None:
    node(1)
    with new_scope():
        assert node(1).name == "int:0"
        with new_scope():
            assert node(1).name == "int:0"
        assert node(1).name == "int:1"

    assert node(1).name == "int:1"


def test_tracing_stops_in_the_block_and_nests() -> None:
    x = node(1)
    stop = stop_tracing()

    with stop:
        inner = x + 1
        with stop, stop_tracing():
            assert (x + 1).is_root
        assert (x + 1).is_root
        assert not GRAPH.TRACE

    assert GRAPH.TRACE
    assert inner.data == 2
    assert inner.is_root
    assert (x + 1).parents[0] is x


def test_tracing_goes_on_after_an_exception() -> None:
    with pytest.raises(KeyError), stop_tracing():
        raise KeyError

    assert GRAPH.TRACE


def test_the_switch_of_the_original() -> None:
    GRAPH.TRACE = False
    try:
        assert (node(1) + 1).is_root
    finally:
        GRAPH.TRACE = True
    assert not (node(1) + 1).is_root


def test_name_scopes_nest_and_only_the_innermost_counts() -> None:
    with name_scope("a"):
        assert node(1, name="x").name == "a/x:0"
        with name_scope("b"):
            assert node(1, name="x").name == "b/x:0"
            assert (node(1) + 1).name == "b/add:0"
        assert node(1, name="x").name == "a/x:1"

    assert node(1, name="x").name == "x:0"
    assert (node(1) + 1).name == "add:0"


def test_name_scopes_as_a_list() -> None:
    NAME_SCOPES.append("a")
    NAME_SCOPES.append("b")
    assert len(NAME_SCOPES) == 2
    assert node(1, name="x").name == "b/x:0"
    assert NAME_SCOPES.pop() == "b"
    assert node(1, name="x").name == "a/x:0"
    assert NAME_SCOPES.pop() == "a"

    assert len(NAME_SCOPES) == 0
    assert node(1, name="x").name == "x:0"


def test_clearing_keeps_nodes() -> None:
    x = node(1, name="x")
    GRAPH.clear()

    assert x.name == "x:0"
    assert node(2, name="x").name == "x:0"
    assert isinstance(x, Node)
