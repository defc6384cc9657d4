from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from opto.errors import InvalidArgument, ServerError
from opto.llm.base import Abilities
from opto.optimizers import OptoPrimeMulti
from opto.optimizers.optoprimemulti import _shares, majority
from opto.testing import Fault, ModelServer, Request, ScriptedModel, completion_json
from opto.trace import ParameterNode, node
from opto.utils.llm import LLMFactory
from tests.optimizers.helpful import PLAIN, ready_to_step

GENERATION = (
    "temperature_variation",
    "self_refinement",
    "iterative_alternatives",
    "multi_experts",
    "multi_llm",
)
SELECTION = ("moa", "mixture_of_agents", "bestofn", "best_of_n", "majority", "last")


def says(value: int) -> str:
    return json.dumps({"reasoning": "because", "answer": "", "suggestion": {"x0": value}})


def ready(
    replies: Any, **settings: Any
) -> tuple[ParameterNode[int], OptoPrimeMulti, ScriptedModel]:
    return ready_to_step(OptoPrimeMulti, replies, **settings)


def test_answers_at_several_temperatures_and_the_best_of_them() -> None:
    def answer(messages: Sequence[Mapping[str, Any]]) -> str:
        return "2" if "Which of them" in messages[1]["content"] else says(next(values))

    values = iter((5, 6, 7))
    _x, optimizer, llm = ready(answer, num_responses=3)
    (chosen,) = optimizer.step().values()
    assert json.loads(optimizer.candidates[1])["suggestion"] == {"x0": chosen}
    degrees = sorted(call.options["temperature"] for call in llm.calls[:3])
    assert degrees == [0.0, 0.5, 1.0]
    assert len(llm.calls) == 4
    assert "Answer 3:\n" in llm.calls[3].prompt
    assert optimizer.selected_candidate == optimizer.candidates[1]
    assert {entry["generation_technique"] for entry in optimizer.log or []} == {
        "temperature_variation"
    }


@pytest.mark.parametrize("technique", ["best_of_n", "moa"])
def test_nobody_is_asked_to_choose_among_the_same(technique: str) -> None:
    replies = [says(5), f"{says(5)}\n", says(5)]
    x, optimizer, llm = ready(replies, num_responses=3, selection_technique=technique)
    assert optimizer.step() == {x: 5}
    assert len(llm.calls) == len(optimizer.candidates) == 3


def test_the_choice_is_among_different_answers_that_can_be_used() -> None:
    replies = [says(5), "no", says(6), says(5), "2"]
    x, optimizer, llm = ready(
        replies, num_responses=4, generation_technique="iterative_alternatives"
    )
    assert optimizer.step() == {x: 6}
    assert len(optimizer.candidates) == 4
    assert "Answer 2:\n" in llm.calls[4].prompt
    assert "Answer 3:\n" not in llm.calls[4].prompt


def test_one_answer_that_can_be_used_is_used() -> None:
    x, optimizer, llm = ready(["no", says(6)], num_responses=2)
    assert optimizer.step() == {x: 6}
    assert len(llm.calls) == 2


def test_if_no_answer_can_be_used_one_of_them_is_refused() -> None:
    x, optimizer, _ = ready(["no", "neither"], num_responses=2, selection_technique="last")
    assert optimizer.step() == {}
    assert x.data == 1
    assert len(optimizer.refused) == 1


def test_small_models_see_worked_examples_for_each_answer_but_not_for_the_choice() -> None:
    prompt = node("Answer.", name="prompt", trainable=True)
    replies = [json.dumps({"prompt0": f"Answer in {n} words."}) for n in (1, 2, 3)]
    llm = ScriptedModel([*replies, "3"], abilities=Abilities(json_schema=True, size="small"))
    optimizer = OptoPrimeMulti([prompt], llm=llm)
    optimizer.backward(prompt + "!", "The prompt must ask for one word.")
    assert set(optimizer.step()) == {prompt}
    turns = [[message["role"] for message in call.messages] for call in llm.calls]
    assert turns[0] == turns[1] == turns[2]
    assert len(turns[0]) > 2
    assert turns[3] == ["system", "user"]


