from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest

from opto.trace import bundle
from opto.trace.bundle import FunModule
from tests.trace.helpers import node


class Agent:
    def __init__(self, base: int) -> None:
        self.base = base

    @bundle("[work] One.", trainable=True)
    def one(self, x: int) -> int:
        return self.base + x

    @bundle("[work] Two.")
    def two(self, x: int) -> int:
        return self.base * x

    @classmethod
    @bundle()
    def name(cls) -> str:
        return cls.__name__


class Child(Agent):
    @bundle("[work] One.", trainable=True)
    def one(self, x: int) -> int:
        return self.base - x


class Slotted:
    __slots__ = ("base",)

    def __init__(self, base: int) -> None:
        self.base = base

    @bundle(trainable=True)
    def one(self, x: int) -> int:
        return self.base + x


@dataclass(frozen=True)
class Frozen:
    base: int

    @bundle(trainable=True)
    def one(self, x: int) -> int:
        return self.base + x


@pytest.mark.parametrize("kind", [Agent, Slotted, Frozen])
def test_methods_know_their_instance(kind: Any) -> None:
    left, right = kind(1), kind(10)

    assert (left.one(1).data, right.one(1).data) == (2, 11)
    assert kind.one(left, 1).data == 2
    assert isinstance(kind.one, FunModule)
    made = left.one(node(1))
    assert list(made.inputs) == ["self", "x", "__code"]
    assert made.inputs["self"].data is left


def test_an_instance_has_one_method_and_one_node() -> None:
    agent = Agent(1)

    assert agent.one is agent.one
    assert agent.one is not Agent(1).one
    assert agent.one.parameter is not Agent.one.parameter
    assert agent.one(1).inputs["self"] is agent.two(1).inputs["self"]
    assert agent.two(3).data == 3
    assert agent.one(3).data == 4


def test_class_methods_and_children() -> None:
    assert Agent.name().data == "Agent"
    assert Child.name().data == "Child"
    assert Child(5).name().data == "Child"
    assert Child(5).one(2).data == 3
    assert Agent(5).one(2).data == 7


def test_copies_of_instances() -> None:
    agent = Agent(1)
    code: Any = agent.one.parameter
    code._set("def one(self, x):\n    return self.base + x + 100")

    shallow, deep = copy.copy(agent), copy.deepcopy(agent)
    shallow.base = deep.base = 2

    assert (agent.one(0).data, shallow.one(0).data, deep.one(0).data) == (101, 102, 102)
    assert deep.one.parameter is not code
