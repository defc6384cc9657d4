from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings

from opto.errors import NotPlainData, ParameterFileError
from opto.records import values
from opto.records.values import MAX_DEPTH, Reader, Writer
from tests.records.helpers import VALUES, exact


def read(text: str) -> Any:
    lines = text.split("\n")
    reader = Reader(lines, "x.txt")
    reader.at = 1
    found = reader.value(lines[0], 2)
    if reader.at != len(lines):
        raise reader.error("something is left")
    return found


def there_and_back(value: Any) -> Any:
    first, *below = Writer().lines(value)
    return read("\n".join([first, *below]))


@given(VALUES)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_plain_data_comes_back_to_the_bit(value: Any) -> None:
    assert exact(there_and_back(value)) == exact(value)


@pytest.mark.parametrize(
    "value",
    [[], (), set(), frozenset(), {}, "", b"", [[]], {(): {}}, {frozenset(): ()}, [{}, [], ""]],
    ids=repr,
)
def test_empty_things_come_back(value: object) -> None:
    assert exact(there_and_back(value)) == exact(value)


def test_dicts_keep_their_order_and_sets_have_one() -> None:
    assert list(there_and_back({"b": 1, "a": 2})) == ["b", "a"]
    assert Writer().lines({"b", "a", "c"}) == ["set", '  - "a"', '  - "b"', '  - "c"']


def test_each_item_has_a_line() -> None:
    value = {"steps": [1, (2.0, None)], 7: "a\nb", (1, 2): {"x": b"\x00\xff"}}

    assert (
        "\n".join(Writer().lines(value))
        == """dict
  "steps": list
    - 1
    - tuple
      - 2.0
      - None
  7: text
    | a
    | b
  ? tuple
    - 1
    - 2
  : dict
    "x": bytes
      00ff"""
    )


class Pair(NamedTuple):
    first: int
    second: int


class Sly(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value", [object(), Pair(1, 2), Sly("x"), OrderedDict(), bytearray(b"x"), print, range(3)]
)
def test_other_types_are_named(value: object) -> None:
    with pytest.raises(NotPlainData, match=type(value).__name__):
        Writer().lines([value])


def test_what_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(NotPlainData, match="holds itself"):
        Writer().lines(value)


def test_what_shares_parts_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MAX_ITEMS", 1_000)
    value: list[Any] = []
    for _ in range(40):
        value = [value, value]

    with pytest.raises(NotPlainData, match="1000 items"):
        Writer().lines(value)


def test_what_can_be_written_can_be_read() -> None:
    value: Any = ()
    for _ in range(MAX_DEPTH // 2):
        value = [{"x": value}]

    assert there_and_back(value) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no number"),
        ("true", "no number"),
        ("__import__('os')", "no number"),
        ("dict\n  a: 1", "no number"),
        ('dict\n  "a" 1', "no key and value"),
        ('dict\n  "a": 1\n  "a": 2', "twice"),
        ("dict\n  1: 1\n  True: 2", "twice"),
        ("dict\n  ? 1", "value of the key is missing"),
        ("dict\n  ? list\n  : 1", "unhashable"),
        ("set\n  - 1\n  - 1.0", "twice"),
        ("set\n  - list", "unhashable"),
        ("list\n - 1", "left"),
        ("list\n   - 1", "left"),
        ("text", "missing"),
        ("text\n  a", "no line of a text"),
        ("bytes\n  0", "base 16"),
        ("bytes\n  0 00", "base 16"),
        ("complex 1.0", "no number"),
        ("list\n  - " * 1_000, "no number"),
        ("1" * 1_000_000, "no number"),
    ],
)
def test_what_is_no_value_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ParameterFileError, match=rf"(?s)^x\.txt, line \d+: .*{problem}"):
        read(text)


def test_deep_nesting_is_refused() -> None:
    lines = ["list", *("  " * depth + "- list" for depth in range(1, 5_000))]

    with pytest.raises(ParameterFileError, match="nested"):
        read("\n".join(lines))


def test_numbers_of_any_size_are_read() -> None:
    assert read("0x" + "f" * 100_000) == 16**100_000 - 1
