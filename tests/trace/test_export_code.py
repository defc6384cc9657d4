from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from opto.errors import InvalidArgument, SourceNotFound
from opto.trace import Module, bundle, model, node
from opto.trace.export_code import class_source


class Helper:
    """A base."""


@model
class Agent(Helper):
    """An agent."""

    limit = 3
    names: ClassVar[list[str]] = ["a"]
    _hidden = 1

    def __init__(self) -> None:
        self.weight = node(1, trainable=True)
        self.words: Any = [node("é"), {"k": node(2)}]
        self.plain = 5
        self.area = math.pi * 7

    @bundle(trainable=True)
    def step(self, x: Any) -> Any:
        """Step."""
        return x + 1

    @staticmethod
    @bundle()
    def twice(x: Any) -> Any:
        return 2 * x

    @classmethod
    def name(cls) -> str:
        return cls.__name__

    @property
    def double(self) -> Any:
        return 2 * self.weight

    class Inner:
        pass

    def use(self, x: Any) -> Any:
        y = node(x, "y")
        return self.step(y)


def run(instance: Any, name: str) -> Any:
    text = class_source(instance)
    space: dict[str, Any] = {"Helper": Helper, "ClassVar": ClassVar, "Any": Any}
    exec(text, space)
    return text, space[name]


def test_a_class_without_nodes_and_bundles() -> None:
    agent: Any = Agent()
    agent.weight._set(42)
    agent.words[0]._set("ü")
    agent.step.parameter._set("def step(self, x):\n    # changed\n    return x - 1")

    text, exported = run(agent, "Agent")

    assert "node(" not in text
    assert "bundle" not in text
    assert "opto" not in text
    assert text.index("import math") < text.index("class Agent(Helper):")
    assert "self.weight = 42" in text
    assert "# changed" in text
    made = exported()
    assert made.words == ["ü", {"k": 2}]
    assert made.area == 7 * math.pi
    assert made.step(3) == made.use(3) == 2
    assert made.twice(3) == exported.twice(3) == 6
    assert made.double == 84
    assert made.name() == "Agent"
    assert exported.__doc__ == "An agent."


def test_what_has_no_literal_form() -> None:
    class Odd(Module):
        def __init__(self) -> None:
            self.thing = node(object())

    with pytest.raises(InvalidArgument, match="the value of 'thing', a object, has no literal"):
        class_source(Odd())


def test_values_whose_literal_is_another_value() -> None:
    class Odd(Module):
        def __init__(self) -> None:
            self.thing = node(float("nan"))

    with pytest.raises(InvalidArgument, match="has no literal form"):
        class_source(Odd())


def test_a_class_without_source() -> None:
    space: dict[str, Any] = {"Module": Module, "__name__": "nowhere"}
    exec("class Odd(Module):\n    pass", space)

    with pytest.raises(SourceNotFound, match="the source of class Odd can't be found"):
        class_source(space["Odd"]())


def test_a_class_with_nothing_to_say() -> None:
    class Bare(Module):
        pass

    assert class_source(Bare()).rstrip().endswith("pass")


def test_helpers_that_a_method_needs_are_exported() -> None:
    class Agent(Module):
        def forward(self, x: int) -> int:
            return self._twice(x)

        def _twice(self, x: int) -> int:
            return 2 * x

    space: dict[str, Any] = {}
    exec(class_source(Agent()), space)

    assert space["Agent"]().forward(4) == 8


@dataclass
class Settings:
    """Text that is no code of ours."""

    text: str = "node(1)"


def test_texts_that_look_like_code_stay_texts() -> None:
    class Quoter(Module):
        def __init__(self) -> None:
            self.text = node("self.text = node(1)")

        def say(self) -> str:
            return "node(2)"

    _, exported = run(Quoter(), "Quoter")

    assert exported().text == "self.text = node(1)"
    assert exported().say() == "node(2)"
