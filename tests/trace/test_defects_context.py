"""Faults of the original with threads, tasks and nesting: none may be ours."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from opto import trace
from opto.trace import GRAPH, bundle, stop_tracing
from tests.trace.helpers import node, same_nodes


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that are switched between as often as Python can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def in_threads(count: int, work: Callable[[int], object]) -> None:
    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- switching off is nobody else's business -----------------------------------------------------


@pytest.mark.covers("A07", "S5.12.1")
def test_stop_tracing_nests() -> None:
    with stop_tracing():
        with stop_tracing():
            pass
        inside = node(1) + 2
        assert GRAPH.TRACE is False

    assert inside.parents == []
    assert GRAPH.TRACE is True
    assert len((node(1) + 2).parents) == 2


@pytest.mark.covers("A07", "S5.12.1")
def test_stop_tracing_ends_with_an_exception() -> None:
    def fail() -> None:
        with stop_tracing(), stop_tracing():
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert len((node(1) + 2).parents) == 2


@pytest.mark.covers("A07", "S5.12.1")
def test_one_stop_tracing_can_be_entered_again() -> None:
    switch = stop_tracing()
    with switch:
        with switch:
            pass
        inside = node(1) + 2

    assert inside.parents == []
    assert len((node(1) + 2).parents) == 2


@pytest.mark.covers("A08")
def test_stop_tracing_stays_in_its_task() -> None:
    async def quiet(entered: asyncio.Event, leave: asyncio.Event) -> None:
        with stop_tracing():
            entered.set()
            await leave.wait()

    async def traced(entered: asyncio.Event, leave: asyncio.Event) -> Any:
        await entered.wait()
        made = node(1, trainable=True) + 1
        leave.set()
        return made

    async def both() -> Any:
        entered, leave = asyncio.Event(), asyncio.Event()
        return (await asyncio.gather(quiet(entered, leave), traced(entered, leave)))[1]

    assert len(asyncio.run(both()).parents) == 2


@pytest.mark.covers("A09")
def test_stop_tracing_stays_in_its_thread() -> None:
    x = node(1, trainable=True)
    made: list[Any] = []
    with stop_tracing():
        in_threads(1, lambda _: made.append(x + 1))

    assert same_nodes(made[0].parameter_dependencies, [x])


@pytest.mark.covers("A10", "S5.4.2")
def test_trainable_bundles_run_under_stop_tracing() -> None:
    @bundle(trainable=True)
    def more(x: int) -> int:
        return x + 1

    with stop_tracing():
        made = more(1)

    assert (made.data, made.parents, made.level) == (2, [], 0)


@pytest.mark.covers("A10")
def test_failures_under_stop_tracing_are_the_failures_there_are() -> None:
    @bundle(trainable=True)
    def more(x: int) -> int:
        return x + 1

    assert more.parameter is not None
    more.parameter._set("def more(x) return")
    with stop_tracing(), pytest.raises(trace.ExecutionError, match="SyntaxError"):
        more(1)
    with stop_tracing(), pytest.raises(trace.ExecutionError, match="Cannot unpack non-iterable"):
        iter(node(3))


# ---- what is read belongs to who reads -----------------------------------------------------------


@pytest.mark.covers("A11", "A12", "S5.6.4")
def test_reads_in_another_thread_are_not_the_running_bundle_s() -> None:
    started, finish = threading.Event(), threading.Event()

    @bundle()
    def slow(a: int) -> int:
        started.set()
        finish.wait(10)
        return a

    def elsewhere() -> None:
        started.wait(10)
        assert node(5).data == 5
        finish.set()

    other = threading.Thread(target=elsewhere)
    other.start()

    assert slow(1).data == 1
    other.join()


@pytest.mark.covers("A12", "S5.6.4", "S5.10.1")
def test_reads_in_another_task_are_not_the_running_bundle_s() -> None:
    @bundle()
    async def slow(a: int, finish: asyncio.Event) -> int:
        await finish.wait()
        return a

    async def elsewhere(finish: asyncio.Event) -> None:
        assert node(5).data == 5
        finish.set()

    async def both() -> Any:
        finish = asyncio.Event()
        call: Any = slow(1, finish)
        return (await asyncio.gather(call, elsewhere(finish)))[0]

    assert asyncio.run(both()).data == 1


@pytest.mark.covers("A13")
@pytest.mark.parametrize("pooled", [False, True])
def test_reads_in_threads_of_a_bundle_are_the_bundle_s(pooled: bool) -> None:
    unlisted = node(5, name="unlisted", trainable=True)

    def in_a_pool(job: Callable[[], Any]) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(job).result()

    def in_a_thread(job: Callable[[], Any]) -> Any:
        got: list[Any] = []
        in_threads(1, lambda _: got.append(job()))
        return got[0]

    run = in_a_pool if pooled else in_a_thread

    def add(x: int) -> Any:
        return x + run(lambda: unlisted.data)

    with pytest.raises(trace.TraceMissingInputsError, match="unlisted:0"):
        bundle()(add)(1)

    made = bundle(allow_external_dependencies=True)(add)(1)
    assert made.data == 6
    assert same_nodes(made.info["external_dependencies"], [unlisted])


@pytest.mark.covers("A13")
def test_threads_that_outlive_a_bundle_belong_to_nobody() -> None:
    late = threading.Event()
    read: list[Any] = []
    unlisted = node(5)

    def job() -> None:
        late.wait(10)
        read.append(unlisted.data)

    threads: list[threading.Thread] = []

    @bundle()
    def start(x: int) -> int:
        threads.append(threading.Thread(target=job))
        threads[0].start()
        return x

    made = start(1)
    late.set()
    threads[0].join()

    assert read == [5]
    assert made.info["external_dependencies"] == []


# ---- names and facts -----------------------------------------------------------------------------


@pytest.mark.covers("A14", "S2.11")
@pytest.mark.usefixtures("hasty_threads")
def test_names_are_unique_across_threads() -> None:
    made: list[str] = []

    def work(_: int) -> None:
        made.extend([node(0, name="n").name for _ in range(500)])

    in_threads(8, work)

    assert sorted(made) == sorted(f"n:{index}" for index in range(4000))


@pytest.mark.covers("A15", "A04")
@pytest.mark.usefixtures("hasty_threads")
def test_errors_in_threads_tell_of_their_own_call() -> None:
    wrong: list[str] = []

    @bundle()
    def fail(x: int) -> None:
        message = f"E{x}."
        raise ValueError(message)

    def work(index: int) -> None:
        for _ in range(40):
            with pytest.raises(trace.ExecutionError) as caught:
                fail(index)
            facts = caught.value.exception_node.info
            told = [str(caught.value), facts["error_comment"], facts["traceback"]]
            told.append(caught.value.exception_node.data)
            wrong.extend(text for text in told if f"E{index}." not in text)

    in_threads(8, work)

    assert wrong == []


@pytest.mark.covers("A15", "A03")
@pytest.mark.usefixtures("hasty_threads")
def test_results_in_threads_tell_of_their_own_call() -> None:
    wrong: list[Any] = []

    @bundle()
    def double(x: int) -> int:
        return 2 * x

    def work(index: int) -> None:
        for _ in range(100):
            made = double(index)
            facts = (made.data, made.info["output"], made.info["inputs"]["args"])
            if facts != (2 * index, 2 * index, [index]):
                wrong.append(facts)

    in_threads(8, work)

    assert wrong == []


@pytest.mark.covers("A03")
def test_each_result_tells_of_its_own_inputs() -> None:
    @bundle()
    def more(x: int) -> int:
        return x + 1

    first, second = more(1), more(20)

    assert first.info["inputs"]["args"] == [1]
    assert second.info["inputs"]["args"] == [20]
    assert first.info["inputs"] is not second.info["inputs"]


@pytest.mark.covers("A03")
def test_changing_the_facts_of_one_result_changes_no_other() -> None:
    @bundle()
    def more(x: int) -> int:
        return x + 1

    first = more(1)
    first.info["inputs"]["args"].append("spoilt")

    assert more(1).info["inputs"]["args"] == [1]
    assert more.info["inputs"]["args"] == []


@pytest.mark.covers("A04")
def test_an_error_leaves_nothing_in_later_results() -> None:
    @bundle()
    def part(x: int) -> float:
        return 1 / x

    with pytest.raises(trace.ExecutionError):
        part(0)
    made = part(1)

    assert not made.info["error_comment"]
    assert not made.info["traceback"]
    assert not part.info["error_comment"]


@pytest.mark.covers("A82", "S5.1.3")
def test_a_call_changes_nothing_of_the_function() -> None:
    @bundle(trainable=True)
    def same(x: Any) -> Any:
        return x

    before = same.info["fun_name"]
    made = same(1)

    assert before == same.info["fun_name"]
    assert before.endswith("same")
    assert made.name == "eval:0"
