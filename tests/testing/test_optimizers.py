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


class Silent(Next):
    """Sets values without saying that they are its own."""

    def update(self, update_dict: Any) -> None:
        for parameter, value in update_dict.items():
            parameter._set(value)


def test_what_does_not_say_where_values_are_from_is_told() -> None:
    with pytest.raises(AssertionError, match="a value was set as if it were from: unknown"):
        check_optimizer(Silent)


class Reckless(Next):
    """Has no regard for constraints, projections, results or files."""

    def _step(self, *_: Any, **__: Any) -> dict[Any, Any]:
        for note in self._feedback().notes:
            note.output._data = 0
        return {p: 99 for p in self.parameters if p.trainable and p.feedback}

    def project(self, update_dict: Any) -> Any:
        return update_dict

    def load(self, path: Any, *, allow_pickle: bool = False) -> None:
        """Forget the file."""


def test_what_is_reckless_is_told_in_words() -> None:
    with pytest.raises(AssertionError) as caught:
        check_optimizer(Reckless)
    told = str(caught.value)
    assert "keeps_to_constraints: AssertionError: 99 was set" in told
    assert "sets_all_or_none: AssertionError: step returned values although" in told
    assert "leaves_what_was_recorded: AssertionError: a result that was computed" in told
    assert "comes_back_from_a_file: AssertionError: 99 was saved and 3 was loaded" in told


def test_names_are_unique() -> None:
    assert len({check.__name__ for check in OPTIMIZER_CHECKS}) == len(OPTIMIZER_CHECKS)
