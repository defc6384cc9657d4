from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.optimizers import OptoPrime
from opto.optimizers.optoprime import (
    FunctionFeedback,
    get_fun_name,
    node_to_function_feedback,
    repr_function_call,
)
from opto.optimizers.problem import Entry, NameBook, Problem, read_problem
from opto.testing import ScriptedModel
from opto.trace import GRAPH, ExecutionError, Node, ParameterNode, bundle, node
from opto.trace.utils import sum_feedback


def problem_of(*parameters: ParameterNode[Any]) -> Problem:
    return read_problem(sum_feedback(list(parameters)), list(parameters))


@bundle()
def scale(x: int, by: int = 3) -> int:
    """Multiply."""
    return x * by


@bundle(trainable=True)
def double(x: int) -> int:
    """Twice."""
    return x + x


def test_the_parts_of_a_problem() -> None:
    x = node(2, name="x", trainable=True, description="must be even")
    out = scale(double(x)) + 1
    out.backward("lower")
    code = double.parameter
    name = code.py_name
    problem = problem_of(x, code)
    assert [text for _, text in problem.graph] == [
        f"eval0 = eval(x=x0, __code={name})",
        "scale0 = scale(x=eval0, by=by0)",
        "add0 = add(x=scale0, y=int0)",
    ]
    assert {name: entry.data for name, entry in problem.variables.items()} == {
        "x0": 2,
        name: code.data,
    }
    assert problem.variables["x0"].constraint == "must be even"
    assert problem.variables[name].kind == "code"
    assert {name: entry.data for name, entry in problem.inputs.items()} == {"by0": 3, "int0": 1}
    assert {name: entry.data for name, entry in problem.others.items()} == {
        "eval0": 4,
        "scale0": 12,
    }
    assert problem.outputs["add0"].data == problem.output["add0"].data == 13
    assert problem.user_feedback == "lower"
    assert set(problem.documentation) == {"eval", "scale", "add"}
    assert "Multiply" in problem.documentation["scale"]
    assert set(problem.roots) == {"x0", name, "by0", "int0"}


def test_a104_each_line_of_code_is_there_whatever_the_order_of_parameters() -> None:
    q, x = node(2, name="q", trainable=True), node(3, name="x", trainable=True)
    r = node(1, name="r")
    n = q + r
    a = x + 1 + 1 + 1 + 1 + 1
    h = a * r + n * 1
    h.backward("fb", retain_graph=True)
    for order in ([x, q], [q, x]):
        problem = problem_of(*order)
        assert any(text.startswith(f"{n.py_name} =") for _, text in problem.graph)
        assert n.py_name not in problem.inputs


@pytest.mark.covers("A62")
def test_a62_names_that_look_alike_are_told_apart() -> None:
    GRAPH.clear()
    many = [node(float(i), name="x", trainable=True) for i in range(11)]
    other = node(99.0, name="x1", trainable=True)
    (many[10] + other).backward("fb")
    problem = problem_of(many[10], other)
    assert {name: entry.data for name, entry in problem.variables.items()} == {
        "x_10": 10.0,
        "x1_0": 99.0,
    }


def test_an_input_that_looks_like_a_parameter_gives_way() -> None:
    GRAPH.clear()
    others = [node(i, name="x") for i in range(11)]
    parameter = node(7, name="x1", trainable=True)
    (parameter + others[10]).backward("fb")
    problem = problem_of(parameter)
    assert set(problem.variables) == {"x10"}
    assert set(problem.inputs) == {"x10_2"}
    assert problem.graph[0][1] == "add0 = add(x=x10, y=x10_2)"


def test_values_are_pairs_with_their_constraints_as_in_the_original() -> None:
    entry = Entry(5, "odd", "int")
    value, constraint = entry
    assert (value, constraint) == (entry[0], entry[1]) == (5, "odd")
    assert len(entry) == 2
    with pytest.raises(IndexError):
        entry[2]


def test_a_graph_under_the_names_of_the_original() -> None:
    GRAPH.clear()
    a, b = node(3, name="a", trainable=True), node(4, name="b")
    total = a + b
    total.backward("fb")
    found = node_to_function_feedback(sum_feedback([a]))
    assert isinstance(found, FunctionFeedback)
    assert found.graph == [(1, repr_function_call(total))] == [(1, "add0 = add(x=a0, y=b0)")]
    assert get_fun_name(total) == "add"
    assert list(found.documentation) == ["add"]
    assert {name: entry[0] for name, entry in found.roots.items()} == {"a0": 3, "b0": 4}
    assert {name: entry[0] for name, entry in found.output.items()} == {"add0": 7}
    assert found.others == {}
    assert found.user_feedback == "fb"


