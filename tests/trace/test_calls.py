from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from opto.errors import ExecutionError, TraceMissingInputsError
from opto.trace import bundle
from opto.trace.nodes import MessageNode
from tests.trace.helpers import node

hidden = node(7, name="hidden")


async def collected(steps: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in steps]


@pytest.mark.parametrize("caught", [True, False])
def test_exceptions_of_each_kind_of_function(caught: bool) -> None:
    options: Any = {"catch_execution_error": caught}

    def plain(x: int) -> int:
        raise KeyError(x)

    async def waiting(x: int) -> int:
        await asyncio.sleep(0)
        raise KeyError(x)

    def steps(x: int) -> Iterator[int]:
        yield x
        raise KeyError(x)

    async def waiting_steps(x: int) -> AsyncIterator[int]:
        yield x
        raise KeyError(x)

    runs: list[Any] = [
        lambda: bundle(**options)(plain)(1),
        lambda: asyncio.run(bundle(**options)(waiting)(1)),
        lambda: list(bundle(**options)(steps)(1).data),
        lambda: asyncio.run(collected(bundle(**options)(waiting_steps)(1))),
    ]
    for run in runs:
        with pytest.raises(KeyError) as found:
            run()
        assert isinstance(found.value, ExecutionError) is caught
        if caught:
            error: Any = found.value
            assert error.exception_node.data == "(KeyError) 1"
            assert error.exception_node.inputs["x"].data == 1


def test_reads_of_each_kind_of_function() -> None:
    def plain(x: int) -> int:
        return x + int(hidden.data)

    async def waiting(x: int) -> int:
        return x + int(hidden.data)

    def steps(x: int) -> Iterator[int]:
        yield x + int(hidden.data)

    async def waiting_steps(x: int) -> AsyncIterator[int]:
        yield x + int(hidden.data)

    makes: list[Any] = [
        lambda make: make(plain)(1),
        lambda make: asyncio.run(make(waiting)(1)),
        lambda make: list(make(steps)(1).data),
        lambda make: asyncio.run(collected(make(waiting_steps)(1))),
    ]
    for run in makes:
        with pytest.raises(TraceMissingInputsError, match="hidden:0"):
            run(bundle())
        assert run(bundle(allow_external_dependencies=True))


def test_generators_give_plain_items_and_async_ones_nodes() -> None:
    p = node(3, trainable=True)

    @bundle(traceable_code=True, allow_external_dependencies=True)
    def steps(stop: Any) -> Iterator[Any]:
        for index in range(stop):
            yield stop + index

    @bundle()
    async def waiting_steps(stop: int) -> AsyncIterator[int]:
        for index in range(stop):
            yield index

    made = steps(p)
    assert list(made.data) == [3, 4, 5]
    assert made.parents[0] is p
    found: Any = waiting_steps(p)
    items = asyncio.run(collected(found))
    assert [item.data for item in items] == [0, 1, 2]
    assert all(isinstance(item, MessageNode) and item.inputs["stop"] is p for item in items)


def test_an_error_inside_is_not_an_error_of_inputs() -> None:
    @bundle()
    def inner(x: int) -> int:
        return x + int(hidden.data)

    @bundle()
    def outer(x: int) -> int:
        return int(inner(x).data)

    with pytest.raises(TraceMissingInputsError, match=r"used in the operator .*inner"):
        outer(1)


def test_results_made_inside_may_be_read() -> None:
    @bundle()
    def work(x: int) -> int:
        made = node(x) + 1
        return int(made.data)

    with pytest.raises(TraceMissingInputsError):
        bundle()(lambda x: node(x).data + hidden.data)(1)
    assert bundle()(lambda x: (node(x) + 1).data)(1).data == 2
    assert work(1).data == 2
