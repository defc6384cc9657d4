from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.llm.base import Abilities
from opto.optimizers import OPRO, OPROv2, OptoPrime, OptoPrimeV2
from opto.optimizers.budget import DEFAULT_CONTEXT, FEWEST, PROMPT_TOKENS, Budget
from opto.optimizers.problem import Problem
from opto.testing import ScriptedModel
from opto.trace import node


class Counting(ScriptedModel):
    """A model whose tokens are characters."""

    def count_tokens(self, text: str) -> int:
        return len(text)


def budget(context: int | None, *, max_tokens: int = 1000, given: int | None = None) -> Budget:
    return Budget(ScriptedModel([], abilities=Abilities(context)), max_tokens, given)


def test_prompt_and_answer_share_the_context() -> None:
    assert budget(8000).answer == 1000
    assert budget(8000).problem == 8000 - 1000 - PROMPT_TOKENS
    assert budget(None).context == DEFAULT_CONTEXT


def test_a_small_context_is_shared_as_well() -> None:
    assert budget(1000).answer == 500
    assert budget(1000).problem == FEWEST


def test_what_is_given_holds() -> None:
    assert budget(1000, given=7).problem == 7


def test_without_a_tokenizer_three_characters_are_a_token() -> None:
    assert [budget(None).count(text) for text in ("", "a", "abc", "abcd")] == [0, 1, 1, 2]


def test_the_tokenizer_counts() -> None:
    assert Budget(Counting([]), 10).count("abcd") == 4


@given(st.lists(st.text(max_size=9)), st.integers(0, 50))
def test_the_newest_that_fit(texts: list[str], tokens: int) -> None:
    kept = Budget(Counting([]), 10).newest(texts, tokens)
    assert texts[len(texts) - len(kept) :] == kept
    assert sum(map(len, kept)) <= tokens
    assert len(kept) == len(texts) or sum(map(len, texts[-len(kept) - 1 :])) > tokens


def test_a_problem_is_written_to_be_counted() -> None:
    problem = Problem((), {}, {}, {}, {}, {}, ())
    seen: list[int] = []

    def written(_: Problem, limit: int) -> str:
        seen.append(limit)
        return "text"

    assert Budget(Counting([]), 10, 4).fitted(problem, written)[0] == problem
    assert seen


def long_memory(kind: Any) -> list[str]:
    """What the model is asked in eight steps with long values to remember."""
    llm = ScriptedModel(
        lambda _: {"suggestion": {"x0": f"answer {len(llm.calls)} {'word ' * 400}"}},
        abilities=Abilities(context_tokens=6000),
    )
    x = node("word " * 400, name="x", trainable=True)
    optimizer = kind([x], llm=llm, memory_size=20, max_tokens=1000)
    for number in range(8):
        optimizer.zero_feedback()
        optimizer.backward(x + "!", f"feedback {number}")
        optimizer.step()
    return [call.prompt for call in llm.calls]


@pytest.mark.parametrize("kind", [OptoPrime, OptoPrimeV2, OPRO, OPROv2])
def test_memory_takes_no_more_room_than_there_is(kind: Any) -> None:
    prompts = long_memory(kind)
    assert len(prompts) == 8
    assert max(map(len, prompts)) <= 5000 * 3
    assert "feedback 7" in prompts[-1], "the newest stays"
    assert "feedback 0" not in prompts[-1], "the oldest goes"
