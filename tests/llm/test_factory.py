from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from itertools import count, repeat

import pytest

from opto.llm.factory import AbstractModel


def shouting() -> Callable[[str], str]:
    return str.upper


def test_the_model_is_made_by_the_factory_and_called() -> None:
    assert AbstractModel(shouting)("a") == "A"


def test_it_is_made_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = count()
    model = AbstractModel(lambda: repeat(next(numbers)).__next__, reset_freq=10)
    assert (model(), model()) == (0, 0)
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + 60)
    assert model() == 1


def test_a_pickle_makes_it_anew() -> None:
    model = pickle.loads(pickle.dumps(AbstractModel(shouting)))
    assert model("a") == "A"
