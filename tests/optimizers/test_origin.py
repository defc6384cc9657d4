"""Values that an optimizer sets say which run and step they are from."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from opto.optimizers import HybridOptimizer, OptoPrime, OptoPrimeMulti
from opto.optimizers.optimizer import Optimizer, UpdateDict
from opto.testing import ScriptedModel
from opto.trace import bundle
from opto.trace.nodes import ParameterNode
from opto.trace.origin import AUTHOR, FromModel
from tests.conftest import isolation_works


class Adding(Optimizer):
    """Adds one to each parameter."""

    def _step(self, *_: Any, **__: Any) -> UpdateDict:
        return {p: p._data + 1 for p in self.parameters}


class Failing(ParameterNode[Any]):
    """Can't be set to 2."""

    __slots__ = ()

    def _set(self, value: Any) -> None:
        super()._set(value)
        if value == 2:
            raise RuntimeError("not 2")


def test_each_step_is_noted() -> None:
    x, kept = ParameterNode(0), ParameterNode(0, trainable=False)
    optimizer = Adding([x, kept])
    optimizer.step()
    assert x.origin == FromModel(optimizer.run, 1)
    assert kept.origin == AUTHOR

    optimizer.step()
    assert (x.data, x.origin) == (2, FromModel(optimizer.run, 2))
    assert Adding([x]).run != optimizer.run


def test_a_proposal_that_is_set_later_has_the_number_of_its_step() -> None:
    x = ParameterNode(0)
    optimizer = Adding([x])
    update = optimizer.step(bypassing=True)
    assert str(x.origin) == "author"
    optimizer.update(update)

    assert x.origin == FromModel(optimizer.run, 1)


def test_the_model_is_named() -> None:
    x = ParameterNode(1, name="x")
    reply = {"reasoning": "more", "answer": "", "suggestion": {x.py_name: 5}}
    llm: Any = ScriptedModel([reply])
    llm.model_name = "small"
    optimizer = OptoPrime([x], llm=llm, form="json")
    optimizer.backward(x * 2, "too small")
    optimizer.step()

    assert (x.data, x.origin) == (5, FromModel(optimizer.run, 1, "small"))


def named(name: str, replies: list[Any]) -> Any:
    made: Any = ScriptedModel(replies)
    made.model_name = name
    return made


def test_of_mixed_parameters_each_says_who_proposed_it() -> None:
    pytest.importorskip("optuna")
    text, number = ParameterNode("a", name="text"), ParameterNode(1, name="number")
    reply = {"reasoning": "", "answer": "", "suggestion": {text.py_name: "b"}}
    optimizer = HybridOptimizer(
        [text, number],
        named("small", [reply]),
        bounds={number: (0, 9)},
        text_optimizer=partial(OptoPrime, form="json"),
    )
    optimizer.backward(text + number.call("__str__"), "score: 0.5")
    optimizer.step()

    assert text.origin == FromModel(optimizer.run, 1, "small")
    assert number.origin == FromModel(optimizer.run, 1)


def test_of_several_models_none_is_named() -> None:
    x = ParameterNode(1, name="x")
    first, second = named("first", []), named("second", [])

    assert OptoPrimeMulti([x], llm=first).model_of(x) == "first"
    assert OptoPrimeMulti([x], llm=first, llm_profiles=[second]).model_of(x) is None


def test_what_was_tried_out_leaves_no_trace() -> None:
    x, y = ParameterNode(0), ParameterNode(0)
    y._data = 1_000
    optimizer = Adding([x, y])
    with optimizer.applied({x: 5, y: 6}):
        assert x.origin == FromModel(optimizer.run, 0)

    assert [x.data, y.data] == [0, 1_000]
    assert [str(x.origin), str(y.origin)] == ["author", "unknown"]


def test_all_or_none_are_noted() -> None:
    x, y = ParameterNode(0), Failing(1)
    origins = [x.origin, y.origin]
    with pytest.raises(RuntimeError, match="not 2"):
        Adding([x, y]).step()

    assert [x.data, y.data] == [0, 1]
    assert [x.origin, y.origin] == origins


def test_a_run_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    first, second = Adding([ParameterNode(0, name="x")]), Adding([ParameterNode(0, name="x")])
    first.step()
    first.save(tmp_path / "x.txt")
    second.load(tmp_path / "x.txt")
    second.step()

    assert second.parameters[0].origin == FromModel(first.run, 2)


def test_code_that_ran_in_process_is_recorded_with_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @bundle(trainable=True, execution="inprocess")
    def f(x: int) -> int:
        return x

    code: Any = f.parameter
    optimizer = Coding([code])
    f(1)
    optimizer.step()
    assert optimizer.in_process == []
    f(1)
    with caplog.at_level(logging.WARNING):
        optimizer.step()
        optimizer.save(tmp_path / "x.txt")
        f(1)
        optimizer.save(tmp_path / "x.txt")

    origins = [{"from": "model", "run": optimizer.run, "step": step} for step in (1, 2)]
    recorded = [{"parameter": "__code", "origin": origin} for origin in origins]
    assert optimizer.in_process == recorded
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == (
        f"code of __code (from an optimizer, run {optimizer.run}, step 1) ran in this process "
        "without a boundary, as was asked for"
    )
    again = Coding([code])
    again.load(tmp_path / "x.txt")
    assert again.in_process == recorded


class Coding(Optimizer):
    """Proposes another text each time."""

    def _step(self, *_: Any, **__: Any) -> UpdateDict:
        return dict.fromkeys(self.parameters, f"def f(x):\n    return {self.step_number}\n")


def test_isolated_code_is_not() -> None:
    if not isolation_works():
        pytest.skip("this machine can't isolate code")

    @bundle(trainable=True, execution="isolated")
    def f(x: int) -> int:
        return x

    optimizer = Coding([f.parameter] if f.parameter else [])
    optimizer.step()
    assert f(1).data == 1
    assert optimizer.parameters[0].ran == "isolated"
    optimizer.step()

    assert optimizer.in_process == []
