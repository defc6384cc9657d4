"""What was tried before and what was said about it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from opto.optimizers.problem import Problem
from opto.optimizers.shortening import text_of


class Trial(NamedTuple):
    """Values of the variables, as text, and the feedback on the run that used them."""

    variables: dict[str, str]
    feedback: str


def trial_of(problem: Problem) -> Trial:
    """Return what is worth remembering of a problem."""
    values = {name: text_of(entry.data) for name, entry in problem.variables.items()}
    return Trial(values, problem.user_feedback)


def as_json(trials: Iterable[Trial]) -> str:
    """Write trials, the oldest first, one JSON object each."""
    return "\n\n".join(
        json.dumps(trial._asdict(), ensure_ascii=False, indent=1) for trial in trials
    )
