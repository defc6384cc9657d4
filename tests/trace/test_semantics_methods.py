"""SEMANTICS §5.9 and §5.10: bundled methods and coroutines."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from opto import trace
from opto.trace import Module, bundle
from opto.trace.utils import for_all_methods
from tests.trace.helpers import node, same_nodes


class Agent:
    """Has bundled methods."""

    def __init__(self, value: int = 1) -> None:
        self.value = value

    @bundle("[act] Acts.")
    def act(self, x: int) -> int:
        return self.value + x

    @bundle(trainable=True)
    def learn(self, x: int) -> int:
        return self.value * x


@pytest.mark.covers("S5.9.1")
def test_methods_belong_to_instances() -> None:
    one, other = Agent(), Agent()
    cls: Any = Agent
    kept: Any = one.act

    assert one.act is kept
    assert one.act is not other.act
    assert one.act is not cls.act
    parameters: list[Any] = [one.learn.parameter, other.learn.parameter, cls.learn.parameter]
    assert len({id(parameter) for parameter in parameters}) == 3
    assert len({parameter.data for parameter in parameters}) == 1
    assert getattr(one, "__TRACE_RESERVED_bundle_act") is kept
    assert getattr(one, "__TRACE_RESERVED_self_node").data is one


@pytest.mark.covers("S5.9.1")
def test_code_of_one_instance_is_its_own() -> None:
    one, other = Agent(2), Agent(3)

    assert one.learn.parameter is not None
    one.learn.parameter._set("def learn(self, x): return 100")

    assert (one.learn(1).data, other.learn(1).data, Agent(4).learn(1).data) == (100, 3, 4)


@pytest.mark.covers("S5.9.2", "S5.4.4")
def test_the_instance_is_an_input() -> None:
    agent = Agent()
    first, second = agent.act(2), agent.learn(2)

    assert (first.data, second.data) == (3, 2)
    assert list(first.inputs) == ["self", "x"]
    assert list(second.inputs) == ["self", "x", "__code"]
    assert first.inputs["self"] is second.inputs["self"]
    assert first.inputs["self"].data is agent
    assert first.inputs["self"].name.startswith("self:")


@pytest.mark.covers("S5.9.3")
def test_access_through_the_class() -> None:
    cls: Any = Agent

    assert cls.act is vars(Agent)["act"]
    assert cls.act(Agent(4), 1).data == 5


@pytest.mark.covers("S5.9.4")
def test_static_and_class_methods() -> None:
    class Tools:
        @staticmethod
        @bundle()
        def double(x: int) -> int:
            return 2 * x

        @classmethod
        @bundle()
        def made(cls, x: int) -> str:
            return f"{cls.__name__}{x}"

    assert Tools.double(2).data == Tools().double(2).data == 4
    assert Tools.made(2).data == Tools().made(2).data == "Tools2"


@pytest.mark.covers("S5.9.4", "S16.1")
def test_decorating_all_methods() -> None:
    @for_all_methods(bundle())
    class Tools:
        def __init__(self) -> None:
            self.value = 2

        def double(self) -> int:
            return 2 * self.value

    made: Any = Tools().double()

    assert made.data == 4
    assert isinstance(made, trace.Node)


@pytest.mark.covers("S5.9.5")
def test_trainable_methods_are_parameters() -> None:
    class Learner(Module):
        @bundle(trainable=True)
        def act(self) -> int:
            return 1

        @bundle()
        def rest(self) -> int:
            return 2

    learner = Learner()

    assert same_nodes(learner.parameters(), [learner.act.parameter])
    assert learner.act.parameter is not None
    assert "def act(self)" in learner.act.parameter.data


@pytest.mark.covers("S5.9.6", "S22.1")
def test_partials() -> None:
    def add(x: int, y: int) -> int:
        return x + y

    class Learner(Module):
        def __init__(self) -> None:
            self.plain = functools.partial(add, 1)
            self.bundled = functools.partial(bundle()(add), 1)

    learner = Learner()

    assert learner.parameters() == []
    assert (learner.plain(2), learner.bundled(2).data) == (3, 3)
    assert learner.copy().bundled(2).data == 3


@pytest.mark.covers("S5.9.6", "S22.1")
def test_a_partial_of_trainable_code_is_refused() -> None:
    """Its parameter must not vanish."""

    @bundle(trainable=True)
    def learn(x: int, y: int) -> int:
        return x + y

    class Learner(Module):
        def __init__(self) -> None:
            self.partial = functools.partial(learn, 1)

    with pytest.raises(ValueError, match=r"partial"):
        Learner().parameters()


# ---- coroutines ----------------------------------------------------------------------------------


@pytest.mark.covers("S5.10.1")
def test_coroutines() -> None:
    other = node(5, name="other")

    @bundle()
    async def ask(x: int, wait: float = 0) -> int:
        await asyncio.sleep(wait)
        return x + 1

    @bundle()
    async def reading(x: int) -> Any:
        await asyncio.sleep(0)
        return x + other.data

    @bundle()
    async def failing(x: int) -> float:
        await asyncio.sleep(0)
        return x / 0

    async def many() -> Any:
        calls: list[Any] = [ask(node(index, name="n")) for index in range(10)]
        return await asyncio.gather(*calls)

    async def one(call: Any) -> Any:
        return await call

    made = asyncio.run(many())
    assert [result.data for result in made] == list(range(1, 11))
    assert [result.inputs["x"].data for result in made] == list(range(10))
    assert all(len(result.parents) == 2 for result in made)
    with pytest.raises(trace.TraceMissingInputsError, match="other:0"):
        asyncio.run(one(reading(1)))
    with pytest.raises(ZeroDivisionError) as caught:
        asyncio.run(one(failing(1)))
    assert isinstance(caught.value, trace.ExecutionError)


@pytest.mark.covers("S5.10.1")
def test_bundled_methods_may_be_coroutines() -> None:
    class Asking:
        @bundle()
        async def ask(self, x: int) -> int:
            await asyncio.sleep(0)
            return x + 1

    async def one(asking: Asking) -> Any:
        call: Any = asking.ask(1)
        return await call

    made = asyncio.run(one(Asking()))

    assert (made.data, list(made.inputs)) == (2, ["self", "x"])
