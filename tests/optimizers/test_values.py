from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import ProposalError
from opto.optimizers.lenient import Loose
from opto.optimizers.values import converted


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Point(NamedTuple):
    x: int
    y: float


@dataclass(frozen=True)
class Settings:
    width: int = 1
    title: str = "t"

    def __post_init__(self) -> None:
        if self.width < 0:
            message = "width must not be negative"
            raise ValueError(message)


@pytest.mark.parametrize(
    ("given", "current", "expected"),
    [
        ("5", 1, 5),
        (" -7 ", 1, -7),
        (5.0, 1, 5),
        (1_0, 1, 10),
        ("3.7", 1.0, 3.7),
        (3, 1.0, 3.0),
        ("1e-3", 1.0, 0.001),
        ("False", True, False),
        ("no", True, False),
        ("YES", False, True),
        (0, True, False),
        ("text", "old", "text"),
        (" kept ", "old", " kept "),
        (5, "old", "5"),
        ("None", "old", "None"),
        ("[1, 2]", [3], [1, 2]),
        (["4"], [3], [4]),
        ([], [3], []),
        ("(1, 2)", (3, 4), (1, 2)),
        ('["a", "b"]', ["c"], ["a", "b"]),
        ([1, "a"], [2, "b"], [1, "a"]),
        ("[1, 2]", {3}, {1, 2}),
        ("{1, 2}", frozenset({3}), frozenset({1, 2})),
        ('{"a": 1}', {"a": 2}, {"a": 1}),
        ({"1": "x"}, {1: "y"}, {1: "x"}),
        ({"new": [1]}, {"a": 2}, {"new": [1]}),
        ("{'a': '3'}", {"a": 2}, {"a": 3}),
        (None, None, None),
        ("[1]", None, [1]),
        ("plain", None, "plain"),
        (4, None, 4),
        ("RED", Colour.RED, Colour.RED),
        ("Colour.BLUE", Colour.RED, Colour.BLUE),
        ("red", Colour.BLUE, Colour.RED),
        (2, Colour.RED, Colour.BLUE),
        ("Blue", Colour.RED, Colour.BLUE),
        ({"width": "4"}, Settings(), Settings(4)),
        ('{"title": "a"}', Settings(3), Settings(3, "a")),
        ([1, "2"], Point(0, 0.0), Point(1, 2.0)),
        ("1 + 2j", 1j, 1 + 2j),
        ("b'ab'", b"", b"ab"),
    ],
)
def test_what_fits(given: Any, current: Any, expected: Any) -> None:
    value = converted(given, current)
    assert value == expected
    assert type(value) is (type(expected) if current is None else type(current))


@pytest.mark.covers("C06")
@pytest.mark.parametrize(
    ("given", "current", "expected"),
    [
        ("3.7", 1, "an int"),
        ("seven", 1, "an int"),
        (True, 1, "an int"),
        (None, 1, "an int"),
        (3.7, 1, "an int"),
        ("", 1, "an int"),
        ([1], 1, "an int"),
        ("9" * 5000, 1, "an int"),
        ("x", 1.0, "a float"),
        (True, 1.0, "a float"),
        (float("nan"), 1.0, "finite"),
        ("1e999", 1.0, "finite"),
        (10**400, 1.0, "finite"),
        ("maybe", True, "a bool"),
        (2, True, "a bool"),
        (None, True, "a bool"),
        (1.0, True, "a bool"),
        (None, "old", "a str"),
        (["a"], "old", "a str"),
        (True, "old", "a str"),
        ("\ud800", "old", "half"),
        ("a, b", [1], "a list"),
        ("3", [1], "a list"),
        (["a"], [1], "in the list"),
        ({}, [1], "a list"),
        ("[1]", {"a": 1}, "a dict"),
        ({"a": "x"}, {"a": 1}, "'a'"),
        ([[1]], {1, "a"}, "hashed"),
        ("green", Colour.RED, "RED, BLUE"),
        (True, Colour.RED, "RED"),
        ({"depth": 1}, Settings(), "width, title"),
        (3, Settings(), "width, title"),
        ({"width": -1}, Settings(), "must not be negative"),
        ([1], Point(0, 0.0), "2 items"),
        ("x", object(), "can't be written"),
        ("abc", b"", "bytes"),
        ("x", 1j, "complex"),
        (Loose('a" + "b'), "old", "escaped"),
        ([Loose("x")], ["a"], "escaped"),
    ],
)
def test_c06_what_does_not_fit_is_refused_with_a_reason(
    given: Any, current: Any, expected: str
) -> None:
    with pytest.raises(ProposalError) as caught:
        converted(given, current)
    assert expected in caught.value.reason


@pytest.mark.covers("C07")
@pytest.mark.parametrize("text", ["Give a definite answer.", "default='a'", "def f(: pass"])
def test_c07_text_stays_as_it_is(text: str) -> None:
    assert converted(text, "old") == text


def test_subclasses_stay() -> None:
    value = converted('{"a": 2}', OrderedDict[str, int](a=1))
    assert type(value) is OrderedDict
    assert value == {"a": 2}


def test_arrays() -> None:
    value = converted("[[1, 2], [3, 4]]", np.zeros((2, 2)))
    assert isinstance(value, np.ndarray)
    assert value.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert type(converted("3", np.float32(1))) is np.float32
    for bad in ([1, 2, 3], [[1], [2, 3]], [["a", "b"], ["c", "d"]], "nonsense"):
        with pytest.raises(ProposalError):
            converted(bad, np.zeros((2, 2)))
    with pytest.raises(ProposalError, match="shape"):
        converted([1.5, 2.5], np.zeros(2, dtype=int))


@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    st.sampled_from(
        [1, 1.0, True, "s", [1], (1,), {"a": 1}, None, Colour.RED, Settings(), np.zeros(2)]
    ),
)
def test_the_type_stays_or_a_proposal_error(given: object, current: object) -> None:
    try:
        value = converted(given, current)
    except ProposalError:
        return
    assert current is None or type(value) is type(current)
