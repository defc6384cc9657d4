from __future__ import annotations

import hashlib
import os
import pickle
import pickletools
import sys
import types
from collections import OrderedDict, UserDict, UserList, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opto.errors import ParameterFileError
from opto.records import pickles
from opto.trace import Module
from opto.trace.containers import Map, Seq
from opto.trace.nodes import ParameterNode
from opto.trace.origin import FromFile
from tests.records.helpers import exact, one
from tests.records.test_files import learner, refused


class Foreign:
    """A stand-in for a class of the original: it has the name and the attributes of its nodes."""

    def __init__(self, data: object) -> None:
        self._data = data
        self._name = "prompt:0"
        self._feedback: dict[Any, Any] = defaultdict(list)
        self._parents: list[Any] = []
        self._dependencies = {"parameter": {self}, "expandable": set[Any]()}
        self._constraint = None
        self.trainable = True


class ForeignSeq(UserList[Any]):
    """A stand-in for its list of parameters."""


class ForeignMap(UserDict[Any, Any]):
    """A stand-in for its dict of parameters."""


class UsersModule:
    """A stand-in for a module of a program that can't be imported here."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


STAND_INS: dict[type[Any], tuple[str, str]] = {
    Foreign: ("opto.trace.nodes", "ParameterNode"),
    ForeignSeq: ("opto.trace.containers", "Seq"),
    ForeignMap: ("opto.trace.containers", "Map"),
    UsersModule: ("__main__", "Agent"),
}


@contextmanager
def as_the_original_called_them() -> Generator[None]:
    """Give the stand-ins the names of what they stand for."""
    before = {kind: (kind.__module__, kind.__qualname__) for kind in STAND_INS}
    with pytest.MonkeyPatch.context() as patched:
        for kind, (module, name) in STAND_INS.items():
            kind.__module__, kind.__qualname__ = module, name
            patched.setitem(sys.modules, module, types.ModuleType(module))
        for kind, (module, name) in STAND_INS.items():
            setattr(sys.modules[module], name, kind)
        try:
            yield
        finally:
            for kind, (module, name) in before.items():
                kind.__module__, kind.__qualname__ = module, name


def pickled(value: object, path: Path, protocol: int = 4) -> Path:
    with as_the_original_called_them():
        path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.pkl"


# ---- files of the original -----------------------------------------------------------------------


@pytest.mark.covers("S6.4.3")
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_file_of_the_original_is_read_if_it_may_be(path: Path, protocol: int) -> None:
    code = "def act(self, x):\n    return x + 5\n"
    pickled({"prompt": Foreign("Be kind."), "act": Foreign(code)}, path, protocol)
    program = learner()

    assert "pass allow_pickle=True" in refused(program, path)
    program.load(path, allow_pickle=True)
    assert program.prompt.data == "Be kind."
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert program.act.parameter.origin == FromFile(str(path), checksum)
    assert program.act(1).data == 6


def test_its_containers_are_read(path: Path) -> None:
    inner = UsersModule(prompt=Foreign("inner"), size=3, other=[1])
    given = {
        "agent": inner,
        "many": ForeignSeq([Foreign(1), ForeignSeq([Foreign(2)]), "no parameter"]),
        "named": ForeignMap({"a": Foreign(3.5)}),
    }
    pickled(given, path)
    module, agent = Module(), Module()
    agent.prompt = ParameterNode("")
    module.agent = agent
    module.many = Seq(ParameterNode(0), Seq(ParameterNode(0)))
    module.named = Map({"a": ParameterNode(0)})
    module.load(path, allow_pickle=True)

    assert module.state_dict() == {
        "agent.prompt": "inner",
        "many.0": 1,
        "many.1.0": 2,
        "named.a": 3.5,
    }


def test_its_later_form_is_read(path: Path) -> None:
    given = {"parameters_dict": {"x": Foreign(2)}, "non_parameters_dict": {"size": 3}}
    module = one(1)
    module.load(pickled(given, path), allow_pickle=True)

    assert module.parameters()[0]._data == 2


@pytest.mark.parametrize(
    "value",
    [
        [1, 2.5, None, True, 10**30, -5, "x" * 300, "é", b"\x00" * 300, 1j],
        {"a": (1, (2, (3, (4, 5, 6, 7)))), 3: {1, 2}, (1, 2): frozenset({1})},
        {"a": [{"b": []}], "c": ((), {}, set())},
    ],
)
def test_plain_data_comes_out_of_it_as_it_went_in(path: Path, value: Any) -> None:
    module = one(None)
    module.load(pickled({"x": Foreign(value)}, path), allow_pickle=True)

    assert exact(module.parameters()[0]._data) == exact(value)


def test_it_must_fit_as_any_file_must(path: Path) -> None:
    pickled({"y": Foreign(1)}, path)

    why = refused(one(1), path, allow_pickle=True)
    assert "missing in the file: x" in why
    assert "aren't known: y" in why


@pytest.mark.parametrize("value", [OrderedDict, UsersModule(), [UsersModule()]])
def test_values_that_are_no_plain_data_are_named(path: Path, value: object) -> None:
    pickled({"x": Foreign(value)}, path)

    assert "parameter x" in refused(one(1), path, allow_pickle=True)


# ---- hostile ones --------------------------------------------------------------------------------


class Calls:
    """What is called when it is unpickled as usual."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


