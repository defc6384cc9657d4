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

Make = Callable[..., Optimizer]
NEEDS = {"OptunaOptimizer": "optuna", "HybridOptimizer": "optuna", "TorchOptimizer": "torch"}
ASKING = [name for name in OPTIMIZERS.names() if name != "OptunaOptimizer"]


@pytest.fixture(autouse=True)
def _skip_without_its_extra(request: pytest.FixtureRequest) -> None:
    for name, extra in NEEDS.items():
        if name in request.node.name:
            pytest.importorskip(extra)


def maker(name: str, **settings: Any) -> Make:
    def make(parameters: list[ParameterNode[Any]], answer: Any = helpful) -> Optimizer:
        llm = ScriptedModel(answer, abilities=Abilities())
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


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_one_program_of_numbers_and_choices_with_every_optimizer(name: str) -> None:
    @bundle()
    def cook(minutes: int, share: float, salt: bool) -> str:
        """Cook a soup."""
        return f"{minutes} minutes, {share} of water, {'with' if salt else 'without'} salt"

    llm = ScriptedModel(helpful, abilities=Abilities())
    minutes = node(3, name="minutes", trainable=True, constraint="between 0 and 10")
    share = node(0.1, name="share", trainable=True, constraint="between 0 and 1")
    salt = node(False, name="salt", trainable=True)
    optimizer = OPTIMIZERS.get(name)([minutes, share, salt], llm=llm)

    for _ in range(3):
        optimizer.zero_feedback()
        optimizer.backward(cook(minutes, share, salt), "score: 0.3, it tastes of little")
        update = optimizer.step()
        assert set(update) == {minutes, share, salt}

    assert 0 <= minutes.data <= 10
    assert 0 <= share.data <= 1
    assert [type(p.data) for p in (minutes, share, salt)] == [int, float, bool]


@pytest.mark.parametrize("name", MAKERS)
def test_what_was_refused_and_why_is_in_the_next_prompt(name: str) -> None:
    def stubborn(messages: Any) -> Any:
        """Says "many" for the number in the first step."""
        prompts.append(messages[1]["content"])
        reply = helpful(messages)
        return reply.replace("7", '"many"' if '"x0"' in reply else "many") if first else reply

    first = True
    prompts: list[str] = []
    x = node(1, name="x", trainable=True)
    optimizer = MAKERS[name]([x], stubborn)
    optimizer.backward(x + 1, "too low")

    assert optimizer.step() == {}
    assert x.data == 1
    assert "expected an int" in optimizer.refused[0].reason
    first = False
    prompts.clear()
    assert optimizer.step() == {x: 7}
    assert any("expected an int" in prompt for prompt in prompts)
    assert optimizer.refused == []


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
