from __future__ import annotations

import importlib.util
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest

from opto.trace import Model, Module, bundle, model
from tests.trace.helpers import node


class Empty(Module):
    """Without forward."""


@model
class Greeter:
    """Greets."""

    def __init__(self, style: str) -> None:
        self.style = node(style, trainable=True)

    @bundle(trainable=True)
    def greet(self, name: str) -> str:
        """Greet."""
        return f"hello {name}"


@model
class Loud(Greeter):
    """Greets loudly."""

    def __call__(self, name: str) -> Any:
        return self.greet(name).upper()


def test_forward_is_to_be_written() -> None:
    with pytest.raises(NotImplementedError, match="Empty has no method forward"):
        Empty()(1)


def test_a_model_is_a_module_under_its_own_name() -> None:
    greeter = Greeter("kind")

    assert (Greeter.__name__, Greeter.__qualname__) == ("Greeter", "Greeter")
    assert Greeter.__module__ == __name__
    assert Greeter.__doc__ == "Greets."
    assert isinstance(greeter, (Model, Module))
    assert len(greeter.parameters()) == 2
    assert pickle.loads(pickle.dumps(greeter)).style.data == "kind"


def test_models_derive_and_are_made_once() -> None:
    assert model(Loud) is Loud
    loud: Any = Loud("kind")
    assert loud("ada").data == "HELLO ADA"
    assert len(loud.parameters()) == 2


def test_a_parameter_that_is_overwritten_is_warned_about() -> None:
    class Counter(Module):
        def __init__(self) -> None:
            self.count = node(0, trainable=True)
            self.other = node(0)

    counter = Counter()
    with pytest.warns(UserWarning, match="'count' was the parameter int:0 and becomes the result"):
        counter.count = counter.count + 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counter.count = counter.count + 1
        counter.other = counter.count * 2
        counter.fresh = counter.count * 2
        counter.other = node(3)
    assert counter.parameters() == []


def test_export_writes_a_file_that_runs(tmp_path: Path) -> None:
    loud: Any = Greeter("kind")
    code: Any = loud.greet.parameter
    code._set('def greet(self, name):\n    return f"bye {name}, {self.style}"')
    path = tmp_path / "exported.py"

    loud.export(str(path), projections=[lambda text: text.replace("bye", "farewell")])

    spec: Any = importlib.util.spec_from_file_location("exported", path)
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    made = exported.Greeter("ignored")
    assert made.style == "kind"
    assert made.greet("ada") == "farewell ada, kind"
