"""How many requests may go out: limits that were set, and one that is learned from refusals.

The learned one knows nothing and holds nobody up (but for quarters of a second at the very
first calls) until a provider refuses for the first time. What was let through until then in a
second is taken to be what is allowed in any, and requests are spread over it, so that a busy
machine's delays don't make crowds of them. Later a few more are tried now and then; refusals make
those trials rarer.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from opto.errors import InvalidArgument

MINUTE = 60.0
_SECOND = 1.0
_LONGEST = 60.0
_LEAST_LATE, _MOST_LATE, _LESS_LATE = 0.01, 0.5, 0.07
_CROWDED = 0.5  # of a period's requests may go at once
_LEAST_KEPT = 0.75  # of the size; one refusal may be a delay's fault
_HELD = 30.0  # longer advice is for the one that is refused; who tries again later, may
_CALM = 2.0  # periods
_FIRST_CONTACT = (16, 0.25)  # so many in that time until there is an answer
_FIRST_TRIAL, _RAREST_TRIAL = 4.0, 64.0
_ADVISED_TRIAL = 16.0  # a refusal that comes with advice makes everybody wait


@dataclass(frozen=True)
class Rate:
    """Limits that a provider sets, or that one wants to keep.

    Attributes:
        requests_per_minute: spread over the minute, so that it also holds for each second.
        tokens_per_minute: of prompts and answers, in any minute; estimated before each request.
        in_flight: how many requests may be under way at the same time.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    in_flight: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                message = f"{name} must be more than 0; given: {value!r}. None means no limit"
                raise InvalidArgument(message)


class Spacing:
    """At most `size` starts in any `seconds`; times are given by the caller."""

    def __init__(self, size: int, seconds: float) -> None:
        self.size, self.seconds = size, seconds
        self.starts: deque[float] = deque()

    def wait(self, now: float, ahead: int = 0) -> float:
        """Seconds until one may start behind `ahead` others; 0 if it may now."""
        self.forget(now)
        # The size-th start before this one must be a period ago; each start frees one place then.
        rounds, ahead = divmod(ahead, self.size)
        at = len(self.starts) + ahead - self.size
        if at < 0:
            return rounds * self.seconds
        return max(0.0, self.starts[at] + self.seconds - now) + rounds * self.seconds

    def start(self, now: float) -> None:
        """Note a start."""
        insort(self.starts, now)

    def drop(self, start: float) -> bool:
        """Take a start back; False if it isn't known (any more)."""
        at = bisect_left(self.starts, start)
        known = at < len(self.starts) and self.starts[at] == start
        if known:
            del self.starts[at]
        return known

    def forget(self, now: float) -> None:
        """Drop the starts that count no more."""
        while self.starts and self.starts[0] <= now - self.seconds:
            self.starts.popleft()


def spaced(requests_per_minute: float) -> Spacing:
    """A spacing for so many requests a minute: by the second, or more if that allows none."""
    size = max(1, math.floor(requests_per_minute / MINUTE))
    return Spacing(size, size * MINUTE / requests_per_minute)


class Start(NamedTuple):
    """When a request was started, and when the provider is taken to have counted it, at latest."""

    at: float
    counted: float


