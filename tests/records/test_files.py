from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from opto.errors import NotPlainData, ParameterFileError
from opto.optimizers import OptoPrime
from opto.optimizers.optimizer import Optimizer
from opto.records import files
from opto.testing import ScriptedModel
from opto.trace import Module, bundle, model
from opto.trace.containers import Map, Seq
from opto.trace.nodes import ParameterNode
from opto.trace.origin import AUTHOR, UNKNOWN, FromFile, FromModel
from opto.trace.scope import new_scope
from tests.records.helpers import TEXTS, VALUES, Agent, exact, names, one, saved


@model
class Learner:
    """A class with code to learn, and a prompt."""

    def __init__(self) -> None:
        self.prompt = ParameterNode("Be brief.\nBe kind.", name="prompt")

    @bundle(trainable=True)
    def act(self, x: int) -> int:
        """Say how much."""
        return x + 1


def learner() -> Any:
    """A new one; what `model` adds to a class isn't known to type checkers."""
    return Learner()


@bundle(trainable=True)
def double(x: int) -> int:
    """Double it."""
    return 2 * x


# Code that leaves a trace wherever it is run.
PLANTED = """def act(self, x):
    return 0

open("ran", "w").close()
"""


def refused(module: Any, path: Path, **options: Any) -> str:
    """Why a file isn't loaded; nothing has changed then."""
    before = {name: p._data for name, p in module.named_parameters().items()}
    with pytest.raises(ParameterFileError) as caught:
        module.load(path, **options)
    assert {name: p._data for name, p in module.named_parameters().items()} == before
    return str(caught.value)


def sign(text: str) -> str:
    body = text[: text.rindex("checksum: ")]
    return f"{body}checksum: sha256 {hashlib.sha256(body.encode()).hexdigest()}\n"


