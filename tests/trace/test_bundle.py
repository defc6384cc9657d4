from __future__ import annotations

from typing import Any

import pytest

from opto.errors import InvalidArgument, TraceMissingInputsError
from opto.trace import bundle as decorator
from opto.trace.bundle import (
    FunModule,
    bundle,
    detach_inputs,
    disable_external_dependencies_check,
    to_data,
    trace_nodes,
    update_local,
    wrap_node,
)
from tests.strategies import is_node
from tests.trace.helpers import node


def test_one_decorator() -> None:
    assert decorator is bundle


def test_helpers_of_the_original() -> None:
    x = node([1])

    assert to_data(x) is x.data
    assert to_data([x, {"k": (x, 2)}]) == [[1], {"k": ([1], 2)}]
    assert wrap_node(x) is x
    assert is_node(wrap_node(3))
    assert isinstance(wrap_node(show), FunModule)
    twin = detach_inputs(x)
    assert twin is not x
    assert twin.data == [1]
    assert detach_inputs({"a": [x, 3]})["a"][1] == 3
    assert detach_inputs([x])[0] is not x
    with pytest.raises(InvalidArgument, match="aren't changed"):
        update_local(None, "x", 1)


@bundle()
def show(x: Any) -> str:
    return str(x)


def test_reads_are_seen() -> None:
    x, y = node(1), node(2)

    with trace_nodes() as seen:
        assert x.data == 1
        assert bool(y)

    assert seen == {x}


def test_reads_are_seen_although_the_block_fails() -> None:
    x = node(1)
    with pytest.raises(KeyError), trace_nodes() as seen:
        raise KeyError(x.data)

    assert seen == {x}


def test_a_bundle_is_bundled_once() -> None:
    with pytest.raises(InvalidArgument, match="show is bundled already"):
        bundle()(show)


def test_the_check_of_reads_can_be_turned_off_and_on() -> None:
    outside = node(5)

    @bundle()
    def closed(x: int) -> Any:
        return x + outside.data

    @bundle(allow_external_dependencies=True)
    def opened(x: int) -> Any:
        return x + outside.data

    with pytest.raises(TraceMissingInputsError):
        closed(1)
    try:
        disable_external_dependencies_check(True)
        assert closed(1).data == 6
        disable_external_dependencies_check(False)
        with pytest.raises(TraceMissingInputsError):
            opened(1)
    finally:
        disable_external_dependencies_check(None)  # type: ignore[arg-type]  # back to what bundles say


def test_names_and_descriptions() -> None:
    @bundle("[mine] It shows.", output_name="shown")
    def named(x: Any) -> Any:
        return x

    assert named.name == "mine"
    assert named.description == "[mine] It shows."
    assert named(1).name == "shown:0"
    assert show.description == "[show]"
    with pytest.raises(InvalidArgument, match="doesn't start with the operator's name"):
        bundle("no tag")(str)


def test_local_helpers_of_trainable_code() -> None:
    def helper(x: int) -> int:
        return x + 1

    @bundle(trainable=True)
    def learn(x: int) -> int:
        return x

    parameter: Any = learn.parameter
    parameter._set("def learn(x):\n    return helper(x)")

    assert learn(1).data == helper(1)
