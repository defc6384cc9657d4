"""Limits on requests and tokens, with a clock of our own."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import InvalidArgument
from opto.llm.rate import Learned, Rate, Spacing, Start, TokenWindow, spaced


@given(st.integers(1, 20), st.floats(0.1, 10.0), st.lists(st.floats(0.0, 1.0), max_size=60))
def test_no_period_has_more_starts_than_allowed(
    size: int, seconds: float, pauses: list[float]
) -> None:
    spacing, now, starts = Spacing(size, seconds), 100.0, list[float]()
    for pause in pauses:
        now += pause
        now += spacing.wait(now)
        assert spacing.wait(now) == pytest.approx(0.0, abs=1e-6)
        spacing.start(now)
        starts.append(now)
    for first, later in zip(starts, starts[size:], strict=False):
        assert later - first >= seconds - 1e-6


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 30))
def test_those_ahead_are_waited_for(size: int, started: int, ahead: int) -> None:
    spacing = Spacing(size, 1.0)
    for _ in range(min(started, size)):
        spacing.start(0.0)
    expected = float((min(started, size) + ahead) // size)
    assert spacing.wait(0.0, ahead) == expected


def test_requests_a_minute_are_spread() -> None:
    assert (spaced(480).size, spaced(480).seconds) == (8, 1.0)
    assert (spaced(6).size, spaced(6).seconds) == (1, 10.0)


def test_tokens_of_any_minute() -> None:
    window = TokenWindow(100)
    window.start(0.0, 60)
    second = window.start(10.0, 40)
    assert window.wait(20.0, 1) == 40.0
    assert window.wait(20.0, 70) == 50.0
    second[1] = 5.0  # the truth, when it is known
    assert window.wait(20.0, 35) == 0.0
    assert window.wait(70.0, 500) == 0.0  # more than the limit may go alone
    window.start(70.0, 500)
    assert window.wait(71.0, 200) == 59.0


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute", "in_flight"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match=name):
        Rate(**{name: 0})


# ---- what is learned from refusals ---------------------------------------------------------------


class Sliding:
    """A server that lets eight requests through in any second."""

    def __init__(self, size: int = 8) -> None:
        self.size, self.starts = size, deque[float]()

    def __call__(self, now: float) -> bool:
        while self.starts and self.starts[0] <= now - 1.0:
            self.starts.popleft()
        allowed = len(self.starts) < self.size
        if allowed:
            self.starts.append(now)
        return allowed


class Bucket:
    """A server that gives a token each eighth of a second and keeps at most eight."""

    def __init__(self) -> None:
        self.tokens, self.last = 8.0, 0.0

    def __call__(self, now: float) -> bool:
        self.tokens = min(8.0, self.tokens + (now - self.last) * 8)
        self.last = now
        allowed = self.tokens >= 1
        self.tokens -= allowed
        return allowed


class Windows:
    """A server that counts anew each second."""

    def __init__(self) -> None:
        self.window, self.count = 0, 0

    def __call__(self, now: float) -> bool:
        if int(now) != self.window:
            self.window, self.count = int(now), 0
        self.count += 1
        return self.count <= 8


def simulate(
    server: Callable[[float], bool],
    calls: int,
    threads: int = 32,
    delays: Iterator[float] | None = None,
    advised: float | None = None,
) -> tuple[float, int]:
    """Seconds and refusals until all calls are answered; `delays` are those of the network."""
    learned, refusals, todo, now = Learned(), 0, calls, 0.0
    delays = delays or itertools.repeat(0.01)
    queue = [(0.0, thread) for thread in range(threads)]
    sent: list[tuple[float, Start, int]] = []  # arrives, started, thread
    while queue or sent:
        if sent and (not queue or sent[0][0] <= queue[0][0]):
            now, started, thread = heapq.heappop(sent)
            if server(now):
                learned.answered(started, now + 0.001)
                todo -= 1
                if todo >= threads:
                    heapq.heappush(queue, (now, thread))
            else:
                refusals += 1
                learned.refused(started, now + 0.001, advised)
                heapq.heappush(queue, (now + (advised or 0.3), thread))
            continue
        now, thread = heapq.heappop(queue)
        wait = learned.wait(now)
        if wait > 0:
            heapq.heappush(queue, (now + wait, thread))
            continue
        arrives = now + next(delays) + thread * 1e-4
        heapq.heappush(sent, (arrives, learned.start(now), thread))
    return now, refusals


@pytest.mark.parametrize("server", [Sliding, Bucket])
@pytest.mark.parametrize("calls", [32, 96, 300])
def test_a_limit_is_learned_from_few_refusals(
    server: Callable[[], Callable[[float], bool]], calls: int
) -> None:
    seconds, refusals = simulate(server(), calls)
    ideal = (calls - 8) / 8
    assert seconds < 1.3 * ideal
    assert refusals < 32 + calls // 40


@pytest.mark.parametrize("server", [Sliding, Bucket, Windows])
@pytest.mark.parametrize("advised", [None, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_delays_of_a_busy_machine_cost_little(
    server: Callable[[], Callable[[float], bool]], advised: float | None, seed: int
) -> None:
    chance = random.Random(seed)
    delays = (min(0.3, chance.expovariate(50)) for _ in itertools.count())
    seconds, refusals = simulate(server(), 96, delays=delays, advised=advised)
    assert seconds < 1.3 * (96 - 8) / 8
    assert refusals < 32


def test_a_limit_that_is_lifted_is_left_behind() -> None:
    server = Sliding()
    calls = 2000

    def raised(now: float) -> bool:
        server.size = 8 if now < 10 else 100
        return server(now)

    seconds, _ = simulate(raised, calls)
    assert seconds < 0.5 * calls / 8


def test_nobody_waits_before_the_first_refusal() -> None:
    learned = Learned()
    assert learned.wait(0.0, ahead=15) == 0.0
    assert learned.wait(0.0, ahead=16) == 0.25  # before the first answer
    learned.answered(learned.start(0.0), 0.0)
    for at in range(1000):
        assert learned.wait(at / 1e6, ahead=at) == 0.0
        learned.start(at / 1e6)


def test_advice_holds_for_all() -> None:
    learned = Learned()
    learned.refused(learned.start(5.0), 5.1, advised=30.0)
    assert learned.wait(6.0) == pytest.approx(29.1)
    learned.refused(learned.start(40.0), 40.1, advised=3600.0)
    assert learned.wait(42.0) == 0.0


def test_a_provider_that_refuses_all_is_asked_ever_less() -> None:
    learned, now, waits = Learned(), 100.0, list[float]()
    for _ in range(9):
        wait = learned.wait(now)
        waits.append(wait)
        now += wait
        learned.refused(learned.start(now), now + 0.01, None)
        now += 0.02
    assert waits[-1] > 50