def edited(path: Path, old: str, new: str) -> Path:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(sign(text.replace(old, new)), "utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "x.txt"


# ---- there and back ------------------------------------------------------------------------------


@given(value=VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_value_comes_back_to_the_bit(tmp_path: Path, value: Any) -> None:
    one(value).save(tmp_path / "x.txt")
    found = one(None)
    found.load(tmp_path / "x.txt")

    assert exact(found.parameters()[0]._data) == exact(value)


@pytest.mark.covers("S6.4.3", "A75")
def test_values_come_back_into_the_same_parameters(path: Path) -> None:
    agent, other = Agent("Be kind."), Agent()
    agent.save(path)
    kept = other.parameters()
    other.load(str(path))

    assert other.values == agent.values
    assert all(a is b for a, b in zip(other.parameters(), kept, strict=True))
    assert names(path.parent) == ["x.txt"]


def test_what_is_loaded_is_no_part_of_what_was_loaded_before(path: Path) -> None:
    first, second = one([[1]]), one(None)
    first.save(path)
    first.load(path)
    second.load(path)
    first.parameters()[0]._data[0].append(2)

    assert second.parameters()[0]._data == [[1]]


def test_code_comes_back_and_runs_when_it_is_called(path: Path) -> None:
    program, other = learner(), learner()
    program.act.parameter._data = "def act(self, x):\n    return x + 2\n"
    program.save(path)
    other.load(path)

    assert other.act(1).data == 3


def test_a_bundle_has_a_file_too(path: Path) -> None:
    text = double.parameter._data
    double.save(path)
    double.parameter._data = "def double(x):\n    return 3 * x\n"
    double.load(path)

    assert double.parameter._data == text
    assert double(2).data == 4


def test_containers_have_files_too(path: Path) -> None:
    made = [Seq(ParameterNode(n), {"a": ParameterNode(n)}) for n in (1, 2)]
    made[0].save(path)
    made[1].load(path)
    assert [p._data for p in made[1].parameters()] == [1, 1]

    maps = [Map({"a b]\n": ParameterNode(n), "é": Seq(ParameterNode(n))}) for n in (1, 2)]
    maps[0].save(path)
    maps[1].load(path)
    assert [p._data for p in maps[1].parameters()] == [1, 1]


def test_a_parameter_in_two_places_is_there_once(path: Path) -> None:
    module = Module()
    module.a = module.b = ParameterNode(1)
    module.save(path)

    assert path.read_text("utf-8").count("[parameter ") == 1
    module.load(path)


def test_no_parameters_are_saved_too(path: Path) -> None:
    Module().save(path)
    Module().load(path)
    assert "[parameter " not in path.read_text("utf-8")
    assert "x" in refused(one(1), path)


@given(name=TEXTS.filter(lambda name: not name.startswith("__TRACE_RESERVED_")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_names_of_any_kind_are_names(tmp_path: Path, name: str) -> None:
    module = Module()
    module.all = {name: ParameterNode(1)}
    module.save(tmp_path / "x.txt")
    module.load(tmp_path / "x.txt")

    assert names(tmp_path) == ["x.txt"]


# ---- the text ------------------------------------------------------------------------------------


def test_a_program_looks_like_this(path: Path, snapshot: SnapshotAssertion) -> None:
    learner().save(path)

    assert path.read_text("utf-8") == snapshot


def test_an_agent_looks_like_this(path: Path, snapshot: SnapshotAssertion) -> None:
    Agent().save(path)

    assert path.read_text("utf-8") == snapshot


def test_a_change_of_a_line_changes_that_line_and_the_checksum(path: Path) -> None:
    agent = one("")
    agent.parameters()[0]._data = "Be brief.\nBe kind.\nBe honest."
    agent.save(path)
    before = path.read_text("utf-8").split("\n")
    agent.parameters()[0]._data = "Be brief.\nBe very kind.\nBe honest."
    agent.save(path)
    after = path.read_text("utf-8").split("\n")

    changed = [line for line in after if line not in before]
    assert [line.partition(":")[0] for line in changed] == ["  | Be very kind.", "checksum"]


def test_the_text_does_not_depend_on_what_ran_before(path: Path) -> None:
    Agent().save(path)
    first = path.read_bytes()
    Agent().save(path)

    assert path.read_bytes() == first


def model_step() -> Any:
    """A program whose code a model proposed, and whose prompt was set by hand."""
    program = learner()
    program.act.parameter._set("def act(self, x):\n    return 0\n")
    program.act.parameter.origin = FromModel("5eed", 3, "small")
    program.prompt._data = "By hand."
    return program


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_each_value_says_where_it_is_from(path: Path, snapshot: SnapshotAssertion) -> None:
    model_step().save(path)

    assert path.read_text("utf-8") == snapshot


def test_what_is_loaded_is_from_the_file_whatever_that_says(path: Path) -> None:
    model_step().save(path)
    other = learner()
    other.load(path)

    assert other.act.parameter.origin == FromFile(
        str(path), checksum(path), FromModel("5eed", 3, "small")
    )
    assert other.prompt.origin == FromFile(str(path), checksum(path), UNKNOWN)


def test_loading_and_saving_leaves_a_file_as_it_is(path: Path) -> None:
    for program in (learner(), model_step()):
        program.save(path)
        before, other = path.read_bytes(), learner()
        other.load(path)
        other.save(path)

        assert path.read_bytes() == before


def test_a_file_cannot_say_that_code_is_the_authors(path: Path) -> None:
    program = learner()
    program.save(path)
    edited(path, "return x + 1", "return x + 100")
    program.load(path)

    assert 'origin: "author"\nvalue: text\n  | def act' in path.read_text("utf-8")
    assert program.act.parameter.origin == FromFile(str(path), checksum(path))
    program.save(path.parent / "again.txt")
    text = (path.parent / "again.txt").read_text("utf-8")
    assert '\norigin: dict\n  "from": "file"\n' in text
    assert "return x + 100" in text


def test_the_authors_text_is_the_authors_wherever_it_comes_from(path: Path) -> None:
    learner().save(path)
    program = model_step()
    program.load(path)

    assert program.act.parameter.origin == AUTHOR


@pytest.mark.parametrize(
    "origin",
    ['"proposed"', "3", 'dict\n  "from": "model"', 'dict\n  "from": "heaven"', "list", "None"],
)
def test_an_origin_that_is_none_is_refused(path: Path, origin: str) -> None:
    one("value").save(path)
    edited(path, 'origin: "author"', f"origin: {origin}")

    assert "section [parameter x]: " in refused(one("value"), path)


# ---- what can't be saved -------------------------------------------------------------------------


def test_what_cannot_be_saved_is_named_and_the_file_stays(path: Path) -> None:
    agent = Agent()
    agent.save(path)
    before = path.read_bytes()
    agent.tools[1]._data = [object()]

    with pytest.raises(NotPlainData, match=r"parameter tools\.1 can't be saved: .*object"):
        agent.save(path)
    assert path.read_bytes() == before
    assert names(path.parent) == ["x.txt"]


# ---- what doesn't fit ----------------------------------------------------------------------------


def test_all_that_differs_is_said(path: Path, snapshot: SnapshotAssertion) -> None:
    given, wanted = Module(), Module()
    given.a, given.b, given.old, given.number = map(ParameterNode, ("x", 1, 2, 3))
    wanted.a, wanted.b, wanted.new, wanted.number = map(ParameterNode, (1, "x", 2, 3.5))
    given.save(path)

    assert refused(wanted, path).replace(str(path), "x.txt") == snapshot


def test_long_lists_are_cut(path: Path) -> None:
    many = Seq(*(ParameterNode(n) for n in range(100)))
    many.save(path)

    assert "and 80 more" in refused(Seq(), path)


@pytest.mark.parametrize(("here", "there"), [(1, 2.5), (2.5, 1), (None, "x"), ("x", None)])
def test_numbers_and_nothing_are_taken_for_each_other(path: Path, here: Any, there: Any) -> None:
    one(there).save(path)
    module = one(here)
    module.load(path)

    assert module.parameters()[0]._data == there


@pytest.mark.parametrize(("here", "there"), [(1, True), ("x", b"x"), ([], ()), ({}, set())])
def test_other_types_are_not(path: Path, here: Any, there: Any) -> None:
    one(there).save(path)

    assert f"x is {type(here).__name__}, in the file {type(there).__name__}" in refused(
        one(here), path
    )


def test_text_is_no_code(path: Path) -> None:
    module = Module()
    module.act = ParameterNode("x", is_code=True)
    one("text").save(path)
    edited(path, "[parameter x]", "[parameter act]")

    assert "act is code, in the file str" in refused(module, path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[parameter x]", "[thing x]", "of a parameter or of state"),
        ("[parameter x]", "[state x]", "unknown fields: name, origin, type"),
        ('type: "str"\n', "", "missing fields: type"),
        ('type: "str"', 'type: "int"', "'int' and the value is of type str"),
        ('type: "str"', "type: list\n  - 1", "value is of type str"),
        ('name: "x"', 'nom: "x"', "unknown fields: nom"),
        ("[parameter x]", "[state y]\nvalue: 1\n\n[parameter x]", "state in the file .* y"),
        ("[parameter x]", "[parameter __class__]", "__class__"),
        ("[parameter x]", '[parameter "../../../x"]', r"\.\./x"),
    ],
)
def test_what_is_wrong_in_a_section_is_said(path: Path, old: str, new: str, problem: str) -> None:
    one("value").save(path)
    edited(path, old, new)

    with pytest.raises(ParameterFileError, match=problem):
        one("value").load(path)
    assert names(path.parent) == ["x.txt"]


# ---- damage, and worse ---------------------------------------------------------------------------


def trained() -> OptoPrime:
    """An optimizer that took a step, so that it has a memory and a log."""
    reply = {"reasoning": "more", "answer": "", "suggestion": {"prompt0": "Be quick."}}
    with new_scope():
        prompt = ParameterNode("Be brief.\nBe kind.", name="prompt")
        optimizer = OptoPrime([prompt], llm=ScriptedModel([reply]), memory_size=2, form="json")
        optimizer.log = [{"system_prompt": "s", "user_prompt": "u", "response": "r"}]
        optimizer.backward(prompt.upper(), "too slow")
        optimizer.step()
    assert prompt.data == "Be quick."
    return optimizer


@pytest.mark.parametrize("make", [Agent, learner, lambda: double, trained])
def test_a_file_cut_off_at_any_byte_changes_nothing(path: Path, make: Callable[[], Any]) -> None:
    saver = make()
    saver.save(path)
    before, data = state_of(saver), path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert state_after_refusal(saver, path) == before


@pytest.mark.parametrize("make", [Agent, learner, lambda: double, trained])
def test_a_flipped_bit_changes_nothing(path: Path, make: Callable[[], Any]) -> None:
    saver = make()
    saver.save(path)
    before, data = state_of(saver), path.read_bytes()
    dice = random.Random(7)
    for index in range(len(data)):
        flipped = data[index] ^ 1 << dice.randrange(8)
        path.write_bytes(data[:index] + bytes([flipped]) + data[index + 1 :])
        assert state_after_refusal(saver, path) == before


def state_of(saver: Any) -> Any:
    if isinstance(saver, Optimizer):
        return [(p, p._data, p.origin) for p in saver.parameters], saver.kept_state()
    return [(p, p._data, p.origin) for p in saver.parameters()], None


def state_after_refusal(saver: Any, path: Path) -> Any:
    with pytest.raises(ParameterFileError):
        saver.load(path)
    return state_of(saver)


@pytest.mark.covers("A75")
def test_no_code_is_run_by_saving_loading_or_showing(
    path: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, other = learner(), learner()
    program.act.parameter._data = PLANTED
    program.save(path)
    other.load(path)
    other.save(path)
    str(other.act.parameter)
    other.parameters()

    assert other.act.parameter._data == PLANTED
    assert names(empty_home) == []
    monkeypatch.setenv("OPTO_EXECUTION", "inprocess")
    other.act(1)
    assert names(empty_home) == ["ran"]


def test_a_setter_that_raises_changes_nothing(path: Path) -> None:
    class Picky(ParameterNode[Any]):
        __slots__ = ()

        def _set(self, value: Any) -> None:
            super()._set(value)
            if value == 2:
                raise RuntimeError("not 2")

    module: Any = Module()
    module.a, module.b, module.c = ParameterNode(1), Picky(2), ParameterNode(3)
    module.save(path)
    module.a._data, module.b._data = 0, 0

    with pytest.raises(RuntimeError, match="not 2"):
        module.load(path)
    assert [p._data for p in module.parameters()] == [0, 0, 3]


def test_a_file_that_is_not_there_or_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Agent().load(tmp_path / "x.txt")
    with pytest.raises(IsADirectoryError):
        Agent().load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes in folders")
def test_a_pipe_or_device_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.txt")

    assert "no ordinary file" in refused(Agent(), tmp_path / "x.txt")
    assert "no ordinary file" in refused(Agent(), Path("/dev/zero"))


def test_ten_gigabytes_are_refused_before_they_are_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1 << 20)
    path.parent.mkdir()
    with path.open("wb") as file:
        file.write(b"opto parameters, version 1\n")
        file.truncate(10 << 30)

    assert "larger than" in refused(Agent(), path)


def test_deep_nesting_is_refused(path: Path) -> None:
    one([]).save(path)
    deep = "".join(f"\n{'  ' * depth}- list" for depth in range(1, 3_000))
    edited(path, "value: list", f"value: list{deep}")

    assert "nested more than" in refused(one([]), path)


@pytest.mark.parametrize("number", ["9" * 50_000, "1e999999999", "1_000"])
def test_numbers_that_are_traps_are_refused(path: Path, number: str) -> None:
    one(1).save(path)
    edited(path, "value: 1", f"value: {number}")

    assert "no number" in refused(one(1), path)


def test_threads_may_save_at_once(path: Path) -> None:
    agents = [Agent(str(number)) for number in range(8)]
    threads = [threading.Thread(target=agent.save, args=(path,)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = Agent()
    found.load(path)

    assert found.prompt._data in {str(number) for number in range(8)}
    assert names(path.parent) == ["x.txt"]


@given(data=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_loaded_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.txt").write_bytes(data)

    assert "x.txt" in refused(one(1), tmp_path / "x.txt", allow_pickle=True)


def test_bytes_on_disk_are_utf8_whatever_the_locale(tmp_path: Path) -> None:
    assert "é😀".encode() in saved("é😀", tmp_path)
