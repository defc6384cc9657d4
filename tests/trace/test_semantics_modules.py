"""SEMANTICS §6: containers and modules."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from opto.trace import Model, Module, NodeContainer, apply_op, bundle, model
from opto.trace import operators as ops
from opto.trace.broadcast import recursive_conversion
from opto.trace.containers import Map, ParameterContainer, Seq, trainable_method
from tests.trace.helpers import node, same_nodes


class Box(NodeContainer):
    """Holds nodes."""

    def __init__(self, **held: Any) -> None:
        vars(self).update(held)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def add(*nodes: Any) -> Any:
    return ops.add(*nodes)


# ---- apply_op ------------------------------------------------------------------------------------


@pytest.mark.covers("S6.1.1", "S6.1.2", "S6.1.3")
def test_operators_across_containers() -> None:
    x, y = node(1), node(2)

    assert apply_op(add, node(0), x, y).data == 3
    lists = apply_op(add, [node(0), node(0)], [x, y], [y, y])
    assert [made.data for made in lists] == [3, 4]
    spread = apply_op(add, [node(0), node(0)], [x, y], node(10))
    assert [made.data for made in spread] == [11, 12]
    tables = apply_op(add, {"a": node(0)}, {"a": x}, {"a": y})
    assert tables["a"].data == 3
    boxes = apply_op(add, Box(a=node(0), b=[node(0)], c="c"), Box(a=x, b=[y], c=1), node(5))
    assert (boxes.a.data, boxes.b[0].data, boxes.c) == (6, 7, "c")
    gathered = apply_op(lambda *args: list(args), [node(0)], [x], [y])
    assert gathered == [[x, y]]


@pytest.mark.covers("S6.1.3")
def test_results_go_into_the_output() -> None:
    output = [node(0), node(0)]

    made = apply_op(add, output, [node(1), node(2)], [node(3), node(4)])

    assert made is output
    assert [result.data for result in output] == [4, 6]


@pytest.mark.covers("S6.1.3", "S22.1")
def test_containers_must_fit() -> None:
    for wrong in ((node(1),), [node(1), node(2)], {"a": node(1)}):
        with pytest.raises(AssertionError, match="apply_op"):
            apply_op(add, [node(0)], [node(1)], wrong)


@pytest.mark.covers("S6.1.3")
def test_tuples_and_named_arguments() -> None:
    x = node(1)

    made = apply_op(add, (node(0), node(0)), (x, x), (x, x))
    named = apply_op(lambda a, k: a + k, [node(0)], [x], k=node(2))

    assert [result.data for result in made] == [2, 2]
    assert named[0].data == 3


@pytest.mark.covers("S6.1.4")
def test_conversion_of_nested_containers() -> None:
    convert = recursive_conversion(lambda made: made.data, lambda leaf: f"<{leaf}>")
    box = Box(a=node(1), b="b")

    made = convert([node(1), (2, {"k": node(3)}), {4}])
    boxed = convert(box)

    assert made == [1, ("<2>", {"k": 3}), {"<4>"}]
    assert (boxed.a, boxed.b) == (1, "<b>")
    assert isinstance(box.a, type(node(1)))


# ---- parameters ----------------------------------------------------------------------------------


class Inner(Module):
    """A part."""

    def __init__(self) -> None:
        self.deep = node("deep", trainable=True)


class Outer(Module):
    """A whole."""

    def __init__(self) -> None:
        self.b = node("b", trainable=True)
        self.a = node("a", trainable=True)
        self.inner = Inner()
        self.listed = Seq([node("s", trainable=True), "plain"])
        self.plain = node("no parameter")
        self.other = [1, 2]

    @bundle(trainable=True)
    def act(self) -> str:
        return "act"

    @bundle()
    def rest(self) -> str:
        return "rest"

    def forward(self, x: str) -> Any:
        return self.a + x


@pytest.mark.covers("S6.2.1", "S6.2.2", "S6.2.3")
def test_parameters_are_found() -> None:
    made = Outer()
    found = made.parameters_dict()

    assert isinstance(made, ParameterContainer)
    assert list(found) == ["a", "act", "b", "inner", "listed"]
    assert found["a"] is made.a
    assert found["inner"] is made.inner
    assert found["act"] is made.act.parameter
    assert [str(p.data)[:7] for p in made.parameters()] == ["a", "def act", "b", "deep", "s"]


@pytest.mark.covers("S6.2.3")
def test_a_shared_parameter_is_found_once() -> None:
    class Sharing(Module):
        def __init__(self) -> None:
            self.one = node(1, trainable=True)
            self.other = self.one
            self.me = self

    made = Sharing()

    assert same_nodes(made.parameters(), [made.one])


@pytest.mark.covers("S6.2.4")
def test_copies_share_the_parameters() -> None:
    made = Outer()
    twin = made.copy()
    twin.other.append(3)

    assert same_nodes(twin.parameters(), made.parameters())
    assert twin.inner is not made.inner
    assert made.other == [1, 2]
    assert twin.act().data == "act"
    assert twin.act.parameter is made.act.parameter


@pytest.mark.covers("S6.2.4")
def test_deep_copies_share_nothing() -> None:
    made = Outer()
    twin = copy.deepcopy(made)

    assert not {id(p) for p in twin.parameters()} & {id(p) for p in made.parameters()}
    assert [p.data for p in twin.parameters()] == [p.data for p in made.parameters()]


@pytest.mark.covers("S6.2.1")
def test_trainable_methods_are_told_apart() -> None:
    cls: Any = Outer

    assert trainable_method(cls.act)
    assert not trainable_method(cls.rest)
    assert not trainable_method(len)


# ---- Seq and Map ---------------------------------------------------------------------------------


@pytest.mark.covers("S6.3.1", "S6.3.2")
def test_seq() -> None:
    x, y = node(1, trainable=True), node(2, trainable=True)
    made = Seq(x, Seq([y]), "plain")

    assert Seq([1, 2]) == Seq(1, 2) == [1, 2]
    assert same_nodes(made.parameters(), [x, y])
    made.append(node(3, trainable=True))
    assert len(made.parameters()) == 3
    assert pickle.loads(pickle.dumps(Seq([1, x])))[1].data == 1


@pytest.mark.covers("S6.3.1", "S6.3.2", "S22.1")
def test_map() -> None:
    key, value = node("k", trainable=True), node(1, trainable=True)
    made = Map({key: value, "seq": Seq(node(2, trainable=True)), "plain": 1})

    assert len(made.parameters()) == 3
    assert made[key] is value
    assert Map({"a": 1}) == {"a": 1}
    assert pickle.loads(pickle.dumps(Map({"a": node(1)})))["a"].data == 1
    with pytest.raises(Exception, match=r"The key of a Map cannot be a container\."):
        Map({HashableSeq(): 1}).parameters()


class HashableSeq(Seq):
    """Can be a key."""

    def __hash__(self) -> int:  # type: ignore[override]  # what is tested
        return 1


# ---- Module and model ----------------------------------------------------------------------------


@pytest.mark.covers("S6.4.1", "S6.4.2", "S22.1")
def test_modules_are_called() -> None:
    assert Outer()("x").data == "ax"
    with pytest.raises(NotImplementedError, match="forward"):
        Module()()


@pytest.mark.covers("S6.4.3")
def test_states_are_set() -> None:
    made, other = Outer(), Outer()
    other.a._set("changed")
    before = made.a

    made.load_state_dict(other.state_dict())

    assert made.a is before
    assert made.a.data == "changed"
    with pytest.raises(AssertionError, match="nothing"):
        made.load_state_dict({"nothing": 1})


@model
class Decorated:
    """Decorated at module level."""

    LIMIT = 3

    def __init__(self) -> None:
        self._param = node(42, trainable=True)
        self.note = [1]

    @bundle(trainable=True)
    def act(self, x: int) -> int:
        """Act."""
        return x + 1

    def forward(self, x: int) -> Any:
        return self.act(x) * self._param

    def __len__(self) -> int:
        return self.LIMIT


class Ordinary:
    """An ordinary base."""

    def greet(self) -> str:
        return "hi"


@pytest.mark.covers("S6.5.1", "S6.5.2")
def test_decorated_classes() -> None:
    made: Any = Decorated()

    @model
    class Nested(Ordinary):
        def __init__(self) -> None:
            self.part = Decorated()

        @bundle()
        def forward(self, x: int) -> int:
            return x

    class Derived(Decorated):
        def forward(self, x: int) -> Any:
            return super().forward(x) + 1

    nested: Any = Nested()
    derived: Any = Derived()
    assert isinstance(made, Module)
    assert isinstance(made, Model)
    assert made(1).data == 84
    assert len(made.parameters()) == 2
    assert len(nested.parameters()) == 2
    assert (nested.greet(), nested(5).data) == ("hi", 5)
    assert derived(1).data == 85
    assert len(derived.parameters()) == 2


@pytest.mark.covers("S6.5.2", "S6.6.3")
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_decorated_instances_are_copied(copied: Any) -> None:
    made: Any = Decorated()
    made._param._set(2)
    made.act.parameter._set("def act(self, x): return x + 10")

    twin: Any = copied(made)
    twin.note.append(2)
    twin._param._set(3)

    assert type(twin) is type(made)
    assert (made(1).data, twin(1).data) == (22, 33)
    assert made.note == [1]
    assert twin.act.parameter is not made.act.parameter
    assert twin.act(1).inputs["self"].data is twin


@pytest.mark.covers("S6.6.1", "S6.6.2")
def test_export(tmp_path: Path) -> None:
    made: Any = Decorated()
    made.act.parameter._set('def act(self, x):\n    """Act."""\n    return x + 10')
    path = tmp_path / "out.py"

    made.export(str(path), projections=[])

    text = path.read_text("utf-8")
    assert "\nclass Decorated:\n" in f"\n{text}"
    assert "node(" not in text
    assert "@bundle" not in text
    assert "self._param = 42" in text
    names: dict[str, Any] = {}
    exec(text, names)
    plain = names["Decorated"]()
    assert (plain.forward(1), len(plain)) == (462, 3)
    assert type(plain._param) is int
