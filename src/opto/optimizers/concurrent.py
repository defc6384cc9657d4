"""Calls that don't need one another, at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")

MOST_THREADS = 32


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run calls at the same time; the results come in order.

    The first error is raised; calls that were not begun by then are not made.
    """
    if len(calls) < 2:
        return [call() for call in calls]
    found: dict[int, T] = {}

    def keep(at: int, result: T) -> Iterable[int]:
        found[at] = result
        return ()

    as_they_come(range(len(calls)), lambda at: calls[at](), keep)
    return [found[at] for at in range(len(calls))]


def as_they_come(
    first: Iterable[int], call: Callable[[int], T], then: Callable[[int, T], Iterable[int]]
) -> None:
    """Run calls as soon as they can be made.

    Args:
        first: the numbers of the calls to begin with.
        call: makes the call of a number, in a thread of its own with a copy of the context.
        then: takes number and result, one at a time, and returns the calls that can be made now.
    """
    running: dict[Future[T], int] = {}
    with ThreadPoolExecutor(MOST_THREADS) as pool:
        try:
            waiting = list(first)
            while waiting or running:
                running.update((pool.submit(copy_context().run, call, at), at) for at in waiting)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                waiting = []
                for task in sorted(done, key=running.__getitem__):
                    waiting += then(running.pop(task), task.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Once(Generic[K, T]):
    """Asks each question once; who asks it meanwhile, or later, gets the same answer."""

    def __init__(self, ask: Callable[[K], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answers: dict[K, Future[T]] = {}

    def __call__(self, question: K) -> T:
        """Return the answer; an error is raised for all who asked."""
        with self._lock:
            known = self._answers.get(question)
            answer = self._answers.setdefault(question, Future())
        if known is None:
            try:
                answer.set_result(self._ask(question))
            except BaseException as error:
                answer.set_exception(error)
                raise
        return answer.result()