class Learned:
    """The spacing that a provider seems to allow.

    Attributes:
        spacing: None until it refused.
        late: seconds by which requests may arrive later than those before them, as refusals show.
    """

    def __init__(self) -> None:
        self.spacing: Spacing | None = None
        self.late = 0.0
        self._period = _SECOND
        self._recent = Spacing(0, _SECOND)
        self._first: Spacing | None = Spacing(*_FIRST_CONTACT)
        self._not_before = self._due = 0.0
        self._changed = -math.inf
        self._trial, self._step, self._known = _FIRST_TRIAL, 1, 0
        self._crowd = self._alone = 0

    def wait(self, now: float, ahead: int = 0) -> float:
        """Seconds until one may start."""
        paused = max(0.0, self._not_before - now)
        if self.spacing is None:
            return paused if self._first is None else max(paused, self._first.wait(now, ahead))
        wait = self._spread(self.spacing, now, ahead)
        if wait and ahead == 0 and self._grow(self.spacing, now):
            wait = self._spread(self.spacing, now, ahead)
        return max(paused, wait)

    def start(self, now: float) -> Start:
        """Note a start."""
        starts = self.spacing or self._recent
        starts.forget(now)
        counted = now
        if self.spacing is not None:
            self._due = max(now, self._due) + self._period / self.spacing.size
            counted += self.late
            self.late *= 1 - _LESS_LATE / self.spacing.size
        starts.start(counted)
        if self._first is not None:
            self._first.start(now)
        return Start(now, counted)

    def answered(self, start: Start, now: float) -> None:
        """The provider answered what was started then.

        So it needn't be approached with care any longer; and it has let the request through by
        now, or, since refusals take no longer than that, soon after the start.
        """
        self._first, self._alone = None, 0
        spacing = self.spacing or self._recent
        if spacing.drop(start.counted):
            late = _MOST_LATE if start.counted == start.at else 0.0
            spacing.start(min(now, start.counted + late))

    def told(self, now: float, seconds: float) -> None:
        """The provider said that it will refuse all for so long."""
        if seconds <= _HELD:
            self._not_before = max(self._not_before, now + seconds)

    def refused(self, start: Start, now: float, advised: float | None) -> None:
        """The provider refused what was started then; `advised` is its ``Retry-After``."""
        started = start.at
        spacing = self.spacing
        if spacing is None:
            self._recent.forget(now)
            spacing = self.spacing = self._recent
            self._crowd = self._known = spacing.size = len(spacing.starts)
            self._trial = _FIRST_TRIAL if advised is None else _ADVISED_TRIAL
        spacing.drop(start.counted)
        self.late = min(_MOST_LATE, max(self.late, now - started))
        if started >= self._changed:
            self._learn(spacing, started, now, advised)
        elif self._crowd:  # one of those that were under way when the first was refused
            self._crowd -= 1
            spacing.size = self._known = max(1, min(spacing.size, self._crowd))

    def _learn(self, spacing: Spacing, started: float, now: float, advised: float | None) -> None:
        """Allow about as many as were let through in the period before."""
        since = started - self._period - 2 * self.late
        through = len(spacing.starts) - bisect_left(spacing.starts, since)
        self._crowd = through if math.isinf(self._changed) else 0
        tried = spacing.size > self._known
        if tried:
            self._trial = min(_RAREST_TRIAL, self._trial * 2)
        if advised is not None:
            self.told(now, advised)
        elif not through:
            self._refused_alone(now)
        calm = tried or now - self._changed > _CALM * self._period
        least = 1 if self._crowd else math.ceil(self._known * (1.0 if calm else _LEAST_KEPT))
        spacing.size = self._known = max(1, least, min(through, self._known))
        self._step, self._changed = 1, now
        self._due = max(now, self._not_before)

    def _refused_alone(self, now: float) -> None:
        """Nothing was let through for a period: twice in a row, and it is taken to be longer."""
        self._alone += 1
        if self._alone > 1:
            self._period, self._known = min(_LONGEST, self._period * 2), 1
        self._not_before = max(self._not_before, now + self._period)

    def _spread(self, spacing: Spacing, now: float, ahead: int) -> float:
        burst = now < self._changed + 2 * self._period and self._crowd > 0
        spacing.seconds = self._period + (self.late if burst else _LEAST_LATE)
        each = self._period / spacing.size
        due = self._due + each * ahead - max(each, self._period * _CROWDED)
        return max(0.0, due - now, spacing.wait(now, ahead))

    def _grow(self, spacing: Spacing, now: float) -> bool:
        """Allow more if it was fully used for long enough without a refusal."""
        if now - self._changed < self._trial * self._period:
            return False
        self._crowd = 0
        if spacing.size > self._known:  # the last trial went well
            self._trial, self._step = max(1.0, self._trial / 2), self._step * 2
        self._known = spacing.size
        if self._period > _SECOND:
            self._period = max(_SECOND, self._period / 2)
        else:
            spacing.size += self._step
        self._changed = now
        return True


class TokenWindow:
    """At most `limit` tokens in any minute."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._spent: deque[list[float]] = deque()

    def wait(self, now: float, tokens: int) -> float:
        """Seconds until `tokens` more are allowed; more than the limit may go alone."""
        while self._spent and self._spent[0][0] <= now - MINUTE:
            self._spent.popleft()
        over = sum(spent for _, spent in self._spent) + tokens - self.limit
        if over <= 0 or not self._spent:
            return 0.0
        for moment, spent in self._spent:
            over -= spent
            if over <= 0:
                return max(0.0, moment + MINUTE - now)
        return max(0.0, self._spent[-1][0] + MINUTE - now)

    def start(self, now: float, tokens: int) -> list[float]:
        """Note them; what is returned may be corrected when the true number is known."""
        entry = [now, float(tokens)]
        self._spent.append(entry)
        return entry
