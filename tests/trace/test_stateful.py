"""Containers, modules and nodes of lists and dicts against the plain thing, step by step."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from opto.trace import Map, Module, Seq, bundle, node
from opto.trace.nodes import Node, ParameterNode
from tests.strategies import outcome

STEPS = settings(max_examples=25, stateful_step_count=20)
items = st.integers(-3, 3)
indices = st.integers(-4, 6)


def both(plain: Any, traced: Any, compute: Callable[[Any], Any]) -> None:
    """Do the same to both: same value, or the same kind of error and no change."""
    expected, found = outcome(lambda: compute(plain)), outcome(lambda: compute(traced))
    assert expected.agrees(found), (expected, found)


class NodeOfList(RuleBasedStateMachine):
    """``node([...])``, changed in place, against a list."""

    trainable = False

    @initialize(start=st.lists(items, max_size=4))
    def begin(self, start: list[int]) -> None:
        self.plain = list(start)
        self.traced: Any = node(start, trainable=self.trainable)
        self.past: list[tuple[Any, list[int]]] = []

    @rule(item=items, wrap=st.booleans())
    def append(self, item: int, wrap: bool) -> None:
        self.plain.append(item)
        self.traced.append(node(item) if wrap else item)

    @rule(more=st.lists(items, max_size=3))
    def extend(self, more: list[int]) -> None:
        both(self.plain, self.traced, lambda x: x.extend(more))

    @rule(index=indices, item=items)
    def insert(self, index: int, item: int) -> None:
        both(self.plain, self.traced, lambda x: x.insert(index, item))

    @rule(item=items)
    def remove(self, item: int) -> None:
        both(self.plain, self.traced, lambda x: x.remove(item))

    @rule(args=st.one_of(st.just(()), st.tuples(indices)))
    def pop(self, args: tuple[int, ...]) -> None:
        both(self.plain, self.traced, lambda x: x.pop(*args))

    @rule(reverse=st.booleans())
    def sort(self, reverse: bool) -> None:
        both(self.plain, self.traced, lambda x: x.sort(reverse=reverse))

    @rule()
    def turn(self) -> None:
        both(self.plain, self.traced, lambda x: x.reverse())

    @rule(index=indices, item=items)
    def assign(self, index: int, item: int) -> None:
        both(self.plain, self.traced, lambda x: x.__setitem__(index, item))

    @rule(index=indices, stop=indices)
    def delete(self, index: int, stop: int) -> None:
        both(self.plain, self.traced, lambda x: x.__delitem__(slice(index, stop)))

    @rule(index=indices)
    def look(self, index: int) -> None:
        both(self.plain, self.traced, lambda x: x[index])

    @rule(item=items)
    def ask(self, item: int) -> None:
        both(self.plain, self.traced, lambda x: x.count(item))
        both(self.plain, self.traced, lambda x: item in x)
        both(self.plain, self.traced, lambda x: x.index(item))

    @precondition(lambda self: len(self.past) < 4)
    @rule()
    def compute(self) -> None:
        """What is computed now must go on showing what it was computed from."""
        self.past.append((self.traced + list[int](), list(self.plain)))

    @precondition(lambda self: self.past)
    @rule()
    def pickled(self) -> None:
        assert pickle.loads(pickle.dumps(self.traced)).data == self.plain

    @invariant()
    def equal(self) -> None:
        if not hasattr(self, "plain"):
            return
        assert self.traced.data == self.plain
        assert [item.data for item in self.traced] == self.plain
        assert len(self.traced) == len(self.plain)
        for made, value in self.past:
            assert made.data == value
            assert made.parents[0].data == value

    def teardown(self) -> None:
        if self.trainable and self.past:
            for made, _ in self.past:
                made.backward("say", retain_graph=True)
            assert self.traced.feedback


class ParameterOfList(NodeOfList):
    """The same for a parameter, which stays a root that feedback reaches."""

    trainable = True

    @invariant()
    def still_a_parameter(self) -> None:
        if hasattr(self, "traced"):
            assert isinstance(self.traced, ParameterNode)
            assert self.traced.is_root


class NodeOfDict(RuleBasedStateMachine):
    """``node({...})``, changed in place, against a dict."""

    @initialize(start=st.dictionaries(items, items, max_size=4))
    def begin(self, start: dict[int, int]) -> None:
        self.plain: Any = dict(start)
        self.traced: Any = node(start)

    @rule(key=items, item=items, wrap=st.booleans())
    def assign(self, key: int, item: int, wrap: bool) -> None:
        self.plain[key] = item
        self.traced[node(key) if wrap else key] = node(item) if wrap else item

    @rule(key=items)
    def delete(self, key: int) -> None:
        both(self.plain, self.traced, lambda x: x.__delitem__(key))

    @rule(key=items, default=st.one_of(st.just(()), st.tuples(items)))
    def pop(self, key: int, default: tuple[int, ...]) -> None:
        both(self.plain, self.traced, lambda x: x.pop(key, *default))

    @rule()
    def popitem(self) -> None:
        both(self.plain, self.traced, lambda x: x.popitem())

    @rule(key=items, item=items)
    def setdefault(self, key: int, item: int) -> None:
        both(self.plain, self.traced, lambda x: x.setdefault(key, item))

    @rule(more=st.dictionaries(items, items, max_size=3))
    def update(self, more: dict[int, int]) -> None:
        both(self.plain, self.traced, lambda x: x.update(more))

    @rule(key=items)
    def look(self, key: int) -> None:
        both(self.plain, self.traced, lambda x: x[key])
        both(self.plain, self.traced, lambda x: x.get(key))
        both(self.plain, self.traced, lambda x: key in x)

    @rule()
    def clear(self) -> None:
        both(self.plain, self.traced, lambda x: x.clear())

    @invariant()
    def equal(self) -> None:
        if hasattr(self, "plain"):
            assert self.traced.data == self.plain
            assert [key.data for key in self.traced] == list(self.plain)
            pairs = [(key.data, item.data) for key, item in self.traced.items()]
            assert pairs == list(self.plain.items())
            assert self.traced.keys().data == list(self.plain.keys())
            assert self.traced.values().data == list(self.plain.values())


class SeqMachine(RuleBasedStateMachine):
    """A `Seq` of parameters, constants and containers against a list of them."""

    made = Bundle("made")

    @initialize()
    def begin(self) -> None:
        self.plain: list[Any] = []
        self.seq = Seq()

    @rule(target=made, value=items, kind=st.sampled_from(["parameter", "node", "plain", "seq"]))
    def make(self, value: int, kind: str) -> Any:
        if kind == "parameter":
            return node(value, trainable=True)
        if kind == "seq":
            return Seq(node(value, trainable=True), value)
        return node(value) if kind == "node" else value

    @rule(item=made)
    def append(self, item: Any) -> None:
        self.plain.append(item)
        self.seq.append(item)

    @rule(index=indices, item=made)
    def insert(self, index: int, item: Any) -> None:
        self.plain.insert(index, item)
        self.seq.insert(index, item)

    @rule(index=indices, item=made)
    def assign(self, index: int, item: Any) -> None:
        both(self.plain, self.seq, lambda x: x.__setitem__(index, item))

    @rule(index=indices)
    def delete(self, index: int) -> None:
        both(self.plain, self.seq, lambda x: x.__delitem__(index))

    @rule()
    def turn(self) -> None:
        self.plain.reverse()
        self.seq.reverse()

    @rule()
    def copied(self) -> None:
        twin = self.seq.copy()
        assert [id(p) for p in twin.parameters()] == [id(p) for p in self.seq.parameters()]
        assert len(copy.deepcopy(self.seq)) == len(self.plain)

    @rule()
    def stored(self) -> None:
        state = self.seq.state_dict()
        values = [p.data for p in self.seq.parameters()]
        for p in self.seq.parameters():
            p._set("changed")
        self.seq.load_state_dict(state)
        assert [p.data for p in self.seq.parameters()] == values

    @invariant()
    def equal(self) -> None:
        if not hasattr(self, "seq"):
            return
        assert [id(item) for item in self.seq] == [id(item) for item in self.plain]
        assert [id(p) for p in self.seq.parameters()] == list(parameters_in(self.plain))


class MapMachine(RuleBasedStateMachine):
    """A `Map` against a dict."""

    made = Bundle("made")
    keys = st.sampled_from("abcd")

    @initialize()
    def begin(self) -> None:
        self.plain: dict[str, Any] = {}
        self.map = Map({})

    @rule(target=made, value=items)
    def make(self, value: int) -> Any:
        p = node(value, trainable=True)
        return multiple(p, node(value), value, [p, {"in": p}], Map({"inner": p}))

    @rule(key=keys, item=made)
    def assign(self, key: str, item: Any) -> None:
        self.plain[key] = item
        self.map[key] = item

    @rule(key=keys)
    def delete(self, key: str) -> None:
        both(self.plain, self.map, lambda x: x.__delitem__(key))

    @rule(key=keys)
    def look(self, key: str) -> None:
        both(self.plain, self.map, lambda x: id(x[key]))

    @invariant()
    def equal(self) -> None:
        if not hasattr(self, "map"):
            return
        assert list(self.map) == list(self.plain)
        assert all(self.map[key] is value for key, value in self.plain.items())
        assert [id(p) for p in self.map.parameters()] == list(parameters_in(self.plain))


def parameters_in(value: Any) -> dict[int, None]:
    """Ids of the parameters inside, in order, each once."""
    if isinstance(value, ParameterNode):
        return {id(value): None}
    if isinstance(value, Node):
        return {}
    found: dict[int, None] = {}
    kind = value.__class__
    if kind in {list, tuple, Seq}:
        inner = list(value)
    elif kind in {dict, Map}:
        inner = list(value.values())
    else:
        return {}
    for item in inner:
        found.update(parameters_in(item))
    return found


class Part(Module):
    """A module with a trainable method."""

    def __init__(self, value: int) -> None:
        self.weight = node(value, name="weight", trainable=True)
        self.label = "part"

    @bundle(trainable=True)
    def step(self, x: Any) -> Any:
        return x + 1

    def forward(self, x: Any) -> Any:
        return self.step(x) + self.weight


class PlainPart:
    """The same without tracing."""

    def __init__(self, value: int) -> None:
        self.weight = value
        self.added = 1

    def __call__(self, x: int) -> int:
        return x + self.added + self.weight


class ModuleMachine(RuleBasedStateMachine):
    """A tree of modules, some of them shared, against plain objects."""

    names = st.sampled_from(["left", "right", "more"])
    parts = Bundle("parts")

    @initialize(target=parts, value=items)
    def begin(self, value: int) -> Any:
        pair = (Part(value), PlainPart(value))
        self.root, self.plain = Module(), dict[str, PlainPart]()
        return pair

    @rule(target=parts, value=items)
    def make(self, value: int) -> Any:
        return (Part(value), PlainPart(value))

    @rule(name=names, pair=parts)
    def put(self, name: str, pair: tuple[Part, PlainPart]) -> None:
        setattr(self.root, name, pair[0])
        self.plain[name] = pair[1]

    @rule(name=names)
    def drop(self, name: str) -> None:
        if name in self.plain:
            delattr(self.root, name)
            del self.plain[name]

    @rule(pair=parts, value=items)
    def train_weight(self, pair: tuple[Part, PlainPart], value: int) -> None:
        pair[0].weight._set(value)
        pair[1].weight = value

    @rule(pair=parts, value=items)
    def train_code(self, pair: tuple[Part, PlainPart], value: int) -> None:
        parameter: Any = pair[0].step.parameter
        parameter._set(f"def step(self, x):\n    return x + {value}")
        pair[1].added = value

    @rule(pair=parts, x=items)
    def call(self, pair: tuple[Part, PlainPart], x: int) -> None:
        traced = pair[0](node(x))
        assert traced.data == pair[1](x)
        assert {p.py_name.rstrip("0123456789") for p in traced.parameter_dependencies} == {
            "weight",
            "__code",
        }

    @rule(x=items)
    def copied(self, x: int) -> None:
        twin = copy.deepcopy(self.root)
        shared = self.root.copy()
        for name, plain in self.plain.items():
            assert getattr(twin, name)(x).data == plain(x)
            assert getattr(shared, name).weight is getattr(self.root, name).weight
        ids = {id(p) for p in self.root.parameters()}
        assert {id(p) for p in shared.parameters()} == ids
        assert not {id(p) for p in twin.parameters()} & ids

    @rule(x=items)
    def stored(self, x: int) -> None:
        state = self.root.state_dict()
        before = {name: plain(x) for name, plain in self.plain.items()}
        for p in self.root.parameters():
            p._set("def step(self, x):\n    return 0" if p.is_code else 7)
        self.root.load_state_dict(state)
        assert {name: getattr(self.root, name)(x).data for name in self.plain} == before

    @invariant()
    def equal(self) -> None:
        if not hasattr(self, "root"):
            return
        distinct = {id(plain) for plain in self.plain.values()}
        assert len(self.root.parameters()) == 2 * len(distinct)
        paths = self.root.named_parameters()
        assert [id(p) for p in paths.values()] == [id(p) for p in self.root.parameters()]
        for path, p in paths.items():
            assert self.root.get_parameter(path) is p
            name, _, rest = path.partition(".")
            assert name in self.plain
            assert rest in {"weight", "step"}


for machine in (NodeOfList, ParameterOfList, NodeOfDict, SeqMachine, MapMachine, ModuleMachine):
    machine.TestCase.settings = STEPS
TestNodeOfList = NodeOfList.TestCase
TestParameterOfList = ParameterOfList.TestCase
TestNodeOfDict = NodeOfDict.TestCase
TestSeq = SeqMachine.TestCase
TestMap = MapMachine.TestCase
TestModule = ModuleMachine.TestCase