HOSTILE = {
    "system": Calls(os.system, ("touch ran",)),
    "open": Calls(open, ("ran", "w")),
    "eval": Calls(eval, ("open('ran', 'w')",)),
    "import": Calls(__import__, ("antigravity",)),
    "getattr": Calls(getattr, ("x", "upper")),
    "bytes": Calls(bytes, (10**11,)),
    "bytearray": Calls(bytearray, (10**11,)),
    "range": Calls(list, (range(10**11),)),
    "state": Calls(Exception, ("x",), {"a": 1}),
    "items": Calls(list, (), None, iter([1])),
}


@pytest.mark.covers("A75")
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("protocol", range(6))
def test_a_call_is_refused_not_made(path: Path, empty_home: Path, name: str, protocol: int) -> None:
    for value in (HOSTILE[name], {"x": HOSTILE[name]}, [{"x": (1, {"y": HOSTILE[name]})}]):
        path.write_bytes(pickle.dumps(value, protocol))
        refused(one(1), path)
        refused(one(1), path, allow_pickle=True)

    assert list(empty_home.iterdir()) == []


def test_the_call_is_named(path: Path) -> None:
    pickled({"x": HOSTILE["system"]}, path)

    assert "call posix.system; it was not called" in refused(one(1), path, allow_pickle=True)


GLOBAL = b"\x80\x02cos\nsystem\n"
TRAPS = {
    "instance of a function": GLOBAL + b"(\x8c\x02lstN\x81.",
    "object with arguments": b"\x80\x04cos\nsystem\n\x8c\x02ls\x85\x81.",
    "inst": b"\x80\x02(Vls\nios\nsystem\n.",
    "obj": b"\x80\x02(cos\nsystem\nVls\no.",
    "persistent": b"\x80\x02Vx\nQ.",
    "extension": b"\x80\x02\x82\x01.",
    "state of a name": GLOBAL + b"}b.",
    "memo of a billion": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a billion bytes": b"\x80\x04\x8e\x00\x00\x00\x00\x00\x00\x00\x7fx.",
    "a long of a billion bytes": b"\x80\x02\x8b\xff\xff\xff\x7fx.",
    "nothing left": b"\x80\x020.",
    "no mark": b"\x80\x02Nt.",
    "tuple of nothing": b"\x80\x02\x87.",
    "append to nothing": b"\x80\x02NNa.",
    "add to nothing": b"\x80\x04N(N\x90.",
    "item of nothing": b"\x80\x02NNNs.",
    "odd items": b"\x80\x02}(NNNu.",
    "unknown memo": b"\x80\x02h\x09.",
    "two results": b"\x80\x02NN.",
    "no end": b"\x80\x02N",
    "no dict": b"\x80\x02N.",
    "the mark": b"\x80\x02(.",
    "itself": b"\x80\x02}q\x00Vx\nh\x00s.",
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_refused(path: Path, name: str) -> None:
    path.write_bytes(TRAPS[name])

    assert path.name in refused(one(1), path, allow_pickle=True)


def test_keys_whose_hash_takes_for_ever_are_refused(path: Path) -> None:
    path.write_bytes(b"\x80\x02}N" + b"q\x00h\x00\x86" * 200 + b"Ns.")

    assert "a tuple is a key" in refused(one(1), path, allow_pickle=True)


def test_shared_parts_without_end_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opto.records.values.MAX_ITEMS", 10_000)
    laughs: Any = []
    for _ in range(50):
        laughs = [laughs, laughs]
    pickled({"x": Foreign(laughs)}, path)

    assert "more than" in refused(one([]), path, allow_pickle=True)


@given(st.binary())
@example(b"")
def test_any_bytes_are_a_pickle_or_an_error(data: bytes) -> None:
    with pytest.raises(ParameterFileError):
        pickles.parameters_of(b"\x80\x04" + data + b"0000N.", "x.pkl")


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


@given(st.lists(st.sampled_from([*OPCODES, b"N", b"}", b"(", b"cos\nsystem\n", b"h\x00"])))
def test_any_instructions_are_a_pickle_or_an_error(parts: list[bytes]) -> None:
    try:
        found = pickles.parameters_of(b"\x80\x04" + b"".join(parts) + b".", "x.pkl")
        assert isinstance(found, dict)
    except ParameterFileError as error:
        assert "x.pkl" in str(error)  # noqa: PT017 - either is right


def test_no_module_here_unpickles() -> None:
    source = Path(pickles.__file__).parent

    for module in source.glob("*.py"):
        text = module.read_text("utf-8")
        assert "import pickle\n" not in text
        assert "marshal" not in text
        assert "eval(" not in text
        assert "exec(" not in text
