"""Methods elsewhere see their object as they would here, for reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest

from opto.errors import CannotIsolate
from opto.execution import isolated
from opto.trace import bundle, model
from tests.execution.things import Pair

pytestmark = pytest.mark.usefixtures("isolation")

UNIT = "m"


def with_unit(x: Any) -> str:
    """A helper of a method."""
    return f"{x}{UNIT}"


class Shape:
    """A base class."""

    sides = 0

    def describe(self) -> str:
        """Use another method, and what a subclass overrides."""
        return f"{self.name()} of {with_unit(self.sides)}"

    def name(self) -> str:
        """Return what it is called."""
        return "shape"

    def __secret(self) -> str:
        return "hidden"

    def open(self) -> str:
        """Use a private method."""
        return self.__secret()

    @bundle()
    def traced(self) -> str:
        """A bundle of the base class."""
        return "traced"


class Middle(Shape):
    """Between the two, with ``super()``."""

    def name(self) -> str:
        """Say more than the base class does."""
        return f"middle {super().name()}"


class Mixin:
    """Comes between in the order of the classes, though it knows neither."""

    def name(self) -> str:
        """Say more than the next in line does."""
        found: Callable[[], str] = super().name  # type: ignore[misc]  # as mixins do
        return f"mixed {found()}"


@model
class Square(Middle):
    """Has the method that is trained."""

    sides = 4

    def __init__(self) -> None:
        self.size = 3
        self.corner = Pair(1, 2)
        self.__own = "own"
        self.file = object()

    @bundle(trainable=True, execution=isolated)
    def act(self, x: Any) -> Any:
        """Something."""
        return x

    def name(self) -> str:
        """Say what it is."""
        return f"square {self.size}"

    @property
    def area(self) -> int:
        """Size times size, worked out here."""
        return self.size**2

    @staticmethod
    def plus(a: int, b: int) -> int:
        """Return the sum."""
        return a + b

    @classmethod
    def called(cls) -> str:
        """Return the name of the class."""
        return cls.__name__

    @lru_cache(maxsize=2)  # noqa: B019 - what is tested
    def cached(self) -> int:
        """Return something, decorated."""
        return 1

    def changes(self) -> None:
        """Change the object."""
        self.size = 0

    def reaches(self) -> Any:
        """Read what can't cross."""
        return self.file


@model
class Mixed(Mixin, Square):
    """A subclass that puts something in between."""


def acting(body: str, kind: Any = Square) -> Any:
    made: Any = kind()
    made.act.parameter._set(f"def act(self, x):\n    {body}")
    return made


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return self.name()", "square 3"),
        ("return super().name()", "middle shape"),
        ("return self.describe()", "square 3 of 4m"),
        ("return super().describe()", "square 3 of 4m"),
        ("return self.open()", "hidden"),
        ("return self._Shape__secret()", "hidden"),
        ("return self.__own", "own"),
        ("return self.area", 9),
        ("return self.plus(x, 1)", 6),
        ("return self.called()", "Square"),
        ("return self.corner, self.sides", (Pair(1, 2), 4)),
        ("return self.name.__name__, callable(self.describe)", ("name", True)),
        ("return 1 if x < 2 else x * self.act(x - 1)", 120),
        ("return [m() for m in (self.name, super().name)]", ["square 3", "middle shape"]),
        ("return __class__.__name__", "Square"),
        ("return hasattr(self, 'nothing'), isinstance(self, object)", (False, True)),
    ],
)
def test_methods_and_attributes(body: str, value: Any) -> None:
    assert acting(body).act(5).data == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return self.name()", "mixed square 3"),
        ("return super().name()", "middle shape"),
        ("return self.describe()", "mixed square 3 of 4m"),
        ("return type(self).__name__, self.called()", ("Mixed", "Mixed")),
        ("return self.__own", "own"),
    ],
)
def test_the_order_of_classes_is_that_of_the_object(body: str, value: Any) -> None:
    assert acting(body, Mixed).act(5).data == value


@pytest.mark.parametrize(
    ("body", "offender"),
    [
        ("return self.file", "self.file: object"),
        ("return self.reaches()", "self.file: object"),
        ("return self.cached()", "self.cached: "),
        (
            "made = super\n    return made().name()",
            "super: it can be used as super().method(...) alone",
        ),
        ("return super().traced()", "super().traced: a bundled function of a base class"),
        ("return self.traced()", "self.traced: a bundled function that the author's own code"),
    ],
)
def test_what_cannot_cross_is_named(body: str, offender: str) -> None:
    with pytest.raises(CannotIsolate) as caught:
        acting(body).act(5)
    error = caught.value.__cause__
    assert isinstance(error, CannotIsolate)
    assert [line for line in error.offenders if line.startswith(offender)]


def test_all_that_cannot_cross_is_named_at_once() -> None:
    with pytest.raises(CannotIsolate) as caught:
        acting("return self.file, self.traced(), x").act(object())
    error = caught.value.__cause__
    assert isinstance(error, CannotIsolate)
    assert [line.partition(":")[0] for line in error.offenders] == ["self.file", "self.traced", "x"]


@pytest.mark.parametrize("body", ["self.size = 1", "self.changes()", "del self.size"])
def test_the_object_cannot_be_changed(body: str) -> None:
    with pytest.raises(AttributeError, match="self is read-only here"):
        acting(body).act(1)


def test_changes_on_the_host_are_seen_at_the_next_call() -> None:
    made = acting("return self.name(), self.area")
    assert made.act(1).data == ("square 3", 9)
    made.size = 5
    assert made.act(1).data == ("square 5", 25)


def test_a_dataclass_may_have_the_method() -> None:
    @dataclass
    class Counter:
        """A dataclass."""

        start: int

        @bundle(trainable=True, execution=isolated)
        def act(self, x: int) -> int:
            """Something."""
            return x

    made: Any = Counter(10)
    made.act.parameter._set("def act(self, x):\n    return self.start + x")
    assert made.act(1).data == 11


def test_static_and_class_methods() -> None:
    class Tools:
        """No object is needed."""

        base = 5

        @bundle(trainable=True, execution=isolated)
        @staticmethod
        def plain(x: Any) -> Any:
            """Something."""
            return x

    tools: Any = Tools
    tools.plain.parameter._set("def plain(x):\n    return x * 2")
    assert tools.plain(4).data == 8
