from __future__ import annotations

from typing import Any

import pytest

from opto.llm import LLM, Cached, CountsTokens, Fallback, LocalModel, Metered, Retrying
from opto.llm.own import Own
from opto.optimizers.budget import Budget
from opto.testing import ScriptedModel


class Words:
    """A model of a user's own that counts words."""

    def __call__(self, messages: Any) -> str:
        return f"{len(messages)} messages"

    def count_tokens(self, text: str) -> int:
        return len(text.split())


@pytest.mark.parametrize(
    "wrap",
    [Own, Metered, Retrying, LLM, lambda llm: Fallback([llm]), lambda llm: Metered(LLM(llm))],
)
def test_what_stands_around_a_model_counts_as_it_does(wrap: Any) -> None:
    assert wrap(Words()).count_tokens("one two three") == 3


@pytest.mark.parametrize("wrap", [Metered, LLM, lambda llm: Fallback([llm]), Own])
def test_where_nobody_counts_there_is_no_counter(wrap: Any) -> None:
    model = wrap(ScriptedModel("fine"))
    assert not hasattr(model, "count_tokens")
    with pytest.raises(AttributeError, match="has none"):
        model.count_tokens("x")


def test_without_a_model_there_is_none_to_ask() -> None:
    assert not hasattr(LLM(), "count_tokens")


def test_it_is_a_protocol() -> None:
    assert isinstance(Words(), CountsTokens)
    assert isinstance(LocalModel("0.5b"), CountsTokens)
    assert not isinstance(ScriptedModel(), CountsTokens)


def test_optimizers_measure_with_it(tmp_path: Any) -> None:
    cached = Cached(Words(), tmp_path / "c.sqlite3")
    assert Budget(cached, 100, None).count("one two three") == 3
