from __future__ import annotations

from typing import Any

import pytest

from opto.errors import InvalidArgument
from opto.llm.base import Abilities
from opto.optimizers import OPRO
from opto.optimizers.optimizer import UpdateDict
from opto.testing import ScriptedModel
from opto.trace import ParameterNode, bundle, node

PLAIN = Abilities()


def largest(update: UpdateDict) -> float:
    return float(max(update.values()))


def rounds(
    feedbacks: list[Any], replies: list[Any], **settings: Any
) -> tuple[ParameterNode[int], OPRO, ScriptedModel]:
    x = node(1, name="x", trainable=True)
    llm = ScriptedModel(replies, abilities=PLAIN)
    optimizer = OPRO([x], llm=llm, **settings)
    for feedback in feedbacks:
        optimizer.zero_feedback()
        optimizer.backward(x + 1, feedback)
        optimizer.step()
    return x, optimizer, llm


def test_it_learns_from_the_history() -> None:
    replies = [{"suggestion": {"x0": value}} for value in (5, 7)]
    x, optimizer, llm = rounds(["too small", "better"], replies)
    assert x.data == 7
    assert [item.feedback for item in optimizer.buffer] == ["too small", "better"]
    prompt = llm.calls[1].prompt
    assert prompt.index('"x0": "1"') < prompt.index('"x0": "5"')
    assert "(int) x0" in prompt
    assert "#Code" not in prompt


@pytest.mark.covers("C10")
def test_c10_it_asks_for_its_own_format() -> None:
    optimizer = OPRO([node(1, trainable=True)], llm=ScriptedModel())
    assert optimizer.output_format_prompt == OPRO.output_format_prompt
    assert "{{" not in optimizer.output_format_prompt
    assert '"answer"' not in optimizer.output_format_prompt
    _, _, llm = rounds(["fb"], [{"suggestion": {"x0": 2}}])
    assert OPRO.output_format_prompt in llm.calls[0].messages[0]["content"]


def test_scores_sort_and_bound_the_history() -> None:
    replies = [{"suggestion": {"x0": value}} for value in (2, 3, 4, 5)]
    _, optimizer, llm = rounds([0.5, 0.1, 0.9, 0.3], replies, memory_size=2)
    assert [item.score for item in optimizer.buffer] == [0.5, 0.9]
    assert "the best last" in llm.calls[-1].prompt


def test_words_keep_the_newest() -> None:
    replies = [{"suggestion": {"x0": value}} for value in (2, 3, 4)]
    _, optimizer, llm = rounds(["a", "b", "c"], replies, memory_size=2)
    assert [item.feedback for item in optimizer.buffer] == ["b", "c"]
    assert "the newest last" in llm.calls[-1].prompt


def test_a_refused_proposal_is_told_next_time() -> None:
    x, optimizer, llm = rounds(["a", "b"], [{"suggestion": {"x0": "two"}}, "TERMINATE"])
    assert x.data == 1
    assert optimizer.refused == []
    assert "expected an int" in llm.calls[1].prompt


def test_a_trial_seen_twice_stands_there_once() -> None:
    _, optimizer, _ = rounds(["a", "a"], ["TERMINATE"] * 2)
    assert len(optimizer.buffer) == 1


def test_a_schema_is_asked_for_where_the_model_honours_it() -> None:
    x = node(1, name="x", trainable=True)
    llm = ScriptedModel([{"suggestion": {"x0": 2}}])
    optimizer = OPRO([x], llm=llm)
    optimizer.backward(x + 1, "fb")
    assert optimizer.step(num_threads=3) == {x: 2}
    schema = llm.calls[0].options["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["suggestion"]["required"] == ["x0"]


def test_candidates() -> None:
    replies = [{"suggestion": {"x0": value}} for value in (2, 8, 4)]
    x, _, _ = rounds(["fb"], replies, candidates=3, select=largest)
    assert x.data == 8


def test_code() -> None:
    @bundle(trainable=True)
    def f(x: int) -> int:
        """Return something."""
        return x

    name = f.parameter.py_name
    better = "def f(x: int) -> int:\n    return x + 1"
    llm = ScriptedModel([{"suggestion": {name: better}}], abilities=PLAIN)
    optimizer = OPRO(f.parameters(), llm=llm)
    optimizer.backward(f(1), "one more")
    optimizer.step()
    assert f(1).data == 2
    assert f"(code) {name}: The code should start with" in llm.calls[0].prompt


@pytest.mark.parametrize(("memory_size", "candidates"), [(0, 1), (1, 0)])
def test_wrong_settings(memory_size: int, candidates: int) -> None:
    x = node(1, trainable=True)
    with pytest.raises(InvalidArgument, match="at least 1"):
        OPRO([x], llm=ScriptedModel(), memory_size=memory_size, candidates=candidates)
