"""Threads and tasks: each traces what it should and nothing else.

Most of these fail when the scope or the reads of a bundle are module globals; that was tried.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any, TypeVar

import pytest

from opto.errors import TraceMissingInputsError
from opto.trace import GRAPH, bundle, name_scope, new_scope, node, stop_tracing
from opto.trace.bundle import trace_nodes

T = TypeVar("T")
THREADS = 100


def in_threads(count: int, work: Callable[[int], T]) -> list[T]:
    """Run ``work(0)``, ``work(1)``, ... in threads that start together."""
    ready = threading.Barrier(count)
    found: dict[int, T] = {}

    def run(index: int) -> None:
        ready.wait()
        found[index] = work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[index] for index in range(count)]


class Turns:
    """Lets two parties go on by turns, so that their steps interleave always alike."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=20)

    def step(self) -> None:
        self.barrier.wait()


# ---- names ---------------------------------------------------------------------------------------


def test_names_from_a_hundred_threads_are_unique() -> None:
    def work(_: int) -> list[str]:
        x = node(1, name="x")
        return [x.name, *((x + i).name for i in range(20)), *(node(i).name for i in range(20))]

    names = [name for made in in_threads(THREADS, work) for name in made]

    assert len(set(names)) == len(names) == THREADS * 41
    assert GRAPH.count("x") == THREADS
    assert GRAPH.count("add") == THREADS * 20


def named(base: str, _: int) -> str:
    return node(0, name=base).name


def test_the_first_nodes_of_a_name_come_from_one_counter() -> None:
    for attempt in range(20):
        names = in_threads(8, partial(named, f"new{attempt}"))

        assert sorted(names) == [f"new{attempt}:{number}" for number in range(8)]


def test_a_scope_of_names_belongs_to_its_thread() -> None:
    turns = Turns()

    def other() -> list[str]:
        with new_scope(), name_scope("other"):
            turns.step()
            made = [node(1, name="x").name]
            turns.step()
            return [*made, node(1, name="x").name]

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(other)
        turns.step()
        mine = [node(1, name="x").name]
        turns.step()
        mine.append(node(1, name="x").name)

    assert mine == ["x:0", "x:1"]
    assert job.result() == ["other/x:0", "other/x:1"]


# ---- stop_tracing --------------------------------------------------------------------------------


def test_stopping_in_one_thread_leaves_another_tracing() -> None:
    turns, x = Turns(), node(1)

    def other() -> tuple[bool, bool]:
        with stop_tracing():
            turns.step()  # both are inside
            stopped = (x + 1).is_root
            turns.step()
        return stopped, (x + 1).is_root

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(other)
        turns.step()
        traced = x + 1
        with stop_tracing(), stop_tracing():
            assert (x + 1).is_root
        turns.step()

    assert traced.parents[0] is x
    assert job.result() == (True, False)


def test_tasks_that_stop_tracing_by_turns() -> None:
    x = node(1)

    async def one(stop: bool, depth: int) -> list[bool]:
        seen: list[bool] = []
        for _ in range(5):
            if not stop:
                await asyncio.sleep(0)
                seen.append((x + 1).is_root)
                continue
            with stop_tracing():
                await asyncio.sleep(0)
                seen.append((x + 1).is_root)
                for _ in range(depth):
                    with stop_tracing():
                        await asyncio.sleep(0)
                        seen.append((x + 1).is_root)
                await asyncio.sleep(0)
                seen.append((x + 1).is_root)
        return seen

    async def main() -> list[list[bool]]:
        return list(await asyncio.gather(*(one(index % 2 == 0, index) for index in range(6))))

    for index, seen in enumerate(asyncio.run(main())):
        assert set(seen) == {index % 2 == 0}
    assert GRAPH.TRACE


def test_a_task_takes_over_the_setting_where_it_was_made() -> None:
    x = node(1)

    async def work() -> bool:
        await asyncio.sleep(0)
        return (x + 1).is_root

    async def main() -> tuple[bool, bool]:
        with stop_tracing():
            stopped = asyncio.create_task(work())
        going = asyncio.create_task(work())
        return await stopped, await going

    assert asyncio.run(main()) == (True, False)


# ---- bundles -------------------------------------------------------------------------------------


@bundle()
def slow_sum(x: Any, y: Any, turns: Turns | None = None) -> Any:
    if turns is not None:
        turns.step()
        turns.step()
    return x + y


def test_calls_in_threads_keep_their_inputs_apart() -> None:
    def work(index: int) -> tuple[Any, list[str]]:
        p = node(index, trainable=True)
        out = slow_sum(p, p * 2)
        out.backward(f"say {index}")
        return out.data, [graph.user_feedback for items in p.feedback.values() for graph in items]

    for index, (value, heard) in enumerate(in_threads(50, work)):
        assert value == 3 * index
        assert heard == [f"say {index}"] * 2


