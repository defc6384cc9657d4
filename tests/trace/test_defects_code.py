"""Faults of the original's trainable code: none may be ours."""

from __future__ import annotations

import builtins
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from opto.trace import bundle
from tests.trace.helpers import node, same_nodes

FACTOR = 1


# ---- trainable code ------------------------------------------------------------------------------


@pytest.mark.covers("A44")
def test_trainable_code_sees_globals_as_they_are_now(monkeypatch: pytest.MonkeyPatch) -> None:
    @bundle(trainable=True)
    def scale(x: int) -> int:
        return x * FACTOR

    assert scale.parameter is not None
    assert scale(2).data == 2
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 100)
    assert scale(2).data == 200

    scale.parameter._set("def scale(x):\n    return x * FACTOR + 1")
    assert scale(2).data == 201
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 10)
    assert scale(2).data == 21


def adding(k: int) -> Callable[[int], int]:
    """A closure made elsewhere."""

    def add(x: int) -> int:
        return x + k

    return add


@pytest.mark.covers("A45", "S5.7.3")
@pytest.mark.parametrize("changed", [False, True])
def test_trainable_closures(changed: bool) -> None:
    add = bundle(trainable=True)(adding(3))
    assert add.parameter is not None
    if changed:
        add.parameter._set(f"{add.parameter.data}  # changed")

    assert add(1).data == 4


class Base:
    """Something to inherit from."""

    def answer(self) -> int:
        return 1


class Derived(Base):
    """Uses what only code inside a class can."""

    def __init__(self) -> None:
        self.__hidden = 3

    @bundle(trainable=True, execution="inprocess")
    def answer(self) -> int:  # type: ignore[override]  # a node of int
        return super().answer() + 1

    @bundle(trainable=True)
    def hidden(self) -> int:
        return self.__hidden


@pytest.mark.covers("A45")
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize(("method", "expected"), [("answer", 2), ("hidden", 3)])
def test_trainable_methods_use_super_and_private_names(
    method: str, expected: int, changed: bool
) -> None:
    bound = getattr(Derived(), method)
    if changed:
        bound.parameter._set(f"{bound.parameter.data}  # changed")

    assert bound().data == expected


@pytest.mark.covers("A46")
def test_listing_parameters_runs_no_code() -> None:
    @bundle(trainable=True)
    def same(x: Any) -> Any:
        return x

    assert same.parameter is not None
    same.parameter._set("import os\nos.environ['SPOILT'] = '1'\ndef same(x): return x")

    assert same_nodes(same.parameters(), [same.parameter])
    assert list(same.parameters_dict()) == ["parameter"]
    assert str(same.copy().parameter) == str(same.parameter)
    assert list(inspect.signature(same).parameters) == ["x"]
    assert "SPOILT" not in os.environ

    same.parameter._set("def same(x) return")
    assert same_nodes(same.parameters(), [same.parameter])


@pytest.mark.covers("A48", "S5.7.1")
def test_signatures_of_several_lines() -> None:
    @bundle(trainable=True)
    def add(
        x: int,
        y: int,
    ) -> int:
        return x + y

    assert add.parameter is not None
    assert add(1, 2).data == 3
    hint = add.parameter._constraint
    assert hint == ("The code should start with:\ndef add(\n    x: int,\n    y: int,\n) -> int:")


@pytest.mark.covers("A101", "S5.7.1")
def test_the_signature_ends_with_the_docstring() -> None:
    @bundle(trainable=True)
    def fill(x: Any) -> str:
        """Fill in."""
        secret = 1
        template = """template"""
        return f"{template}{secret}{x}"

    assert fill.parameter is not None
    hint = fill.parameter._constraint
    assert hint is not None
    assert hint.endswith('def fill(x: Any) -> str:\n    """Fill in."""')
    assert "secret" not in hint


@pytest.mark.covers("A66")
def test_a_call_neither_inspects_nor_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    @bundle(trainable=True)
    def more(x: int) -> int:
        return x + 1

    assert more.parameter is not None
    more.parameter._set("def more(x): return x + 2")
    assert more(1).data == 3

    def forbidden(*args: object, **kwargs: object) -> Any:
        raise AssertionError(args)

    with monkeypatch.context() as patch:
        for name in ("signature", "getsource", "getsourcelines", "stack", "getfullargspec"):
            patch.setattr(inspect, name, forbidden)
        for name in ("exec", "compile"):
            patch.setattr(builtins, name, forbidden)
        made = more(1), node(1) + 1

    assert [result.data for result in made] == [3, 2]