def test_the_text_of_the_choice_may_be_the_answer_itself() -> None:
    x, optimizer, _ = ready([says(2), says(3), says(4)], num_responses=2)
    assert optimizer.step() == {x: 4}


@pytest.mark.parametrize("name", ["temperature_min_max", "temperature_range"])
def test_temperatures_are_given_under_either_name(name: str) -> None:
    _, optimizer, llm = ready(
        says(2), num_responses=2, selection_technique="last", **{name: [0.3, 1.3]}
    )
    optimizer.step()
    assert sorted(call.options["temperature"] for call in llm.calls) == [0.3, 1.3]


def test_refinement_shows_the_answer_before() -> None:
    x, optimizer, llm = ready(
        [says(2), says(3), says(4)],
        generation_technique="self_refinement",
        selection_technique="last",
    )
    assert optimizer.step() == {x: 4}
    assert says(3) in llm.calls[2].prompt
    assert says(2) not in llm.calls[2].prompt


def test_alternatives_show_all_answers_before() -> None:
    _, optimizer, llm = ready(
        [says(2), says(3), says(4)],
        generation_technique="iterative_alternatives",
        selection_technique="last",
    )
    optimizer.step()
    assert says(2) in llm.calls[2].prompt
    assert says(3) in llm.calls[2].prompt


def test_experts_are_asked_one_each() -> None:
    _, optimizer, llm = ready(
        says(2),
        generation_technique="multi_experts",
        experts_list=["a poet", "a cook"],
        selection_technique="majority",
    )
    optimizer.step()
    told = sorted(call.messages[0]["content"].split(".")[0] for call in llm.calls)
    assert told == ["You are this expert: " + who for who in ("a cook", "a poet", "a poet")]


def test_several_models() -> None:
    models = [ScriptedModel(says(7), abilities=PLAIN), ScriptedModel(says(8), abilities=PLAIN)]
    x, optimizer, own = ready(
        [],
        generation_technique="multi_llm",
        llm_profiles=models,
        llm_weights=[1, 2],
        selection_technique="majority",
    )
    assert optimizer.step() == {x: 8}
    assert [len(model.calls) for model in models] == [1, 2]
    assert own.calls == []
    assert "llm_profiles" in (optimizer.log or [{}])[0]


def test_models_by_their_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: Request) -> Fault:
        return Fault(body=completion_json(says(7 if request.body["model"] == "big" else 8)))

    with ModelServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPTO_PROFILE_LARGE", "openai/big")
        monkeypatch.setattr(LLMFactory, "_registered", {})
        LLMFactory.register_profile("small-one", backend="openai", model="small")
        x, optimizer, own = ready(
            [],
            num_responses=3,
            generation_technique="multi_llm",
            llm_profiles=["large", LLMFactory.get_llm("small-one")],
            llm_weights=[1, 2],
            selection_technique="majority",
        )
        assert optimizer.step() == {x: 8}
        asked = sorted(request.body["model"] for request in server.requests)
    assert asked == ["big", "small", "small"]
    assert own.calls == []


def test_a_profile_that_is_not_there_is_an_answer_that_is_missing() -> None:
    x, optimizer, _ = ready(
        [],
        num_responses=2,
        generation_technique="multi_llm",
        llm_profiles=["nowhere", ScriptedModel(says(7), abilities=PLAIN)],
    )
    assert optimizer.step() == {x: 7}
    (failure,) = optimizer.failures
    assert "unknown profile: 'nowhere'; known: cheap, default" in str(failure)


