from __future__ import annotations

from typing import Any

import pytest

from opto.optimizers import Optimizer
from opto.testing import check_optimizer
from opto.testing.optimizers import OPTIMIZER_CHECKS


class Next(Optimizer):
    """Takes the next number."""

    def _step(self, *_: Any, **__: Any) -> dict[Any, Any]:
        self._feedback()
        return {p: (p.data + 1) % 10 for p in self.parameters if p.trainable and p.feedback}


class Rude(Next):
    """Sets what it proposes at once, as a text, and asks for no feedback."""

    def _step(self, **_: Any) -> dict[Any, Any]:
        for parameter in self.parameters:
            parameter._data = "9"
        return {}


def test_what_conforms_passes() -> None:
    check_optimizer(Next)


def test_what_does_not_is_told_in_words() -> None:
    with pytest.raises(AssertionError) as caught:
        check_optimizer(Rude)
    told = str(caught.value)
    assert "sets_what_it_returns: AssertionError: step proposed nothing" in told
    assert "leaves_others_alone: AssertionError: a parameter that isn't trainable" in told
    assert "needs_feedback: AssertionError: a value was set without any feedback" in told
    assert len(told.splitlines()) >= 5


def test_names_are_unique() -> None:
    assert len({check.__name__ for check in OPTIMIZER_CHECKS}) == len(OPTIMIZER_CHECKS)
