from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union

import pytest
from hypothesis import given as property_of
from hypothesis import strategies as st

from opto.errors import ProposalError
from opto.optimizers.values import converted


class Mood(enum.Enum):
    CALM = 1
    LOUD = 2


class Least(NamedTuple):
    """As annotated-types has it."""

    ge: int


@dataclass(frozen=True)
class Inner:
    depth: int = 1
    kind: Literal["flat", "round"] = "flat"


@dataclass
class Others:
    pair: tuple[int, str] = (1, "a")
    items: Sequence[int] = ()
    kind: type[int] = int
    maybe: Sequence[str] | None = None


def test_of_other_annotations_the_present_value_decides() -> None:
    assert converted({"pair": [2, "b"]}, Others()) == Others(pair=(2, "b"))
    assert converted({"items": [1]}, Others()) == Others(items=(1,))
    assert converted({"maybe": None}, Others(maybe=["a"])) == Others()
    with pytest.raises(ProposalError, match="can't be written as text"):
        converted({"kind": "float"}, Others())


class Choice(NamedTuple):
    mode: Literal["slow", "fast"]
    pace: int = 1


@dataclass
class Known:
    mode: Literal["slow", "fast"] = "slow"
    level: Literal[1, 2, 3] = 1
    limit: Optional[int] = None  # noqa: UP045 - both spellings are met
    size: int | str = 3
    names: list[str] = field(default_factory=list[str])
    weights: dict[str, float] = field(default_factory=dict[str, float])
    pair: tuple[int, ...] = ()
    mood: Mood | None = None
    count: Annotated[int, Least(0)] = 1
    inner: Inner = Inner()
    more: list[Inner] = field(default_factory=list[Inner])
    either: Union[bool, float] = 0.5  # noqa: UP007 - both spellings are met
    anything: Any = None


@dataclass
class Settings(Known):
    unknown: "Missing" = None  # type: ignore[name-defined]  # noqa: F821, UP037 - can't be found out


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("mode", "fast", "fast"),
        ("mode", "FAST", "fast"),
        ("mode", "'fast'", "fast"),
        ("level", "2", 2),
        ("level", 3, 3),
        ("limit", "7", 7),
        ("limit", None, None),
        ("limit", "null", None),
        ("size", 4, 4),
        ("size", "4", "4"),
        ("size", "big", "big"),
        ("names", ["a", 2], ["a", "2"]),
        ("names", '["a"]', ["a"]),
        ("weights", {"a": "0.5", "b": 1}, {"a": 0.5, "b": 1.0}),
        ("pair", [1, "2"], (1, 2)),
        ("mood", "LOUD", Mood.LOUD),
        ("mood", "none", None),
        ("count", "0", 0),
        ("inner", {"depth": 4}, Inner(4)),
        ("inner", {"kind": "ROUND"}, Inner(1, "round")),
        ("more", [{"depth": 2}, {"kind": "round"}], [Inner(2), Inner(1, "round")]),
        ("either", True, True),
        ("either", 2, 2.0),
        ("anything", [1], [1]),
    ],
)
def test_a_field_takes_what_its_annotation_allows(name: str, given: Any, expected: Any) -> None:
    value = converted({name: given}, Known())
    assert value == replace(Known(), **{name: expected})
    assert type(getattr(value, name)) is type(expected)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("mode", "medium", "in the field mode: expected one of 'slow', 'fast', got 'medium'"),
        ("level", 4, "expected one of 1, 2, 3"),
        ("level", True, "expected one of 1, 2, 3"),
        ("limit", "many", "in the field limit: expected an int"),
        ("names", "a, b", "expected a list"),
        ("weights", {"a": "much"}, "expected a float"),
        ("pair", ["one"], "expected an int"),
        ("mood", "sad", "CALM, LOUD"),
        ("count", -1, "expected a value at least 0, got -1"),
        ("inner", {"kind": "square"}, "in the field kind: expected one of 'flat', 'round'"),
        ("more", [{"width": 2}], "expected one of the fields depth, kind, got 'width'"),
        ("either", "much", "a bool.*or expected a float|a float.*or expected a bool"),
    ],
)
def test_and_nothing_else(name: str, given: Any, words: str) -> None:
    with pytest.raises(ProposalError, match=words):
        converted({name: given}, Known())


def test_without_annotations_the_present_values_decide() -> None:
    assert converted({"size": "5"}, Settings()) == Settings(size=5)
    with pytest.raises(ProposalError, match="in the field size: expected an int"):
        converted({"size": "many"}, Settings())


def test_named_tuples() -> None:
    assert converted(["FAST", "4"], Choice("slow")) == Choice("fast", 4)
    assert converted({"pace": 4}, Choice("slow")) == Choice("slow", 4)
    with pytest.raises(ProposalError, match="in the field mode"):
        converted(["medium", 1], Choice("slow"))
    with pytest.raises(ProposalError, match="one of the fields mode, pace"):
        converted({"size": 1}, Choice("slow"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@property_of(st.sampled_from(sorted(Known.__dataclass_fields__)), JSON)
def test_whatever_is_given_it_is_a_value_or_a_proposal_error(name: str, given: Any) -> None:
    try:
        value = converted({name: given}, Known())
    except ProposalError:
        return
    assert isinstance(value, Known)
