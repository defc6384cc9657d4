"""A model that answers every question of our optimizers, and an optimizer that is ready to step."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from opto.llm.base import Abilities
from opto.optimizers import ModelOptimizer
from opto.testing import ScriptedModel
from opto.trace import ParameterNode, node

Kind = TypeVar("Kind", bound=ModelOptimizer)
PLAIN = Abilities()  # neither schema nor small
VALUES = {"int": 7, "float": 0.5, "str": "Better words.", "bool": True, "list": [1, 2]}
_TAGGED = re.compile(
    r'<(?:variable|solution) name="(\w+)" type="(\w+)">\s*<value>\s*(.*?)\n</value>', re.DOTALL
)
_LINE = re.compile(r"^\((\w+)\) (\w+)", re.MULTILINE)
_CODE = re.compile(r"(def \w+\([^()]*\)[^\n\\:]*:)", re.MULTILINE)


def helpful(messages: Sequence[Mapping[str, Any]]) -> str:
    system, *others = (str(message["content"]) for message in messages)
    user = "\n".join(others or [system])
    if "Which of them follows the feedback best?" in user:
        return "1"
    if "<IMPROVED_VARIABLE>" in system + user:
        kind = user.partition("Data type: ")[2].partition("\n")[0]
        value = better(kind, user.partition("Value:\n")[2])
        return f"<IMPROVED_VARIABLE>{value}</IMPROVED_VARIABLE>"
    if user.startswith("Operation: "):
        return "It should be larger."
    problem = user.rpartition("Now you see problem instance:")[2]
    section = problem.partition("#Variables\n")[2].partition("\n\n#")[0] or user
    found = {name: better(kind, text) for name, kind, text in _TAGGED.findall(problem)}
    found = found or {name: better(kind, section) for kind, name in _LINE.findall(section)}
    if "<name>" not in system:
        return json.dumps({"reasoning": "because", "suggestion": found})
    return "\n".join(
        f"<variable><name>{name}</name><value>{value}</value></variable>"
        for name, value in found.items()
    )


def better(kind: str, text: str) -> Any:
    if kind != "code":
        return VALUES.get(kind, "Better words.")
    head = _CODE.search(text)
    return f"{head.group(1)}\n    return 'better'" if head else ""


def ready_to_step(
    kind: type[Kind], replies: Any, *, abilities: Abilities = PLAIN, **settings: Any
) -> tuple[ParameterNode[int], Kind, ScriptedModel]:
    """A number x0, with feedback "more" on x + 1, its optimizer, and the model that it asks."""
    x = node(1, name="x", trainable=True)
    llm = ScriptedModel(replies, abilities=abilities)
    optimizer = kind([x], llm=llm, **settings)
    optimizer.backward(x + 1, "more")
    return x, optimizer, llm
