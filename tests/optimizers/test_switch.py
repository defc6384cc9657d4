"""One program, every optimizer, no other line changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opto.llm.base import Abilities
from opto.optimizers import OPTIMIZERS, Optimizer, OptoPrimeMulti
from opto.optimizers.optoprime_v2 import OptimizerPromptSymbolSet2, OptimizerPromptSymbolSetJSON
from opto.testing import ScriptedModel, check_optimizer
from opto.testing.optimizers import OPTIMIZER_CHECKS, OptimizerCheck
from opto.trace import ParameterNode, bundle, node
from tests.optimizers.helpful import helpful

Make = Callable[[list[ParameterNode[Any]]], Optimizer]
ASKING = [
    name
    for name in OPTIMIZERS.names()
    if name not in {"OptunaOptimizer", "HybridOptimizer", "TorchOptimizer"}
]


def maker(name: str, **settings: Any) -> Make:
    def make(parameters: list[ParameterNode[Any]]) -> Optimizer:
        llm = ScriptedModel(helpful, abilities=Abilities())
        return OPTIMIZERS.get(name)(parameters, llm=llm, **settings)

    return make


MAKERS: dict[str, Make] = {
    **{name: maker(name) for name in ASKING},
    "OptoPrime, tagged": maker("OptoPrime", form="tagged"),
    "OptoPrimeV2, JSON": maker(
        "OptoPrimeV2", optimizer_prompt_symbol_set=OptimizerPromptSymbolSetJSON()
    ),
    **{
        f"OptoPrimeMulti, {way}": maker("OptoPrimeMulti", generation_technique=way)
        for way in ("self_refinement", "iterative_alternatives", "multi_experts")
    },
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("check", OPTIMIZER_CHECKS, ids=lambda check: check.__name__)
def test_each_optimizer_conforms(name: str, check: OptimizerCheck) -> None:
    check(MAKERS[name])


@pytest.mark.parametrize("name", MAKERS)
def test_one_program_with_every_optimizer(name: str) -> None:
    @bundle(trainable=True)
    def answer(question: str, prompt: str, limit: int) -> str:
        """Answer a question."""
        return f"{prompt} {question}"[:limit]

    prompt = node("Say it.", name="prompt", trainable=True)
    limit = node(5, name="limit", trainable=True)
    optimizer = MAKERS[name]([prompt, limit, answer.parameter])

    for question in ("Who?", "Where?"):
        optimizer.backward(answer(question, prompt, limit), f"{question} is cut off")
    update = optimizer.step()

    assert update == {
        prompt: "Better words.",
        limit: 7,
        answer.parameter: answer.parameter.data,
    }
    assert answer("Who?", prompt, limit).data == "better"


def test_names_of_optimizers() -> None:
    expected = {"OPRO", "OPROv2", "OptoPrime", "OptoPrimeMulti", "OptoPrimeV2", "TextGrad"}
    assert expected <= set(OPTIMIZERS.names())
    assert OPTIMIZERS.get("OptoPrimeMulti") is OptoPrimeMulti


def test_other_tags_work_as_well() -> None:
    symbols = OptimizerPromptSymbolSet2()
    reply = symbols.example_output("because", {"number0": 5})

    def make(parameters: list[ParameterNode[Any]]) -> Optimizer:
        llm = ScriptedModel(reply, abilities=Abilities())
        kind = OPTIMIZERS.get("OptoPrimeV2")
        return kind(parameters, llm=llm, optimizer_prompt_symbol_set=symbols)

    check_optimizer(make)
