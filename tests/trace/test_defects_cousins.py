"""Cousins of the faults of the original, found by trying: none may be ours."""

from __future__ import annotations

import abc
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from opto import trace
from opto.trace import bundle
from opto.trace.nodes import MessageNode
from tests.trace.helpers import node, same_nodes


class Coded(Exception):
    """An exception with more than a message."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@pytest.mark.covers("A18", "A85")
@pytest.mark.parametrize("compute", [np.sum, np.max, np.add.reduce, np.mean])
def test_reductions_of_arrays_are_traced(compute: Callable[[Any], Any]) -> None:
    values = np.array([1.0, 3.0])
    x = node(values, trainable=True)

    made = compute(x)

    assert isinstance(made, MessageNode)
    assert made.data == compute(values)
    assert same_nodes(made.parameter_dependencies, [x])


@pytest.mark.covers("A60")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_groups_of_exceptions() -> None:
    group: Any = vars(__import__("builtins"))["ExceptionGroup"]

    @bundle()
    def fail(x: int) -> None:
        raise group("several", [ValueError(x), KeyError(x)])

    with pytest.raises(trace.ExecutionError) as caught:
        fail(1)
    assert caught.value.exception_node.data.startswith("(ExceptionGroup) several")


@pytest.mark.covers("A60")
def test_errors_have_what_the_original_has() -> None:
    @bundle()
    def fail(x: int) -> None:
        if x:
            raise FileNotFoundError(2, "gone", "file")
        message = "coded"
        raise Coded(message, 7)

    with pytest.raises(FileNotFoundError) as missing:
        fail(1)
    with pytest.raises(Coded) as coded:
        fail(0)

    assert (missing.value.errno, missing.value.filename) == (2, "file")
    assert coded.value.code == 7


@pytest.mark.covers("A35")
@pytest.mark.parametrize("fails", [False, True])
def test_changes_of_named_arguments_and_before_errors(fails: bool) -> None:
    @bundle()
    def push(x: list[int], *, y: list[int]) -> Any:
        x.append(1)
        y.append(2)
        if fails:
            raise ValueError(x)
        return 0

    x, y = node([]), node([])
    if fails:
        with pytest.raises(trace.ExecutionError) as caught:
            push(x, y=y)
        made = caught.value.exception_node
    else:
        made = push(x, y=y)

    assert [given.data for given in made.inputs.values()] == [[], []]
    assert (x.data, y.data) == ([1], [2])


@pytest.mark.covers("A40")
def test_arguments_may_have_any_name() -> None:
    @bundle()
    def listed(**named: Any) -> list[str]:
        return sorted(named)

    made = listed(self=1, op=2, args=3, kwargs=4, fun=5)

    assert made.data == ["args", "fun", "kwargs", "op", "self"]
    assert node(lambda **named: sorted(named))(self=1, fun=2).data == ["fun", "self"]


@pytest.mark.covers("A67")
def test_abstract_methods_stay_abstract() -> None:
    class Abstract(abc.ABC):
        @bundle()
        @abc.abstractmethod
        def act(self) -> int:
            """Act."""

    with pytest.raises(TypeError, match="abstract"):
        Abstract()  # type: ignore[abstract,unused-ignore]  # what is tested


@pytest.mark.covers("A37", "A38")
def test_bundled_methods_of_awkward_classes() -> None:
    class Awkward:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]  # what is tested

        def __getattr__(self, name: str) -> int:
            return 1

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

        @bundle()
        def act(self) -> int:
            return 2

    awkward = Awkward()

    assert (awkward.act().data, awkward.act().data) == (2, 2)
    assert awkward.act().inputs["self"].data is awkward


class Parent:
    @bundle()
    def act(self, x: int) -> int:
        return x + 1


class Child(Parent):
    @bundle()
    def act(self, x: int) -> Any:
        return super().act(x) * 10


@pytest.mark.covers("A36", "S5.9.1")
def test_a_bundled_method_may_call_the_one_it_replaces() -> None:
    child = Child()

    assert (child.act(1).data, child.act(2).data) == (20, 30)
    assert Parent().act(1).data == 2
