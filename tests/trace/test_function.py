from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from typing import Any

import pytest

from opto.errors import SourceNotFound, WrongType
from opto.trace import bundle
from opto.trace.bundle import FunModule
from opto.trace.nodes import Node, ParameterNode
from tests.trace.helpers import node


@bundle(overwrite_python_recursion=True)
def tree(n: int) -> Any:
    """By comprehension."""
    return [tree(i) for i in range(n)]


@bundle(trainable=True)
def by_lambda(n: int) -> Any:
    """By a function in the function."""
    return list(map(lambda i: by_lambda(i), range(n)))  # noqa: C417, PLW0108


@bundle(overwrite_python_recursion=True)
def by_inner(n: int) -> Any:
    """By an inner function."""

    def inner() -> Any:
        return by_inner(n - 1)

    return [inner()] if n else []


@bundle(overwrite_python_recursion=True)
async def awaited(n: int) -> Any:
    """By await."""
    return n + await awaited(n - 1) if n else 0


@bundle()
def nested(n: Any) -> Any:
    """Through the bundle."""
    return n + nested(n - 1) if n else 0


@bundle(trainable=True)
def learnt(x: Any) -> Any:
    """Learn."""
    return x


class Agent:
    """With a method."""

    def __init__(self, name: str) -> None:
        self.name = name

    @bundle(trainable=True)
    def greet(self, other: str) -> str:
        """Greet."""
        return f"{self.name} {other}"

    @bundle(overwrite_python_recursion=True)
    def count(self, n: int) -> int:
        """Count down."""
        return 1 + self.count(n - 1) if n else 0  # type: ignore[return-value]  # plain inside


@pytest.mark.parametrize(
    ("function", "expected"),
    [(tree, [[], [[]]]), (by_lambda, [[], [[]]]), (by_inner, [[[]]])],
    ids=["comprehension", "lambda", "inner"],
)
def test_recursion_gives_plain_values_inside(function: Any, expected: Any) -> None:
    assert function(2).data == expected


def test_recursion_of_coroutines() -> None:
    made: Any = asyncio.run(awaited(3))

    assert made.data == 6


def test_recursion_of_methods() -> None:
    made = Agent("a").count(node(3))

    assert made.data == 3
    assert [parent.py_name for parent in made.parents] == ["self0", "int0"]


def test_recursion_through_the_bundle() -> None:
    assert nested(3).data == 6


def test_facts_of_a_bundle() -> None:
    info = learnt.info

    assert info["fun_name"] == info["_fun_name"] == "learnt"
    assert info["source"].startswith("def learnt(x: Any)")
    assert info["doc"] == "Learn."
    assert info["inputs"] == {"args": [], "kwargs": {}}
    assert {info["output"], info["traceback"], info["error_comment"]} == {None}
    assert repr(learnt) == "<bundle learnt>"
    assert learnt.parameters_dict() == {"parameter": learnt.parameter}
    assert tree.parameters_dict() == {}
    assert tree.parameters() == []
    assert inspect.signature(learnt) == inspect.signature(learnt.fun)
    assert tree.__code__ is tree.fun.__code__
    assert tree.__defaults__ is None
    assert tree.__kwdefaults__ is None


def test_forward_is_a_call() -> None:
    assert learnt.forward(3).data == 3


def test_what_cannot_be_bundled() -> None:
    with pytest.raises(WrongType, match="bundle decorates a function, not int"):
        FunModule(3)  # type: ignore[arg-type]  # the point
    with pytest.raises(SourceNotFound, match="can't be trainable"):
        bundle(trainable=True)(len)
    with pytest.raises(SourceNotFound, match="can't be trainable"):
        bundle(trainable=True)(eval("lambda x: x"))
    functions = [lambda x: x + 1]
    with pytest.raises(SourceNotFound, match="can't be trainable"):
        bundle(trainable=True)(functions[0])


def test_callable_objects() -> None:
    class Adder:
        """Adds."""

        def __call__(self, x: int) -> int:
            return x + 1

    adder = bundle()(Adder())

    assert adder(node(1)).data == 2
    assert adder.name == "Adder"


def test_static_methods_above_and_below() -> None:
    class Tools:
        @staticmethod
        @bundle()
        def above(x: int) -> int:
            return x + 1

        @bundle()
        @staticmethod
        def below(x: int) -> int:
            return x + 2

    assert Tools.above(1).data == Tools().above(1).data == 2
    assert Tools.below(1).data == Tools().below(1).data == 3


def test_code_is_compiled_when_it_changed_and_not_before() -> None:
    f = copy.deepcopy(learnt)
    parameter: Any = f.parameter
    assert f.fun is learnt.fun

    parameter._set("def learnt(x):\n    return x * 2")
    first = f.fun

    assert f(3).data == 6
    assert f.fun is first
    parameter._set(learnt.parameter._data)
    assert f(3).data == 3


def test_copies_have_a_parameter_of_their_own() -> None:
    twin = learnt.detach()

    assert twin is not learnt
    assert isinstance(twin.parameter, ParameterNode)
    assert twin.parameter is not learnt.parameter
    assert twin.parameter.data == learnt.parameter.data


def test_bundles_survive_pickling() -> None:
    parameter: Any = learnt.detach().parameter
    twin = pickle.loads(pickle.dumps(learnt))
    assert twin(1).data == 1
    assert twin.parameter.data == parameter.data
    assert pickle.loads(pickle.dumps(tree)) is tree

    agent = Agent("Ada")
    code: Any = agent.greet.parameter
    code._set("def greet(self, other):\n    return 'changed'")
    method = pickle.loads(pickle.dumps(agent.greet))
    assert method("x").data == "changed"
    other = pickle.loads(pickle.dumps(agent))
    assert other.greet("x").data == "changed"
    assert agent.greet("x").data == "changed"
    assert Agent("B").greet("x").data == "B x"


def test_bundles_as_arguments() -> None:
    @bundle()
    def apply(f: Any, x: Any) -> Any:
        return f(x)

    made = apply(learnt, 1)

    assert made.inputs["f"] is learnt.parameter
    assert apply(nested, 2).data == 3
    assert isinstance(apply(nested, 2).inputs["f"], Node)


def test_traceable_code_gets_nodes_and_bundles() -> None:
    seen: list[Any] = []

    @bundle(traceable_code=True)
    def inside(f: Any, x: Any) -> Any:
        seen.extend([f, x])
        return f(x) + 1

    p = node(3, name="p", trainable=True)
    made = inside(nested, p)

    assert seen[0] is nested
    assert seen[1] is not p
    assert seen[1].name.startswith("p:")
    assert isinstance(made.info["output"], Node)


def test_arguments_as_they_are() -> None:
    seen: list[Any] = []

    @bundle(_process_inputs=False)
    def raw(x: Any, y: Any) -> Any:
        seen.extend([x, y])
        return 0

    x = node(1)
    made = raw(x, 2)

    assert seen[0] is x
    assert seen[1] == 2
    assert list(made.inputs) == ["x", "y"]