def test_reads_elsewhere_are_no_reads_of_a_bundle_that_runs() -> None:
    """The other thread reads while the bundle waits; it has no part in that."""
    turns, foreign = Turns(), node(5, name="foreign")
    x = node(1)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(slow_sum, x, 2, turns)
        turns.step()
        assert foreign.data == 5
        turns.step()

    made = job.result()
    assert made.data == 3
    assert list(made.inputs) == ["x", "y", "turns"]
    assert made.info["external_dependencies"] == []


def test_reads_in_threads_of_a_bundle_are_its_reads() -> None:
    hidden = node(5, name="hidden")

    @bundle()
    def with_thread(x: int) -> int:
        thread = threading.Thread(target=lambda: hidden.data)
        thread.start()
        thread.join()
        return x

    @bundle()
    def with_pool(x: int) -> list[int]:
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(lambda: hidden.data) for _ in range(3)]
            return [job.result() + x for job in as_completed(jobs)]

    for reader in (with_thread, with_pool):
        with pytest.raises(TraceMissingInputsError, match="hidden:0"):
            reader(1)


def test_allowed_reads_in_threads_are_noted() -> None:
    p = node(5, trainable=True)

    @bundle(allow_external_dependencies=True)
    def mapped(x: int) -> int:
        with ThreadPoolExecutor(4) as pool:
            return sum(pool.map(lambda step: p.data + x + step, range(4)))

    out = mapped(1)
    out.backward("say")

    assert out.data == 4 * 6 + 6
    assert out.info["external_dependencies"] == [p]
    assert len(p.feedback) == 1


def test_a_pool_made_before_serves_many_bundles() -> None:
    """A worker that served one bundle doesn't go on reading for it."""
    a, b = node(1, name="a"), node(2, name="b")
    with ThreadPoolExecutor(1) as pool:

        @bundle(allow_external_dependencies=True)
        def use(x: str) -> int:
            wanted = a if x == "a" else b
            return int(pool.submit(lambda: wanted.data).result())

        first, second = use("a"), use("b")
        assert pool.submit(lambda: a.data).result() == 1

    assert first.info["external_dependencies"] == [a]
    assert second.info["external_dependencies"] == [b]


def test_async_bundles_that_interleave() -> None:
    outside = node(10, name="outside")

    @bundle()
    async def wait(x: Any, times: int) -> Any:
        for _ in range(times):
            await asyncio.sleep(0)
        return x * 2

    @bundle(allow_external_dependencies=True)
    async def peek(x: Any) -> Any:
        await asyncio.sleep(0)
        value = outside.data
        await asyncio.sleep(0)
        return x + value

    async def main() -> tuple[list[Any], Any]:
        parameters = [node(index, trainable=True) for index in range(20)]
        calls = [wait(p, 20 - i) if i % 2 else peek(p) for i, p in enumerate(parameters)]
        return parameters, await asyncio.gather(*calls)

    parameters, results = asyncio.run(main())

    for index, (p, made) in enumerate(zip(parameters, results, strict=True)):
        assert made.data == (index * 2 if index % 2 else index + 10)
        assert made.inputs["x"] is p
        assert made.info["external_dependencies"] == ([] if index % 2 else [outside])


def test_a_task_started_by_a_bundle_reads_for_it() -> None:
    hidden = node(5, name="hidden")

    async def read() -> int:
        await asyncio.sleep(0)
        return hidden.data

    @bundle()
    async def spawn(x: int) -> int:
        return x + await asyncio.create_task(read())

    with pytest.raises(TraceMissingInputsError, match="hidden:0"):
        asyncio.run(spawn(1))


def test_reads_seen_by_trace_nodes_stay_apart() -> None:
    nodes = [node(index) for index in range(20)]

    def work(index: int) -> list[Any]:
        with trace_nodes() as seen:
            assert nodes[index].data == index
        return list(seen)

    for index, seen in enumerate(in_threads(20, work)):
        assert len(seen) == 1
        assert seen[0] is nodes[index]


def test_children_of_one_parent_made_in_threads_are_all_there() -> None:
    p = node(1, trainable=True)

    kept = [made for part in in_threads(20, lambda i: [p + i for _ in range(100)]) for made in part]

    assert {id(child) for child in p.children} == {id(made) for made in kept}


def test_failures_in_threads_tell_of_their_own_call() -> None:
    @bundle()
    def fail(x: int) -> int:
        message = f"number {x}"
        raise ValueError(message)

    def work(index: int) -> str:
        try:
            fail(index)
        except ValueError as error:
            made: Any = error
            return str(made.exception_node.data)
        return ""

    assert in_threads(30, work) == [f"(ValueError) number {index}" for index in range(30)]


def test_a_trainable_bundle_called_in_threads_while_its_code_changes() -> None:
    @bundle(trainable=True)
    def f(x: int) -> int:
        return x

    parameter: Any = f.parameter
    versions = [f"def f(x):\n    return x + {index}" for index in range(50)]

    def work(index: int) -> int:
        if index == 0:
            for text in versions:
                parameter._set(text)
        return int(f(0).data)

    assert set(in_threads(20, work)) <= set(range(50))
    assert f(0).data == 49
