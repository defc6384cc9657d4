"""Which policy runs code is chosen by function, class, block, environment, in that order."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from opto.execution import Limits, Policy, execution, isolated, portable
from opto.trace import bundle, model
from opto.trace.code import LOADERS, Loaded, Surroundings, load_in_process
from opto.trace.origin import Origin

PROPOSED = "def f(self, x):\n    return x + 1"


class Noted:
    """A policy that notes that it was asked."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    def __call__(
        self, text: str, surroundings: Surroundings, filename: str, origin: Origin
    ) -> Loaded:
        """Run it here."""
        self.notes.append(self.name)
        return load_in_process(text, surroundings, filename, origin)


LEVELS = ("function", "class", "block", "environment")


def chosen(levels: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which of the levels at which a policy was given had its way."""
    notes: list[str] = []
    ways = {level: Noted(level, notes) for level in LEVELS}
    given: dict[str, Any] = {level: ways[level] for level in levels}
    monkeypatch.setitem(LOADERS._known, "noted", ways["environment"])
    monkeypatch.setitem(LOADERS._known, "isolated", Noted("default", notes))
    if "environment" in levels:
        monkeypatch.setenv("OPTO_EXECUTION", "noted")
    else:
        monkeypatch.delenv("OPTO_EXECUTION", raising=False)

    @model(execution=given.get("class"))
    class Agent:
        """Has a method."""

        @bundle(trainable=True, execution=given.get("function"))
        def f(self, x: Any) -> Any:
            """Something."""
            return x

    agent: Any = Agent()
    agent.f.parameter._set(PROPOSED)
    if "block" in levels:
        with execution(given["block"]):
            assert agent.f(1).data == 2
    else:
        assert agent.f(1).data == 2
    return notes


@pytest.mark.parametrize(
    "levels", [levels for count in range(5) for levels in combinations(LEVELS, count)], ids=str
)
def test_the_first_that_says_something_decides(
    levels: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen(levels, monkeypatch) == [levels[0] if levels else "default"]


def test_subclasses_and_instances_have_the_policy_of_their_class() -> None:
    notes: list[str] = []

    @model(execution=Noted("base", notes))
    class Base:
        """Has a method."""

        @bundle(trainable=True)
        def f(self, x: Any) -> Any:
            """Something."""
            return x

    @model
    class Same(Base):
        """Says nothing."""

    @model(execution=Noted("sub", notes))
    class Other(Base):
        """Says something else."""

    for kind in (Base, Same, Other):
        agent: Any = kind()
        agent.f.parameter._set(PROPOSED)
        assert agent.f(1).data == 2
    assert notes == ["base", "base", "sub"]


def test_a_block_holds_for_its_thread_alone() -> None:
    notes: list[str] = []
    seen: list[Any] = []

    @bundle(trainable=True)
    def f(x: Any) -> Any:
        """Something."""
        return x

    def elsewhere() -> None:
        with execution(Noted("thread", notes)):
            seen.append(f(1).data)

    assert f.parameter is not None
    f.parameter._set("def f(x):\n    return x + 1")
    with execution(Noted("main", notes)):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert f(1).data == 2
    assert notes == ["thread", "main"]
    assert seen == [2]


def test_a_block_ends_with_an_error_too() -> None:
    notes: list[str] = []
    with pytest.raises(KeyError), execution(Noted("inner", notes)):
        raise KeyError
    with execution(Noted("outer", notes)):
        test = bundle(trainable=True)(lambda_free())
        assert test.parameter is not None
        test.parameter._set("def f(x):\n    return x + 1")
        assert test(1).data == 2
    assert notes == ["outer"]


def lambda_free() -> Any:
    def f(x: Any) -> Any:
        """Something."""
        return x

    return f


@pytest.mark.parametrize("policy", [isolated, portable, Policy("inprocess"), Policy()])
def test_policies_are_values_that_can_be_printed(policy: Policy) -> None:
    assert repr(policy.name) in repr(policy)
    assert "seconds=10.0" in repr(policy)
    assert replace(policy) == policy
    assert hash(replace(policy)) == hash(policy)
    assert replace(policy, limits=Limits(seconds=1)) != policy
    assert (
        eval(repr(policy), {"Policy": Policy, "Limits": Limits, "frozenset": frozenset}) == policy
    )