def test_names_after_the_counters_were_restarted() -> None:
    first = node(1, name="x", trainable=True)
    GRAPH.clear()
    second = node(2, name="x", trainable=True)
    book = NameBook([first, second])
    assert (book.name(first), book.name(second)) == ("x_0", "x_0_2")
    assert book.copy().name(second) == "x_0_2"


@pytest.mark.covers("C22")
def test_c22_several_outputs_with_different_feedback() -> None:
    x = node(1, name="x", trainable=True)
    up, down = x + 1, x + 2
    up.backward("up")
    down.backward("down")
    problem = problem_of(x)
    assert set(problem.outputs) == {"add0", "add1"}
    assert problem.user_feedback == "add0: up\nadd1: down"
    assert len(problem.graph) == 2


def test_several_outputs_with_the_same_feedback() -> None:
    x = node(1, name="x", trainable=True)
    for _ in range(2):
        (x + 1).backward("more")
    assert problem_of(x).user_feedback == "more"


def test_feedback_on_a_parameter_itself() -> None:
    x = node(1, name="x", trainable=True)
    x.backward("too small")
    problem = problem_of(x)
    assert problem.graph == []
    assert set(problem.variables) == {"x0"}
    assert not problem.outputs
    assert problem.user_feedback == "too small"


def test_a_failed_operation_is_an_output() -> None:
    x = node(0, name="x", trainable=True)
    try:
        _ = 1 / x
    except ExecutionError as error:
        error.exception_node.backward("it failed")
    problem = problem_of(x)
    assert len(problem.graph) == 1
    assert "(ZeroDivisionError)" in str(next(iter(problem.outputs.values())).data)


def test_operations_that_differ_get_different_names() -> None:
    def make(text: str) -> Any:
        @bundle(f"[same] {text}")
        def same(x: int) -> int:
            return x + 1

        return same

    x = node(1, name="x", trainable=True)
    make("Does this.")(make("Does that.")(x)).backward("fb")
    documentation = problem_of(x).documentation
    assert len(documentation) == 2
    assert set(documentation.values()) == {"[same] Does this.", "[same] Does that."}


def test_a_parameter_that_is_frozen_is_an_input() -> None:
    x, y = node(1, name="x", trainable=True), node(2, name="y", trainable=True)
    (x + y).backward("fb")
    y.trainable = False
    problem = problem_of(x, y)
    assert set(problem.variables) == {"x0"}
    assert set(problem.inputs) == {"y0"}


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=30))
def test_each_line_uses_only_what_stands_above(picks: list[tuple[int, int]]) -> None:
    GRAPH.clear()
    parameters = [node(i, name=n, trainable=True) for i, n in enumerate("abc")]
    nodes: list[Node[Any]] = [*parameters, node(1, name="k")]
    for left, right in picks:
        nodes.append(nodes[left % len(nodes)] + nodes[right % len(nodes)])
    sum(nodes[1:], nodes[0]).backward("fb")
    problem = problem_of(*parameters)
    known = set(problem.roots)
    for step in problem.steps:
        assert {name for _, name in step.inputs} <= known
        known.add(step.output)
    assert len({step.output for step in problem.steps}) == len(problem.steps)


@pytest.mark.covers("C25")
def test_a_large_graph_is_read_in_one_pass() -> None:
    x = node(0, name="x", trainable=True)
    value: Any = x
    for _ in range(20_000):
        value = value + 1
    value.backward("fb")
    assert len(problem_of(x).steps) == 20_000


NAMES = st.sampled_from(["x", "X", "x1", "x_1", "x1_0", "__code", "add", "int", "str"])


@given(
    st.lists(NAMES, min_size=1, max_size=14),
    st.lists(st.tuples(NAMES, st.booleans()), max_size=14),
)
def test_names_shown_to_the_model_are_unique_and_map_back(
    own: list[str], others: list[tuple[str, bool]]
) -> None:
    GRAPH.clear()
    parameters = [node(at, name=name, trainable=True) for at, name in enumerate(own)]
    nodes: list[Node[Any]] = list(parameters)
    for name, restart in others:
        if restart:
            GRAPH.clear()  # names begin again, and stand for something else
        nodes.append(node(1, name=name))
        nodes.append(nodes[-1] + nodes[-2])
    sum(nodes[1:], nodes[0] + 1).backward("fb")
    optimizer = OptoPrime(parameters, llm=ScriptedModel())

    problem = optimizer.summarize()
    shown = [
        *problem.variables,
        *problem.inputs,
        *problem.others,
        *problem.outputs,
    ]
    assert len(set(shown)) == len(shown)
    assert [problem.variables[optimizer.names.name(p)].data for p in parameters] == list(
        range(len(parameters))
    )
    values = {name: 100 + entry.data for name, entry in problem.variables.items()}
    update = optimizer.converted(
        optimizer.read(json.dumps({"suggestion": values}), optimizer.wanted())
    )
    assert update == {parameter: 100 + parameter.data for parameter in parameters}
