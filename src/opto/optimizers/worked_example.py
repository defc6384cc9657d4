"""The problem and the answer that show a model what is asked of it."""

from __future__ import annotations

import json

from opto.optimizers.parsing import ReplyKeys
from opto.optimizers.problem import Entry, Problem, Step

EXAMPLE = Problem(
    steps=(Step(1, "add0", "add", (("x", "a0"), ("y", "b0"))),),
    documentation={"add": "[add] This is an add operator of x and y."},
    variables={"a0": Entry(5, "a0 must not be negative", "int")},
    inputs={"b0": Entry(3, None, "int")},
    others={},
    outputs={"add0": Entry(8, None, "int")},
    feedbacks=(("add0", "The result should be 12."),),
)
REASONING = "a0 + b0 gave 8 and 12 is wanted. b0 is an input, so a0 must become 9."


def json_answer(keys: ReplyKeys) -> str:
    """Return the answer as a JSON object with these keys."""
    said: dict[str, object] = {keys.reasoning: REASONING}
    if keys.answer:
        said[keys.answer] = ""
    return json.dumps({**said, keys.suggestion: {"a0": 9}}, indent=2)


def tagged_answer() -> str:
    """Return the answer as tagged text."""
    variable = "<variable>\n<name>a0</name>\n<value>\n9\n</value>\n</variable>"
    return f"<reasoning>\n{REASONING}\n</reasoning>\n{variable}"
