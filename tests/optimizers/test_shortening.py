from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.optimizers.shortening import shortened, text_of


class Rude:
    def __str__(self) -> str:
        raise RuntimeError


PLAIN = st.recursive(
    st.none() | st.integers() | st.text() | st.booleans(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
)


@given(PLAIN)
def test_what_is_short_is_written_as_python_does(value: object) -> None:
    assert text_of(value) == str(value)
    assert text_of(value, 10**6) == str(value)


@given(PLAIN, st.integers(0, 50))
def test_nothing_is_much_longer_than_the_limit(value: object, limit: int) -> None:
    assert len(text_of(value, limit)) <= limit + 45


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a" * 3000, "a" * 15 + " ...(3000 characters in all)... " + "a" * 5),
        (list(range(10**6)), "[0, 1, 2, 3, 4, 5, 6 ...(1000000 items in all)"),
        ({i: i for i in range(100)}, "{0: 0, 1: 1, 2: 2, 3 ...(100 items in all)"),
        ({1}, "{1}"),
        (frozenset({1}), "frozenset({1})"),
        (set[int](), "set()"),
        ((1,), "(1,)"),
        (Rude(), "<Rude; its text ...(43 characters in all)... rror>"),
        (["x" * 100], "['xxxxxxxxxxxxxxxxxx ...(1 items in all)"),
    ],
)
def test_long_values_say_their_size(value: Any, text: str) -> None:
    assert text_of(value, 20) == text


def test_deep_values() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    assert len(text_of(deep, 100)) < 250


def test_shortened_keeps_both_ends() -> None:
    assert shortened("abcdefghij" * 10, 20).startswith("abcdefghijabcde ")
    assert shortened("short", 20) == "short"
