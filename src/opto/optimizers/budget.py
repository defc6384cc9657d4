"""How long the parts of a prompt may be: by the model's context, counted by its tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from opto.llm.base import Abilities, abilities_of
from opto.optimizers.folding import CHARACTERS_PER_TOKEN, fold_measured
from opto.optimizers.problem import Problem

DEFAULT_CONTEXT = 60_000  # tokens, for a model that doesn't say its own
PROMPT_TOKENS = 1000  # for what stands around the problem
FEWEST = 500  # for the problem, however small the context

Written = Callable[[Problem, int], str]


@dataclass(frozen=True)
class Budget:
    """The room that a model leaves, in tokens; it is asked when needed, as it may change.

    Attributes:
        llm: the model. Its ``count_tokens(text)`` counts, if it has one.
        max_tokens: how long an answer may be.
        given: how long a problem may be; None for what the model's context allows.
    """

    llm: Callable[..., Any]
    max_tokens: int
    given: int | None = None

    @property
    def abilities(self) -> Abilities:
        """What the model can do."""
        return abilities_of(self.llm)

    @property
    def context(self) -> int:
        """How long prompt and answer may be together."""
        return self.abilities.context_tokens or DEFAULT_CONTEXT

    @property
    def answer(self) -> int:
        """How long an answer may be: `max_tokens`, but no more than half of the context."""
        return min(self.max_tokens, self.context // 2)

    @property
    def problem(self) -> int:
        """How long a problem may be."""
        if self.given is not None:
            return self.given
        return max(self.context - self.answer - PROMPT_TOKENS, FEWEST)

    def count(self, text: str) -> int:
        """Count the tokens of a text; without a tokenizer more rather than fewer."""
        counter: Callable[[str], int] | None = getattr(self.llm, "count_tokens", None)
        return -(-len(text) // CHARACTERS_PER_TOKEN) if counter is None else counter(text)

    def fitted(
        self, problem: Problem, written: Written, tokens: int | None = None
    ) -> tuple[Problem, int]:
        """Return a problem as it fits, and how many characters a value may have in it.

        Args:
            problem: the run and its feedback.
            written: writes it, with values of so many characters.
            tokens: how long it may be; None for `problem`.
        """
        room = self.problem if tokens is None else tokens
        known = hasattr(self.llm, "count_tokens")
        return fold_measured(
            problem,
            room,
            lambda folded, limit: self.count(written(folded, limit)),
            characters=room * CHARACTERS_PER_TOKEN * (2 if known else 1),
        )

    def newest(self, texts: Iterable[str], tokens: int) -> list[str]:
        """Return the last of the texts, as many as fit."""
        kept: list[str] = []
        for text in reversed(list(texts)):
            tokens -= self.count(text)
            if tokens < 0:
                break
            kept.insert(0, text)
        return kept
