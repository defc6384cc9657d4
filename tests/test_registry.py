from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest

from opto.errors import InvalidArgument, UnknownName
from opto.registry import Registry


class Point:
    """A stand-in for an entry point."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.loads = 0

    def load(self) -> str:
        self.loads += 1
        return f"loaded {self.name}"


def test_things_are_registered_by_decorating() -> None:
    shapes: Registry[type] = Registry("shape")

    @shapes.register("round")
    class Round:
        pass

    assert shapes.get("round") is Round
    assert shapes.names() == ["round"]


def test_an_unknown_name_lists_the_known_ones() -> None:
    shapes: Registry[int] = Registry("shape")
    with pytest.raises(UnknownName, match=r"unknown shape: 'x'; known: none"):
        shapes.get("x")
    shapes.add("b", 1)
    shapes.add("a", 2)

    with pytest.raises(UnknownName, match=r"unknown shape: 'x'; known: a, b"):
        shapes.get("x")


def test_a_name_is_taken_once() -> None:
    shapes: Registry[Any] = Registry("shape")
    thing = object()
    shapes.add("a", thing)

    assert shapes.add("a", thing) is thing
    with pytest.raises(InvalidArgument, match="shape 'a' is registered already"):
        shapes.add("a", object())


def test_other_distributions_add_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    point = Point("theirs")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == "g" else [])
    shapes: Registry[str] = Registry("shape", group="g")
    shapes.add("ours", "here")

    assert shapes.names() == ["ours", "theirs"]
    assert point.loads == 0
    assert shapes.get("theirs") == shapes.get("theirs") == "loaded theirs"
    assert point.loads == 1
