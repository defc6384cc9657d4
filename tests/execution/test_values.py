"""What crosses is of the exact types that it has here, both ways, or it doesn't cross."""

from __future__ import annotations

import subprocess
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import CannotIsolate, ExecutionError, MalformedMessage, NotPlainData
from opto.execution import Policy, isolated
from opto.execution.parts import built, parts_of, shape_of
from tests.execution import things
from tests.execution.proposing import proposed
from tests.execution.things import (
    Base,
    Colour,
    Frozen,
    Level,
    Loaded,
    Made,
    Named,
    Pair,
    Point,
    Right,
    Square,
    Text,
    Wired,
)

SHARED = Point(1, 2)
SETTINGS = {"colour": Colour.BLUE, "points": [Pair(1, 2)]}


def same(x: Any) -> Any:
    """Return what it is given."""
    return x


def run(body: str, x: Any, policy: Policy = isolated) -> Any:
    """What another body returns."""
    return proposed(same, f"def same(x):\n    {body}", policy)(x).data


def alike(one: Any, other: Any) -> bool:
    """Whether two values are equal, and all their parts of equal types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return alike(list(one.items()), list(other.items()))
    if shape_of(type(one)) == "dataclass":
        return alike(vars(one), vars(other))
    return bool(one == other)


THINGS = [
    Colour.RED,
    Right.READ | Right.WRITE,
    Right.READ,
    Right(0),
    Level.HIGH,
    Pair(1, Colour.BLUE),
    Made(1),
    Point(1.5, 2, ["a"]),
    Frozen("a", Frozen("b", (Pair(1, 2),))),
    Square(3.0),
    {"deep": [Pair(left=1, right={"x": Frozen("y")})]},
    {Frozen("key"): {Colour.RED}, Colour.BLUE: frozenset([Frozen("z")])},
]


# ---- there and back ------------------------------------------------------------------------------


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize("value", THINGS, ids=repr)
def test_instances_cross_both_ways(value: Any) -> None:
    before = deepcopy(value)
    things.MADE.clear()
    back = run("return x", value)

    assert alike(back, before)
    assert not things.MADE  # putting it together ran no code of the class


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize(
    ("body", "x", "expected"),
    [
        ("return x.scaled()", Point(1, 2), Point(3, 6)),
        ("return x.swapped()", Pair(1, 2), Pair(2, 1)),
        ("return x.loud()", Colour.RED, "RED!"),
        ("return x.twice()", Square(2.0), 8.0),
        (
            "return Pair(x, 2), Colour(1), Point(x).scaled().kind",
            1,
            (Pair(1, 2), Colour.RED, "point"),
        ),
        ("return type(x)(x.side + 1)", Square(2.0), Square(3.0)),
        ("return isinstance(x, Base), type(x).__name__", Square(1), (True, "Square")),
        ("x.tags.append(1)\n    return len(x.tags)", Point(1), 1),
        ("return SHARED, SETTINGS['colour'] is Colour.BLUE", 0, (SHARED, True)),
        ("return Made(1, 2)._replace(a=x)", 5, Made(5, 2)),
        ("return {c.name: c for c in Colour}", 0, {"RED": Colour.RED, "BLUE": Colour.BLUE}),
        ("return x < Level.HIGH, x + 1", Level.LOW, (True, 2)),
    ],
)
def test_classes_go_along_with_what_they_need(body: str, x: Any, expected: Any) -> None:
    made = run(body, x)
    assert alike(made, expected) or made == expected


@pytest.mark.usefixtures("isolation")
def test_a_class_that_comes_later_is_taught_to_a_process_that_runs() -> None:
    function = proposed(same, "kept = []\ndef same(x):\n    kept.append(x)\n    return kept")

    assert function(1).data == [1]
    assert function(Frozen("a")).data == [1, Frozen("a")]
    assert function(Pair(1)).data[1:] == [Frozen("a"), Pair(1)]


@pytest.mark.usefixtures("isolation")
def test_changes_of_globals_that_hold_instances_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    function = proposed(same, "def same(x):\n    return SHARED.x, SETTINGS['points'][0].left")

    assert function(0).data == (1, 1)
    monkeypatch.setattr(SHARED, "x", 5)
    monkeypatch.setitem(SETTINGS, "points", [Pair(9)])
    assert function(0).data == (5, 9)


# ---- what doesn't --------------------------------------------------------------------------------


def surplus() -> Loaded:
    """A dataclass with an attribute that is no field."""
    made = Loaded(1)
    made.__dict__["client"] = object()
    return made


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (surplus(), "'client', which is no field"),
        (Text("a"), "Text is not plain data"),
        (Named(1), "Named is not plain data"),
        (Wired(1), "its class Wired can't go along: CLIENT"),
        (Point(object()), "object is not plain data"),  # type: ignore[arg-type]  # for the test
        (subprocess.CompletedProcess([], 0), "CompletedProcess is not plain data"),
    ],
)
def test_what_cannot_cross_is_said_and_nothing_runs(value: Any, why: str) -> None:
    with pytest.raises(CannotIsolate) as caught:
        run("return 1", value)
    assert isinstance(caught.value.__cause__, CannotIsolate)
    assert caught.value.__cause__.offenders[0].startswith("x: ")
    assert why in caught.value.__cause__.offenders[0]


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize(
    "text",
    [
        "class Own:\n    pass\ndef same(x):\n    return Own()",
        "import typing\nclass Own(typing.NamedTuple): a: int\ndef same(x): return [Own(1)]",
        "class Sly(float):\n    __gt__ = lambda *_: True\ndef same(x):\n    return Sly(1)",
        "class Pair(tuple):\n    _fields = 'left', 'right'\ndef same(x):\n    return Pair((1, 2))",
        "def same(x):\n    class Sly(type(x)):\n        pass\n    return Sly(1, 2)",
    ],
)
def test_classes_of_the_code_itself_stay_inside(text: str) -> None:
    with pytest.raises(TypeError, match="can't leave its process"):
        proposed(same, text)(Pair(1, 2))


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize(
    "parts",
    [
        "['made', 99, 1]",
        "['made', -1, 1]",
        "['made', 0]",
        "['made', 0, 1, 2, 3]",
        "['made', 'os', 1]",
        "['made', True, 1, 2]",
        "['ref', 1]",
        "['function', 1, 'eval', False]",
        "[]",
    ],
)
def test_forged_instances_are_no_messages(parts: str) -> None:
    text = (
        "import sys\n"
        "class Sly: pass\n"
        "def same(x):\n"
        "    wire = sys.modules['opto.execution.standins']\n"
        f"    wire.Customs.outward = lambda self, value: {parts}\n"
        "    return Sly()"
    )
    with pytest.raises(ExecutionError, match="no message"):
        proposed(same, text)(Pair(1, 2))


def test_forged_members_are_refused() -> None:
    for kind, part in ((Colour, "__class__"), (Colour, 1), (Right, "READ|WRITE"), (Colour, None)):
        with pytest.raises(MalformedMessage):
            built(kind, "enum", [part])


# ---- taking apart --------------------------------------------------------------------------------


@given(
    st.recursive(
        st.one_of(
            st.integers(),
            st.text(),
            st.sampled_from([*Colour, *Level, *(Right(n) for n in range(4))]),
        ),
        lambda inner: st.one_of(
            st.builds(Pair, inner, inner), st.builds(Frozen, st.text(), inner), st.lists(inner)
        ),
        max_leaves=8,
    )
)
def test_parts_make_an_equal_instance(value: Any) -> None:
    shape = shape_of(type(value))
    if shape:
        assert alike(built(type(value), shape, parts_of(value, shape)), value)


def test_fields_that_are_not_set_are_named() -> None:
    made = object.__new__(Loaded)
    with pytest.raises(NotPlainData, match="no field 'x' yet"):
        parts_of(made, "dataclass")


@pytest.mark.parametrize("kind", [int, Text, Named, dict, object, type, Base, Exception])
def test_other_classes_have_no_shape(kind: type) -> None:
    assert shape_of(kind) == ""