@pytest.mark.parametrize("generation", GENERATION)
@pytest.mark.parametrize("selection", SELECTION)
def test_every_generation_goes_with_every_selection(generation: str, selection: str) -> None:
    def answer(messages: Sequence[Mapping[str, Any]]) -> str:
        return "1" if "Which of them" in messages[1]["content"] else says(5)

    llm = ScriptedModel(answer, abilities=PLAIN)
    x, optimizer, _ = ready(
        answer,
        num_responses=2,
        generation_technique=generation,
        selection_technique=selection,
        llm_profiles=[llm],
    )
    assert optimizer.step() == {x: 5}
    assert len(optimizer.candidates) == 2
    assert optimizer.selected_candidate in {says(5), "1"}
    assert {entry["generation_technique"] for entry in optimizer.log or []} == {generation}


def test_what_was_refused_is_told_to_every_candidate() -> None:
    x, optimizer, llm = ready(["no", says(3)], num_responses=1)
    assert optimizer.step() == {}
    assert optimizer.step() == {x: 3}
    assert "the reply has no JSON" in llm.calls[1].prompt


def test_answers_together_are_mixed() -> None:
    x, optimizer, llm = ready(
        [says(2), says(3), says(9)], num_responses=2, selection_technique="moa"
    )
    assert optimizer.step() == {x: 9}
    assert "Combine what is right" in llm.calls[2].prompt


def test_an_own_selector() -> None:
    x, optimizer, _ = ready([says(2), says(3)], num_responses=2, selector=max)
    assert optimizer.step() == {x: 3}


def test_answers_that_do_not_depend_on_each_other_are_asked_for_at_once() -> None:
    together = threading.Barrier(3, timeout=20)

    def answer(messages: Sequence[Mapping[str, Any]]) -> str:
        together.wait()
        return says(2)

    x, optimizer, _ = ready(answer, num_responses=3, selection_technique="majority")
    assert optimizer.step() == {x: 2}


@pytest.mark.covers("C19")
@pytest.mark.parametrize("settings", [{}, {"temperature_min_max": [0.0, 1.0]}])
@pytest.mark.parametrize("technique", ["temperature_variation", "self_refinement"])
def test_errors_of_the_model_are_not_swallowed(settings: dict[str, Any], technique: str) -> None:
    x = node(1, name="x", trainable=True)

    def down(**_: Any) -> Any:
        message = "LLM down"
        raise ValueError(message)

    optimizer = OptoPrimeMulti([x], llm=down, generation_technique=technique, **settings)
    optimizer.backward(x + 1, "fb")
    with pytest.raises(ValueError, match="LLM down"):
        optimizer.step()


def test_a_missing_answer_is_kept_as_a_failure_and_the_others_are_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    x, optimizer, _ = ready(
        [ServerError("down"), says(2)], num_responses=2, selection_technique="majority"
    )
    assert optimizer.step() == {x: 2}
    assert isinstance(optimizer.failures[0], ServerError)
    assert "an answer is missing: ServerError: down" in caplog.text


def test_unknown_techniques_count_as_the_default_and_the_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    x, optimizer, llm = ready(
        says(2), num_responses=2, generation_technique="?", selection_technique="?"
    )
    assert optimizer.step() == {x: 2}
    assert len(llm.calls) == 2
    assert "no generation technique '?'" in caplog.text


@pytest.mark.parametrize(
    "settings",
    [
        {"num_responses": 0},
        {"temperature_min_max": [1.0]},
        {"temperature_min_max": [-1.0, 1.0]},
        {"llm_profiles": ["default"], "llm_weights": [1, 2]},
    ],
)
def test_wrong_arguments(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        ready([], **settings)


def test_multi_llm_needs_models() -> None:
    _, optimizer, _ = ready([], generation_technique="multi_llm")
    with pytest.raises(InvalidArgument, match="llm_profiles"):
        optimizer.step()


def test_majority_takes_the_typical_text_of_the_largest_group() -> None:
    texts = ["return max(xs)", "something else", "return  max(xs)", "return max(xs) "]
    assert majority(texts) == "return max(xs)"
    assert majority(["a", "b"]) == "a"


def test_shares() -> None:
    assert _shares(3, [1, 2]) == [1, 2]
    assert _shares(5, [1.0, 1.0]) == [3, 2]
