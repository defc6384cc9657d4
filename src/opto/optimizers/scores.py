"""Feedback as a number."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

from opto.errors import UsageError

_SCORE = re.compile(
    r"\b(?:score|reward|accuracy|loss)\b\s*(?:is|was|of|:|=)?\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)",
    re.IGNORECASE,
)
ScoreReader = Callable[[object], "float | None"]


def score_of(feedback: object) -> float | None:
    """Return the number that feedback is, or that it names as its score; None if there is none."""
    if isinstance(feedback, bool):
        return float(feedback)
    if isinstance(feedback, (int, float)):
        number = float(feedback)
    else:
        text = str(feedback).strip()
        found = _SCORE.search(text)
        try:
            number = float(found[1] if found else text)
        except ValueError:
            return None
    return number if math.isfinite(number) else None


def without_score(text: str) -> str:
    """Return a feedback without those lines that say nothing but its score."""
    lines = text.splitlines()
    return "\n".join(line for line in lines if not _is_score(line))


def _is_score(line: str) -> bool:
    if score_of(line) is None:
        return False
    rest = _SCORE.sub("", line)
    return rest == line or not re.search(r"[^\W\d_]", rest)  # as it is, it is a number


def have_scores(feedbacks: Iterable[object], read: ScoreReader = score_of) -> bool:
    """Whether each feedback of a batch has a score."""
    return all(read(feedback) is not None for feedback in feedbacks)


def mean_score(feedbacks: Iterable[object], read: ScoreReader = score_of) -> float:
    """Return the mean score of a batch; raises `UsageError` if a feedback has none."""
    scores: list[float] = []
    for feedback in feedbacks:
        score = read(feedback)
        if score is None:
            message = (
                f"numbers are chosen by a score, and the feedback {str(feedback)[:80]!r} has none; "
                "give a number, or a text with 'score: 0.7', or pass score="
            )
            raise UsageError(message)
        scores.append(score)
    return sum(scores) / len(scores)
