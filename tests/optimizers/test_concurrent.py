from __future__ import annotations

import contextvars
import threading

import pytest

from opto.optimizers.concurrent import MOST_THREADS, Once, as_they_come, at_once

WHO = contextvars.ContextVar("WHO", default="nobody")


def test_results_come_in_order() -> None:
    assert at_once([lambda at=at: at * 2 for at in range(100)]) == [at * 2 for at in range(100)]  # type: ignore[misc]  # mypy can't infer lambdas with defaults
    assert at_once([]) == []


def test_calls_run_at_the_same_time_in_the_context_of_the_caller() -> None:
    together = threading.Barrier(4, timeout=20)
    token = WHO.set("me")

    def call() -> str:
        together.wait()
        return WHO.get()

    try:
        assert at_once([call] * 4) == ["me"] * 4
    finally:
        WHO.reset(token)


def test_after_an_error_nothing_is_begun() -> None:
    begun: list[int] = []
    failed = threading.Event()

    def call(at: int) -> None:
        begun.append(at)
        if at == 0:
            failed.set()
            message = "down"
            raise ValueError(message)
        failed.wait(20)
        threading.Event().wait(0.05)

    with pytest.raises(ValueError, match="down"):
        as_they_come(range(MOST_THREADS * 20), call, lambda *_: ())
    assert len(begun) < MOST_THREADS * 10


def test_a_call_is_made_as_soon_as_it_can_be_and_not_when_all_others_are_done() -> None:
    slow = threading.Event()

    def call(at: int) -> int:
        if at == 0:
            assert slow.wait(20), "number 2 has to run while 0 does"
        if at == 2:
            slow.set()
        return at

    done: list[int] = []

    def then(at: int, result: int) -> list[int]:
        done.append(result)
        return [2] if at == 1 else []

    as_they_come([0, 1], call, then)
    assert sorted(done) == [0, 1, 2]


def test_a_question_is_asked_once() -> None:
    asked: list[str] = []
    go = threading.Event()

    def ask(question: str) -> str:
        asked.append(question)
        go.wait(20)
        return question.upper()

    once = Once(ask)
    threads = [threading.Thread(target=once, args=("a",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert once("a") == "A"
    assert once("b") == "B"
    assert sorted(asked) == ["a", "b"]


def test_an_error_is_for_all_who_asked() -> None:
    def ask(_: str) -> str:
        message = "down"
        raise ValueError(message)

    once = Once(ask)
    for _ in range(2):
        with pytest.raises(ValueError, match="down"):
            once("a")
