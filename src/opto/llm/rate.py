"""How many requests may go out: limits that were set, and one that is learned from refusals.

The learned one knows nothing and holds nobody up (but for some hundredths of a second at the very
first calls) until a provider refuses for the first time. Then
as many requests as were let through in the last second are taken to be what is allowed in any
second. Later a few more are tried now and then; refusals make those trials rarer.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass

from opto.errors import InvalidArgument

MINUTE = 60.0
_SLACK = 1.05  # requests are late by some milliseconds, so periods are taken a bit longer
_LONGEST = 60.0
_PROMPT = 0.1
_HELD = 30.0  # longer advice is for the one that is refused; who tries again later, may
_FIRST_CONTACT = (16, 0.03)  # so many in that time until there is an answer
_FIRST_TRIAL, _RAREST_TRIAL = 4.0, 64.0


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
        self._forget(now)
        # The size-th start before this one must be a period ago; each start frees one place then.
        rounds, ahead = divmod(ahead, self.size)
        at = len(self.starts) + ahead - self.size
        if at < 0:
            return rounds * self.seconds
        return max(0.0, self.starts[at] + self.seconds - now) + rounds * self.seconds

    def start(self, now: float) -> None:
        """Note a start."""
        insort(self.starts, now)

    def _forget(self, now: float) -> None:
        while self.starts and self.starts[0] <= now - self.seconds:
            self.starts.popleft()


def spaced(requests_per_minute: float) -> Spacing:
    """A spacing for so many requests a minute: by the second, or more if that allows none."""
    size = max(1, math.floor(requests_per_minute / MINUTE))
    return Spacing(size, size * MINUTE / requests_per_minute)


class Learned:
    """The spacing that a provider seems to allow.

    Attributes:
        spacing: None until it refused.
    """

    def __init__(self) -> None:
        self.spacing: Spacing | None = None
        self._recent = Spacing(0, _SLACK)
        self._first: Spacing | None = Spacing(*_FIRST_CONTACT)
        self._not_before = self._changed = 0.0
        self._trial, self._step, self._trying = _FIRST_TRIAL, 1, False

    def wait(self, now: float, ahead: int = 0) -> float:
        """Seconds until one may start."""
        paused = max(0.0, self._not_before - now)
        if self.spacing is None:
            return paused if self._first is None else max(paused, self._first.wait(now, ahead))
        wait = self.spacing.wait(now, ahead)
        if wait and ahead == 0 and self._grow(now):
            wait = self.spacing.wait(now, ahead)
        return max(paused, wait)

    def start(self, now: float) -> None:
        """Note a start."""
        starts = self.spacing or self._recent
        starts._forget(now)
        starts.start(now)
        if self._first is not None:
            self._first.start(now)

    def answered(self) -> None:
        """The provider answered a request, so it needn't be approached with care any longer."""
        self._first = None

    def refused(self, started: float, now: float, advised: float | None) -> None:
        """The provider refused what was started then; `advised` is its ``Retry-After``."""
        if advised is not None and advised <= _HELD:
            self._not_before = max(self._not_before, now + advised)
        if self.spacing is None:
            self.spacing, self._recent = self._recent, Spacing(0, _SLACK)
        starts = self.spacing.starts
        at = bisect_left(starts, started)
        if at < len(starts) and starts[at] == started:
            del starts[at]
        self.spacing._forget(started)
        if started >= self._changed:  # else it was sent before the last refusal was known
            alone = not starts and self.spacing.size == 1 and advised is None
            self._learn(started, now, alone=alone)
        self.spacing.size = max(1, len(self.spacing.starts))

    def _learn(self, started: float, now: float, *, alone: bool) -> None:
        spacing = self.spacing or self._recent
        if alone:
            spacing.seconds = min(_LONGEST, spacing.seconds * 2)
            self._not_before = max(self._not_before, now + spacing.seconds)
        if now - started > _PROMPT:  # what was sent with it may have arrived as late as it did
            self._not_before = max(self._not_before, now + spacing.seconds)
        if self._trying:
            self._trial = min(_RAREST_TRIAL, self._trial * 2)
        self._trying, self._step, self._changed = False, 1, now

    def _grow(self, now: float) -> bool:
        """Allow more if it was fully used for long enough without a refusal."""
        spacing = self.spacing
        if spacing is None or now - self._changed < self._trial * spacing.seconds:
            return False
        if self._trying:  # the last trial went well
            self._trial, self._step = max(1.0, self._trial / 2), self._step * 2
        if spacing.seconds > _SLACK:
            spacing.seconds = max(_SLACK, spacing.seconds / 2)
        else:
            spacing.size += self._step
        self._trying, self._changed = True, now
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
