from __future__ import annotations

import copy
import functools
import pickle
from collections import UserList
from typing import Any

import pytest

from opto.errors import InvalidArgument
from opto.trace import Map, Module, ParameterContainer, Seq, bundle
from opto.trace.containers import trainable_method
from tests.trace.helpers import node


class Slotted(ParameterContainer):
    __slots__ = ("never", "weight")

    def __init__(self) -> None:
        self.weight = node(1, trainable=True)


class Tool(Module):
    shared = node(0, trainable=True, name="shared")

    def __init__(self) -> None:
        self.b = node(2, trainable=True)
        self.a = [node(1, trainable=True), {"k": (node(3, trainable=True), "x")}]
        self.constant = node(4)
        self.me = self

    @bundle(trainable=True)
    def learn(self, x: Any) -> Any:
        return x

    @bundle()
    def fixed(self, x: Any) -> Any:
        return x

    @property
    def explosive(self) -> Any:
        raise AssertionError


def test_parameters_are_found_by_path() -> None:
    tool = Tool()

    assert list(tool.named_parameters()) == ["a.0", "a.1.k.0", "b", "learn", "shared"]
    assert tool.get_parameter("a.1.k.0").data == 3
    assert tool.parameters()[3] is tool.learn.parameter
    assert Slotted().get_parameter("weight").data == 1
    with pytest.raises(
        InvalidArgument, match=r"no parameter at 'c'; there are: a\.0, a\.1\.k\.0, b"
    ):
        tool.get_parameter("c")
    with pytest.raises(InvalidArgument, match="there are: none"):
        Seq().get_parameter("0")


def test_lists_that_hold_themselves() -> None:
    seq: Any = Seq(node(1, trainable=True))
    around: list[Any] = [seq[0]]
    around.append(around)
    seq.append(around)
    seq.append(seq)

    assert len(seq.parameters()) == 1


def test_trainable_functions_as_attributes() -> None:
    @bundle(trainable=True)
    def f(x: Any) -> Any:
        return x

    class Holder(Module):
        def __init__(self) -> None:
            self.f = f

    assert Holder().parameters() == [f.parameter]
    assert trainable_method(f)
    assert not trainable_method(Tool().fixed)
    assert not trainable_method(len)
    assert Seq(f).parameters() == [f.parameter]


def test_partials_of_functions() -> None:
    tool: Any = Tool()
    tool.double = functools.partial(max, 2)

    assert len(tool.parameters()) == 5
    assert tool.copy().double(1) == 2


def test_states() -> None:
    tool, other = Tool(), Tool()
    tool.b._set([5])
    state = tool.state_dict()
    tool.b.data.append(6)

    other.load_state_dict(state)

    assert other.b.data == [5]
    assert other.b.data is not state["b"]
    with pytest.raises(InvalidArgument, match=r"unknown paths \['z'\], missing paths none"):
        other.load_state_dict({**state, "z": 1})
    with pytest.raises(InvalidArgument, match=r"unknown paths none, missing paths \['a.0'"):
        other.load_state_dict({"b": 7})
    assert other.b.data == [5]
    other.load_state_dict({"b": 7}, strict=False)
    assert other.b.data == 7
    with pytest.raises(InvalidArgument, match="there are: none"):
        Seq().load_state_dict({"x": 1})


def test_a_state_that_cannot_be_copied_changes_nothing() -> None:
    tool = Tool()

    with pytest.raises(TypeError):
        tool.load_state_dict({"a.0": 9, "b": (item for item in "ab")}, strict=False)

    assert tool.get_parameter("a.0").data == 1


def test_copies_share_parameters_and_nothing_else() -> None:
    tool = Tool()

    twin = tool.copy()

    assert [id(p) for p in twin.parameters()] == [id(p) for p in tool.parameters()]
    assert twin.me is twin
    assert twin.a is not tool.a
    assert twin.constant is not tool.constant


@pytest.mark.parametrize(
    ("args", "length"),
    [
        ((), 0),
        ((1, 2), 2),
        (([1, 2],), 2),
        (((1, 2),), 2),
        ((UserList([1]),), 1),
        (("ab",), 1),
        ((b"ab",), 1),
        (({"a": 1},), 1),
        ((3,), 1),
        ((None,), 1),
    ],
)
def test_what_a_seq_is_made_of(args: tuple[Any, ...], length: int) -> None:
    assert len(Seq(*args)) == length


def test_a_node_is_an_item() -> None:
    x = node([1, 2])

    assert Seq(x)[0] is x
    assert len(Seq(Seq(x, x))) == 2


def test_seqs_and_maps_compare_and_pickle() -> None:
    seq, table = Seq(1, [2]), Map({"a": Seq(1)})

    assert seq == Seq([1, [2]])
    assert pickle.loads(pickle.dumps(seq)) == seq
    assert pickle.loads(pickle.dumps(table)) == table
    assert copy.deepcopy(table) == table
    twin = pickle.loads(pickle.dumps(Seq(node(3, trainable=True))))
    assert twin.parameters()[0].data == 3
    assert seq[:1] == Seq(1)
    assert seq + [3] == Seq(1, [2], 3)  # noqa: RUF005 - the operator is the point


def test_keys_of_a_map_may_be_parameters() -> None:
    key, value = node("k", trainable=True, name="key"), node(1, trainable=True)
    plain = node("c", name="c")

    table = Map({key: value, plain: [value]})

    assert list(table.named_parameters()) == ["key key:0", "key:0"]
    assert table.parameters() == [key, value]
    assert Map() == {}
    with pytest.raises(InvalidArgument, match="cannot be a container"):
        Map({Tool(): 1}).parameters()
