"""Faults of memory and growth that the original has: none may be ours."""

from __future__ import annotations

import copy
import gc
import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
import pytest

from opto import trace
from opto.trace import GRAPH, bundle
from opto.trace.utils import sum_feedback
from tests.trace.helpers import is_gone, names, node, same_nodes, steps_of

DEEP = 100_000


class Big:
    """Data whose life can be watched."""


def chain(length: int, start: Any) -> Any:
    made = start
    for _ in range(length):
        made = made + 1
    return made


# ---- nothing is kept -----------------------------------------------------------------------------


@pytest.mark.covers("A01")
def test_a_dropped_node_frees_its_data() -> None:
    data = Big()
    watched = ref(data)
    made = node(data)

    del data, made

    assert is_gone(watched)


@pytest.mark.covers("A01", "S2.15", "S23.3")
def test_a_node_that_is_alive_is_found_by_name() -> None:
    kept = node(1, name="kept")

    assert GRAPH.get("kept:0") is kept
    assert any(root is kept for root in GRAPH.roots)


@pytest.mark.covers("A02")
def test_operators_keep_neither_operands_nor_results() -> None:
    array = np.ones(1000)
    result = node(array) + 1
    operand, outcome = ref(array), ref(result.data)

    del array, result

    assert is_gone(operand)
    assert is_gone(outcome)


@pytest.mark.covers("A02")
@pytest.mark.parametrize("trainable", [False, True])
def test_bundles_keep_neither_arguments_nor_results(trainable: bool) -> None:
    @bundle(trainable=trainable)
    def wrap(x: Any) -> list[Any]:
        return [x]

    data = Big()
    watched = ref(data)
    made = wrap(data)

    del data, made

    assert is_gone(watched)


@pytest.mark.covers("A02")
def test_a_bundle_that_raised_keeps_nothing_of_the_call() -> None:
    @bundle()
    def fail(x: Any) -> None:
        local = Big()
        seen.append(ref(local))
        raise ValueError(len([local, x]))

    seen: list[ref[Any]] = []
    with pytest.raises(trace.ExecutionError):
        fail(1)

    assert is_gone(seen[0])


@pytest.mark.covers("A05")
@pytest.mark.parametrize("trainable", [False, True])
def test_decorating_keeps_no_unrelated_local_variable(trainable: bool) -> None:
    watched: list[ref[Any]] = []

    def make() -> Any:
        unrelated = Big()
        watched.append(ref(unrelated))

        @bundle(trainable=trainable)
        def same(x: Any) -> Any:
            return x

        return same

    made = make()

    assert is_gone(watched[0])
    assert made(1).data == 1


@pytest.mark.covers("A90", "A06")
def test_class_attributes_are_not_copied_for_methods() -> None:
    class Table:
        table = np.ones(1000)

        @bundle()
        def shared(self) -> bool:
            return self.table is Table.table

    copies = [Table() for _ in range(3)]
    gc.collect()

    assert [made.shared().data for made in copies] == [True, True, True]


@pytest.mark.covers("A96")
def test_names_of_copies_are_forgotten_with_the_copies() -> None:
    GRAPH.clear()
    names_of_one = len(str(GRAPH))

    for _ in range(200):
        copy.deepcopy(node(1, name="p"))
    gc.collect()

    assert len(str(GRAPH).splitlines()) <= 2
    assert len(str(GRAPH)) < names_of_one + 100


@pytest.mark.covers("A99")
def test_inference_without_backward_leaves_no_results_behind() -> None:
    x = node(1, name="x", trainable=True)
    watched = [ref(x + 1) for _ in range(1000)]

    assert all(map(is_gone, watched[-3:]))
    assert x.children == []


@pytest.mark.covers("A99")
def test_results_are_freed_without_the_garbage_collector() -> None:
    x = node(1, name="x", trainable=True)
    gc.disable()
    try:
        made = (x + 1) * 2
        watched = ref(made.parents[0])
        made.backward("f")
        x.zero_feedback()
        del made

        assert watched() is None
    finally:
        gc.enable()


@pytest.mark.covers("A99")
def test_children_do_not_grow_with_calls() -> None:
    """The list of weak references is swept, not only filtered when it is shown."""
    x = node(1, name="x", trainable=True)

    def calls(count: int) -> int:
        tracemalloc.start()
        for _ in range(count):
            assert (x + 1).data == 2
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    calls(100)

    assert calls(5000) < 20_000


# ---- linear, at any depth ------------------------------------------------------------------------


@pytest.mark.covers("A29")
def test_the_work_of_backward_grows_as_the_chain_does() -> None:
    def work(length: int) -> int:
        x = node(0, trainable=True)
        end = chain(length, x)
        return steps_of(lambda: (end.backward("f"), len(sum_feedback([x]).graph)))

    assert work(2000) < 5 * work(500)


@pytest.mark.covers("A29")
def test_the_memory_of_backward_grows_as_the_chain_does() -> None:
    def peak(length: int) -> int:
        x = node(0, trainable=True)
        end = chain(length, x)
        tracemalloc.start()
        end.backward("f")
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(4000) < 6 * peak(1000)


@pytest.mark.covers("A29", "A30")
def test_feedback_crosses_a_hundred_thousand_operations() -> None:
    x = node(0, trainable=True)
    end = chain(DEEP, x)

    end.backward("far")

    assert sum_feedback([x]).user_feedback == "far"
    assert end.data == DEEP


@pytest.mark.covers("A30")
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda end: end.detach()])
def test_copies_of_deep_graphs(copied: Callable[[Any], Any]) -> None:
    end = chain(10_000, node(0, trainable=True))

    made = copied(end)

    assert made.data == 10_000
    assert made.parents == []


@pytest.mark.covers("A30", "A61")
def test_pickles_of_deep_graphs() -> None:
    x = node(0, name="x", trainable=True)

    end = pickle.loads(pickle.dumps(chain(DEEP, x)))

    assert end.data == DEEP
    assert names(end.parameter_dependencies) == ["x:0"]
    assert end.level == DEEP


@pytest.mark.covers("A30")
def test_questions_about_deep_graphs() -> None:
    x = node(0, trainable=True)
    end = chain(10_000, x)

    assert same_nodes(end.parameter_dependencies, [x])
    assert end.expandable_dependencies == set()
    assert end.level == 10_000


# ---- copies bring no history along ---------------------------------------------------------------


@pytest.mark.covers("A31", "S3.34", "S23.4")
def test_a_detached_node_has_no_history() -> None:
    x = node([1], name="x", trainable=True)
    more = [2]
    y = x + more
    before = len(GRAPH)

    z = y.detach()

    assert z.parameter_dependencies == set()
    assert (z.parents, z.children, z.feedback) == ([], [], {})
    assert z.data == [1, 2]
    assert z.data is not y.data
    assert len(GRAPH) - before == 1


@pytest.mark.covers("A31", "A32")
def test_traceable_code_hides_no_parameters_of_its_inputs() -> None:
    x = node(1, name="x", trainable=True)

    @bundle(traceable_code=True)
    def more(a: Any) -> Any:
        return a + 1

    z = more(x + 1)

    assert z.data == 3
    assert z.hidden_dependencies == set()
    assert z.expandable_dependencies == set()
    assert same_nodes(z.parameter_dependencies, [x])


@pytest.mark.covers("A65", "A103")
def test_decorating_costs_the_same_at_any_depth_of_calls() -> None:
    def decorate() -> Any:
        @bundle()
        def same(x: Any) -> Any:
            return x

        return same

    def at(depth: int) -> int:
        return at(depth - 1) if depth else steps_of(decorate)

    assert at(200) == at(1)
