from __future__ import annotations

import json

from opto.optimizers.memory import Trial, as_json, trial_of
from opto.optimizers.optoprime import EXAMPLE


def test_what_is_remembered() -> None:
    assert trial_of(EXAMPLE) == Trial({"a0": "5"}, "The result should be 12.")


def test_as_json() -> None:
    trials = [Trial({"a0": "é"}, "one"), Trial({"a0": "2"}, "two")]
    first, second = as_json(trials).split("\n\n")
    assert json.loads(first) == {"variables": {"a0": "é"}, "feedback": "one"}
    assert json.loads(second)["feedback"] == "two"
    assert as_json([]) == ""
