from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.trace import bundle, stop_tracing
from opto.trace.mutation import snapshots
from tests.trace.helpers import node

CHANGES: dict[str, tuple[Any, Any]] = {
    "list grows": ([1], lambda x: x.append(2)),
    "list item": ([1, 2], lambda x: x.__setitem__(0, 9)),
    "list order": ([1, 2], lambda x: x.reverse()),
    "dict grows": ({1: 2}, lambda x: x.update({3: 4})),
    "dict item": ({1: 2}, lambda x: x.update({1: 5})),
    "dict key": ({1: 2}, lambda x: x.update({x.popitem()[0] + 1: 2})),
    "set grows": ({1}, lambda x: x.add(2)),
    "set item": ({1}, lambda x: x.add(x.pop() + 1)),
}


@pytest.mark.parametrize(("start", "change"), CHANGES.values(), ids=CHANGES)
def test_what_a_function_received_stays_on_record(start: Any, change: Any) -> None:
    x = node(start)
    before = start.copy()

    made = bundle()(change)(x)

    assert x.data is start
    assert x.data != before
    assert next(iter(made.inputs.values())).data == before
    assert any(parent is x for parent in next(iter(made.inputs.values())).parents)


@pytest.mark.parametrize("value", [[1], {1: 2}, {1}, [], (1,), "a", [0] * 20_000])
def test_what_was_not_changed_is_the_input_itself(value: Any) -> None:
    x = node(value)

    made = bundle()(itself)(x)

    assert made.inputs["value"] is x


def itself(value: Any) -> Any:
    return value


def test_nothing_is_kept_when_stopped() -> None:
    x = node([1])
    with stop_tracing():
        made = bundle()(list.append)(x, 2)

    assert made.inputs == {}
    assert x.data == [1, 2]


@given(st.lists(st.one_of(st.lists(st.integers()), st.sets(st.integers()), st.integers())))
def test_snapshots_are_copies_by_position(values: list[Any]) -> None:
    taken = dict(snapshots(values))

    assert set(taken) == {index for index, value in enumerate(values) if not isinstance(value, int)}
    assert all(taken[index] == values[index] for index in taken)
    assert all(taken[index] is not values[index] for index in taken)


async def _grow(x: list[int]) -> int:
    x.append(1)
    return len(x)


def test_coroutines_too() -> None:
    import asyncio  # noqa: PLC0415 - one test's

    x = node([0])
    made: Any = asyncio.run(bundle()(_grow)(x))

    assert made.data == 2
    assert made.inputs["x"].data == [0]
