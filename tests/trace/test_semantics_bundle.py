"""SEMANTICS §5.1-5.4 and §5.6-5.8: bundled functions, what goes in and what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from opto import trace
from opto.trace import Module, bundle, stop_tracing
from opto.trace.bundle import (
    FunModule,
    detach_inputs,
    to_data,
    wrap_node,
)
from opto.trace.nodes import MessageNode, ParameterNode
from tests.trace.helpers import names, node, same_nodes

EVAL = (
    "[eval] This operator eval(__code, *args, **kwargs) evaluates the code block, where __code is "
    "the code (str) and *args and **kwargs are the arguments of the function. The output is the "
    "result of the evaluation, i.e., __code(*args, **kwargs)."
)


@bundle()
def documented(x: int, y: int = 2) -> int:
    """Add two numbers."""
    return x + y


def helper(x: int) -> int:
    return x + 1


# ---- the decorated function ----------------------------------------------------------------------


@pytest.mark.covers("S5.1")
def test_a_bundle_is_a_module() -> None:
    inline: Any = bundle()(helper)

    assert isinstance(documented, FunModule)
    assert isinstance(documented, Module)
    assert inline(1).data == 2
    assert helper(1) == 2


@pytest.mark.covers("S5.1.1")
def test_what_a_bundle_has() -> None:
    @bundle("[op] Acts.", trainable=True, allow_external_dependencies=True)
    def act(x: Any) -> Any:
        return x

    assert act.trainable
    assert act.parameter is not None
    assert (act.name, act.description) == ("op", "[op] Acts.")
    assert isinstance(act.parameter, ParameterNode)
    assert act.parameters_dict() == {"parameter": act.parameter}
    assert same_nodes(act.parameters(), [act.parameter])
    assert (act.catch_execution_error, act.traceable_code) == (True, False)
    assert (act.allow_external_dependencies, act.overwrite_python_recursion) == (True, True)
    assert act.fun(3) == 3
    assert (documented.parameter, documented.trainable) == (None, False)
    assert (documented.parameters(), documented.parameters_dict()) == ([], {})
    assert documented.fun(1) == 3


@pytest.mark.covers("S5.1.1")
def test_copies_of_bundles() -> None:
    @bundle(trainable=True)
    def same(x: Any) -> Any:
        return x

    shared, detached = same.copy(), same.detach()

    assert shared.parameter is same.parameter
    assert detached.parameter is not same.parameter
    assert (shared(1).data, detached(1).data) == (1, 1)
    assert detached.parameter is not None
    detached.parameter._set("def same(x): return 2")
    assert (same(1).data, detached(1).data) == (1, 2)


@pytest.mark.covers("S5.1.1")
def test_the_function_is_that_of_the_current_code() -> None:
    @bundle(trainable=True)
    def same(x: Any) -> Any:
        return x

    assert same.parameter is not None
    same.parameter._set("def same(x): return x + 1")

    assert same.fun(1) == 2
    assert same(1).data == 2


@pytest.mark.covers("S5.1.2", "S5.1.3")
def test_facts_of_a_call() -> None:
    made = documented(1, y=5)
    info = made.info

    assert info["fun"](1) == 3
    assert (info["fun_name"], info["doc"], info["output"]) == ("documented", "Add two numbers.", 6)
    assert str(info["signature"]).startswith("(x: ")
    assert info["source"].startswith("def documented(")
    assert info["file"] == __file__
    line = info["line_number"]
    with open(__file__, encoding="utf-8") as file:  # noqa: PTH123 - as short as it gets
        assert file.readlines()[line - 1].startswith("def documented(")
    received = info["inputs"]
    assert [*received["args"], *received["kwargs"].values()] == [1, 5]
    assert info["external_dependencies"] == []
    assert not info["error_comment"]
    assert not info["traceback"]


@pytest.mark.covers("S5.1.2", "S5.4.1")
def test_a_returned_node_gives_its_value() -> None:
    inner = node(3) + 1

    @bundle(allow_external_dependencies=True)
    def give(x: Any) -> Any:
        return inner

    made = give(1)

    assert made.data == 4
    assert made is not inner
    assert made.info["output"] is inner
    assert same_nodes(made.parents, [made.inputs["x"]])


@pytest.mark.covers("S5.1.3", "S5.2.1")
def test_names_of_nested_functions() -> None:
    @bundle()
    def local(x: int) -> int:
        """Doc.

        More.
        """
        return x

    name = "test_names_of_nested_functions.local"
    assert local.info["fun_name"] == name
    assert local.name == name
    assert local.description == f"[{name}] Doc.\n\nMore."
    assert documented.description == "[documented] Add two numbers."


@pytest.mark.covers("S5.2.2", "S22.1")
def test_given_descriptions() -> None:
    @bundle("[a.b] Text", output_name="result")
    def named(x: int) -> int:
        return x

    assert (named.name, named.description) == ("a.b", "[a.b] Text")
    assert named(1).name == "result:0"
    with pytest.raises(ValueError, match=r"\[name\]"):
        bundle("no tag")(helper)


# ---- inputs --------------------------------------------------------------------------------------


@pytest.mark.covers("S5.3.1", "S5.3.2", "S5.3.3")
def test_inputs_are_named_after_the_parameters() -> None:
    @bundle()
    def show(x: Any, y: Any = 2, *rest: Any, k: Any = 3, **more: Any) -> str:
        return str((x, y, rest, k, more))

    given = node("g", name="mine")
    plain, full = show(1), show(given, 5, 6, given, k=7, z=8)

    assert list(plain.inputs) == ["x", "y", "k"]
    assert names(plain.inputs.values()) == ["x:0", "y:0", "k:0"]
    assert [value.data for value in plain.inputs.values()] == [1, 2, 3]
    assert list(full.inputs) == ["x", "y", "args_0", "args_1", "k", "z"]
    assert full.inputs["x"] is full.inputs["args_1"] is given
    assert full.inputs["args_0"].name.startswith("int:")
    assert full.data == "('g', 5, (6, 'g'), 7, {'z': 8})"


@pytest.mark.covers("S5.3.3", "S5.4.4")
def test_code_is_the_last_input() -> None:
    @bundle(trainable=True)
    def show(x: Any, *rest: Any, k: Any = 3, **more: Any) -> Any:
        return x

    made = show(1, 2, z=4)

    assert list(made.inputs) == ["x", "args_0", "k", "z", "__code"]
    assert made.inputs["__code"] is show.parameter
    assert len(made.parents) == 5


@pytest.mark.covers("S5.3.4")
@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_wrong_arguments_are_type_errors(args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError) as caught:
        documented(*args)

    assert not isinstance(caught.value, trace.ExecutionError)
    with pytest.raises(TypeError, match="nothing"):
        documented(1, nothing=2)


@pytest.mark.covers("S5.3.5")
def test_what_the_function_receives() -> None:
    received: list[Any] = []

    def keep(x: Any, y: Any) -> int:
        received.extend([x, y])
        return 1

    x = node([1], name="x", trainable=True) + [2]  # noqa: RUF005 - traced
    bundle()(keep)(x, 5)
    bundle(_process_inputs=False)(keep)(x, 5)
    bundle(traceable_code=True)(keep)(x, 5)

    assert received[:2] == [[1, 2], 5]
    assert type(received[0]) is list
    assert received[2] is x
    assert received[3] == 5
    assert isinstance(received[3], int)
    twin = received[4]
    assert isinstance(twin, trace.Node)
    assert (twin.data, twin.parents) == ([1, 2], [])
    assert twin is not x


@pytest.mark.covers("S5.3.6")
def test_values_of_nested_nodes() -> None:
    x = node(1)

    assert to_data([x, (x, {"k": x}), {"a": [x]}]) == [1, (1, {"k": 1}), {"a": [1]}]
    assert to_data(node([x]))[0] is x
    assert to_data(3) == 3
    assert wrap_node(x) is x
    assert wrap_node(3).data == 3
    assert wrap_node(documented) is documented
    detached = detach_inputs([x + 1, {"k": x}])
    assert (detached[0].data, detached[0].parents) == (2, [])


# ---- outputs -------------------------------------------------------------------------------------


@pytest.mark.covers("S5.4.1")
@pytest.mark.parametrize("value", [None, 1, (1, 2), [1], {"a": 1}, len])
def test_any_output_is_one_node(value: Any) -> None:
    @bundle()
    def give(x: int) -> Any:
        return value

    made = give(1)

    assert isinstance(made, MessageNode)
    assert made.data is value
    assert made.level == 1


@pytest.mark.covers("S5.4.2", "S5.12.1", "S5.6.3")
@pytest.mark.parametrize("trainable", [False, True])
def test_outputs_under_stop_tracing(trainable: bool) -> None:
    other = node(1)

    @bundle(trainable=trainable)
    def use(x: Any) -> Any:
        return x + 1

    @bundle()
    def unlisted(x: Any) -> Any:
        return x + other.data

    with stop_tracing():
        made, read = use(node(1)), unlisted(1)

    assert (made.data, made.parents, made.level, made.inputs) == (2, [], 0, {})
    assert read.data == 2


@pytest.mark.covers("S5.4.3", "S2.12")
def test_the_operator_of_trainable_code() -> None:
    @bundle("[mine] Mine.", trainable=True)
    def same(x: Any) -> Any:
        return x

    assert same(1).description == EVAL
    assert same(1).op_name == "eval"
