from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import ExecutionError
from tests.strategies import hashables
from tests.trace.helpers import node


class Countdown:
    """An iterable that is no collection."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, 0, -1))

    def __reversed__(self) -> Iterator[int]:
        return iter(range(1, self.start + 1))


@given(st.lists(hashables, max_size=5), st.sampled_from([list, tuple]))
def test_items_know_where_they_were_taken_from(values: list[Any], kind: Any) -> None:
    x = node(kind(values))

    items = list(x)

    assert [item.data for item in items] == values
    assert all(item.inputs["x"] is x for item in items)
    assert [item.inputs["index"].data for item in items] == list(range(len(values)))
    back = list(reversed(x))
    assert [item.data for item in back] == values[::-1]


@given(st.dictionaries(hashables, hashables, max_size=4))
def test_keys_come_by_way_of_a_list(table: dict[Any, Any]) -> None:
    x = node(table)

    keys = list(x)
    pairs = list(x.items())

    assert [key.data for key in keys] == list(table)
    assert all(key.parents[0].parents[0] is x for key in keys)
    assert [(key.data, value.data) for key, value in pairs] == list(table.items())
    assert all(value.inputs["x"] is x for _, value in pairs)
    assert [key.data for key in reversed(x)] == list(table)[::-1]


def test_other_iterables() -> None:
    x = node(Countdown(3))

    assert [item.data for item in x] == [3, 2, 1]
    assert [item.data for item in reversed(x)] == [1, 2, 3]
    assert all(item.parents[0] is x for item in x)
    assert sorted(item.data for item in node({2, 1})) == [1, 2]


def test_what_is_not_iterable_says_so() -> None:
    with pytest.raises(ExecutionError) as caught:
        _, _ = node(None)

    error: Any = caught.value
    text = "(TypeError) Cannot unpack non-iterable <class 'NoneType'> object"
    assert error.exception_node.data == text
    with pytest.raises(AttributeError, match="has no attribute 'items'"):
        node([1]).items()


def test_iteration_can_be_broken_off() -> None:
    x = node([1, 2, 3])

    first, *rest = x
    for item in x:
        assert item.data == 1
        break

    assert first.data == 1
    assert len(rest) == 2
