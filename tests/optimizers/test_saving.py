"""Optimizers go to files and come back: with their parameters, and with what they remember."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from opto.errors import NotPlainData, ParameterFileError
from opto.optimizers import OPRO, OptoPrime, TextGrad
from opto.optimizers.optimizer import Optimizer
from opto.testing import ScriptedModel
from opto.trace import node
from opto.trace.nodes import ParameterNode


def parameters(*values: Any) -> list[ParameterNode[Any]]:
    return [ParameterNode(value, name="x") for value in values]


def stepped(optimizer: Optimizer) -> Optimizer:
    """The optimizer after a step."""
    x = optimizer.parameters[0]
    optimizer.zero_feedback()
    optimizer.backward(x * 2, "too small")
    optimizer.step()
    return optimizer


def optoprime(of: list[ParameterNode[Any]]) -> OptoPrime:
    model = ScriptedModel([{"reasoning": "more", "answer": "", "suggestion": {of[0].py_name: 5}}])
    return OptoPrime(of, llm=model, memory_size=3, form="json")


def opro(of: list[ParameterNode[Any]]) -> OPRO:
    model = ScriptedModel([{"reasoning": "more", "answer": "", "suggestion": {of[0].py_name: 5}}])
    return OPRO(of, llm=model, memory_size=3, log=True)


def textgrad(of: list[ParameterNode[Any]]) -> TextGrad:
    tags = TextGrad.new_variable_tags
    return TextGrad(of, llm=ScriptedModel([f"{tags[0]}5{tags[1]}"]), memory_size=3, log=True)


KINDS: list[Callable[[list[ParameterNode[Any]]], Optimizer]] = [optoprime, opro, textgrad]


@pytest.mark.covers("C28")
@pytest.mark.parametrize("make", KINDS)
def test_an_optimizer_comes_back_with_its_parameters(
    tmp_path: Path, make: Callable[[list[ParameterNode[Any]]], Optimizer]
) -> None:
    first = stepped(make(parameters(1, "other")))
    assert first.parameters[0].data == 5
    first.save(tmp_path / "folder" / "optimizer.txt")
    second = make(parameters(0, ""))
    kept = list(second.parameters)
    second.load(tmp_path / "folder" / "optimizer.txt")

    assert [p.data for p in second.parameters] == [5, "other"]
    assert all(a is b for a, b in zip(second.parameters, kept, strict=True))
    assert second.kept_state() == first.kept_state()
    assert second.kept_state()["log"]
    stepped(second)


@pytest.mark.covers("A80")
def test_one_with_the_default_model_is_saved_and_copied(tmp_path: Path) -> None:
    x = node(1, name="x", trainable=True)
    optimizer = OptoPrime([x])
    optimizer.save(tmp_path / "x.txt")
    x._data = 2
    optimizer.load(tmp_path / "x.txt")
    assert x.data == 1
    assert type(pickle.loads(pickle.dumps(optimizer.llm))) is type(optimizer.llm)


@pytest.mark.covers("C28")
def test_it_comes_back_into_itself(tmp_path: Path) -> None:
    x = node(1, name="x", trainable=True)
    optimizer = stepped(optoprime([x]))
    optimizer.save(tmp_path / "x.txt")
    x._data = 7
    optimizer.load(tmp_path / "x.txt")

    assert optimizer.parameters == [x]
    assert x.data == 5
    optimizer.zero_feedback()


def test_its_file_looks_like_this(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    optimizer = OPRO(parameters(1, 2), llm=ScriptedModel([]))
    optimizer.log, optimizer.run = None, "5eed"
    optimizer.save(tmp_path / "x.txt")

    assert (tmp_path / "x.txt").read_text("utf-8") == snapshot


def test_one_that_keeps_no_log_does_not_get_one(tmp_path: Path) -> None:
    stepped(optoprime(parameters(1))).save(tmp_path / "x.txt")
    quiet = OptoPrime(parameters(1), llm=ScriptedModel([]), log=False)
    quiet.load(tmp_path / "x.txt")

    assert quiet.log is None
    assert quiet.parameters[0].data == 5


def test_the_size_of_a_memory_is_that_of_who_loads(tmp_path: Path) -> None:
    stepped(optoprime(parameters(1))).save(tmp_path / "x.txt")
    forgetful = OptoPrime(parameters(1), llm=ScriptedModel([]), memory_size=0)
    forgetful.load(tmp_path / "x.txt")

    assert list(forgetful.memory) == []


def refused(optimizer: Optimizer, path: Path, **options: Any) -> str:
    """Why a file isn't loaded; nothing has changed then."""
    before = [p.data for p in optimizer.parameters], optimizer.kept_state()
    with pytest.raises(ParameterFileError) as caught:
        optimizer.load(path, **options)
    assert ([p.data for p in optimizer.parameters], optimizer.kept_state()) == before
    return str(caught.value)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    stepped(opro(parameters(1))).save(path)

    assert "state in the file that isn't known: buffer" in refused(optoprime(parameters(1)), path)
    assert "x.0, x.1" in refused(opro(parameters(1, 2)), path)


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("value", ["5", "None", "list\n  - 1"])
def test_state_that_cannot_be_is_refused(
    tmp_path: Path, make: Callable[[list[ParameterNode[Any]]], Optimizer], value: str
) -> None:
    path = tmp_path / "x.txt"
    fresh = make(parameters(1))
    fresh.save(path)
    name = "buffer" if make is opro else "memory"
    text = path.read_text("utf-8").split(f"[state {name}]")[0]
    path.write_text(f"{text}[state {name}]\nvalue: {value}\nchecksum: none\n", "utf-8")

    assert "the state can't be" in refused(fresh, path)


def test_state_that_is_no_plain_data_is_named(tmp_path: Path) -> None:
    optimizer = optoprime(parameters(1))
    optimizer.log = [{"response": object()}]

    with pytest.raises(NotPlainData, match="state log can't be saved"):
        optimizer.save(tmp_path / "x.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.covers("A75")
def test_a_pickle_is_refused_and_nothing_in_it_is_called(tmp_path: Path, empty_home: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return open, ("ran", "w")

    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"parameters": None, "llm": Evil()}))

    assert "allow_pickle=True" in refused(optoprime(parameters(1)), path)
    assert "was not called" in refused(optoprime(parameters(1)), path, allow_pickle=True)
    assert list(empty_home.iterdir()) == []
