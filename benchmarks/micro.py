"""The shape of a micro benchmark, and the timing of one sample of it."""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

Namespace = dict[str, Any]
AWAITS = 100


def drive(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never suspends, without an event loop in the figure."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()


async def many(function: Callable[[Any, Any], Any], x: object, y: object) -> None:
    """Await the function again and again."""
    for _ in range(AWAITS):
        await function(x, y)


@dataclass(frozen=True)
class Micro:
    """One statement to time.

    Attributes:
        statement: what is timed, as `timeit` takes it.
        namespace: makes the names that the statement uses; not timed.
        per: operations in one execution of the statement.
        once: every execution needs a fresh namespace (decorating a function).
    """

    statement: str
    namespace: Callable[[], Namespace]
    per: int = 1
    once: bool = False


def sample(micro: Micro, *, min_time: float, gc_on: bool, reset: Callable[[], None]) -> float:
    """CPU seconds of one operation: the median of three blocks of `min_time` each."""
    if micro.once:
        return _sample_once(micro, min_time=min_time, gc_on=gc_on, reset=reset)
    number = _enough(micro, min_time, gc_on=gc_on, reset=reset)
    blocks: list[float] = []
    for _ in range(3):
        reset()
        blocks.append(_timer(micro, gc_on=gc_on).timeit(number))
    return statistics.median(blocks) / number / micro.per


def _timer(micro: Micro, *, gc_on: bool) -> timeit.Timer:
    """A timer of CPU time; timeit itself switches the collector off, the setup on again."""
    setup = "import gc; gc.enable()" if gc_on else "pass"
    return timeit.Timer(micro.statement, setup, time.process_time, micro.namespace())


def _enough(micro: Micro, min_time: float, *, gc_on: bool, reset: Callable[[], None]) -> int:
    """The number of executions that take at least `min_time`, found on a warm statement."""
    timer = _timer(micro, gc_on=gc_on)
    number = 1
    while True:
        reset()
        spent = timer.timeit(number)
        if spent >= min_time:
            return number
        wanted = number * min_time / spent * 1.1 if spent > 0 else number * 10
        number = max(number + 1, min(int(wanted) + 1, number * 10))


def _sample_once(micro: Micro, *, min_time: float, gc_on: bool, reset: Callable[[], None]) -> float:
    """The median of single executions, each in a namespace of its own."""
    spent: list[float] = []
    while len(spent) < 3 or sum(spent) < min_time:
        reset()
        spent.append(_timer(micro, gc_on=gc_on).timeit(1))
    return statistics.median(spent) / micro.per
