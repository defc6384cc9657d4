"""Hypothesis strategies for traced programs, and a model of what they must give."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from opto.trace import bundle, node
from opto.trace.nodes import Node

numbers = st.one_of(
    st.integers(-20, 20),
    st.booleans(),
    st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 2)),
    st.sampled_from([0.0, -0.0, float("inf"), float("nan"), 10**30, 1 + 2j]),
)
texts = st.one_of(st.text("aAbB xyz019_,\n", max_size=6), st.sampled_from(["ß", "ǅ", "", "a b"]))
scalars = st.one_of(numbers, texts, st.none(), st.binary(max_size=3))
hashables = st.one_of(st.integers(-5, 5), texts, st.none())
collections = st.one_of(
    st.lists(hashables, max_size=4),
    st.lists(hashables, max_size=4).map(tuple),
    st.dictionaries(hashables, scalars, max_size=4),
    st.sets(hashables, max_size=4),
    st.frozensets(hashables, max_size=3),
)
values = st.one_of(scalars, collections)


def same(one: Any, other: Any) -> bool:
    """Whether two values can't be told apart by type and text; NaN is the same as NaN."""
    return type(one) is type(other) and _text(one) == _text(other)


def _text(value: Any) -> str:
    """The repr, with the items of sets in one order wherever they stand."""
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}{sorted(map(_text, value))}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}{[_text(item) for item in value]}"
    if isinstance(value, dict):
        return f"dict{[(_text(key), _text(item)) for key, item in value.items()]}"
    return repr(value)


def is_node(value: object) -> bool:
    """Whether it is a node; does not narrow its type."""
    return isinstance(value, Node)


class Outcome(NamedTuple):
    """What a computation gave: a value, or the type of its exception; `made` may be a node."""

    value: Any
    error: type[BaseException] | None
    made: Any = None

    def agrees(self, traced: Outcome) -> bool:
        """Whether a traced computation gave the same: the value, or an error caught alike."""
        if self.error is None:
            return traced.error is None and same(self.value, traced.value)
        return traced.error is not None and issubclass(traced.error, self.error)


def outcome(compute: Callable[[], Any]) -> Outcome:
    """Run it; the value of a node is taken out."""
    try:
        found = compute()
    except Exception as error:  # noqa: BLE001 - the exception is what is compared
        return Outcome(None, type(error))
    return Outcome(found._data if isinstance(found, Node) else found, None, found)


# ---- programs ------------------------------------------------------------------------------------


def _mixed(x: Any, y: Any) -> Any:
    """Do something with control flow."""
    return [x, y] if isinstance(x, str) else (y, x)


def _picked(items: Any, index: int = 0) -> Any:
    return items[index]


def _total(*parts: Any, **named: Any) -> Any:
    return len(parts) + len(named)


def _trained(x: Any, y: Any = 2) -> Any:
    return str(x) + str(y)


def _learnt(x: Any) -> Any:
    def inner(z: Any) -> Any:
        return [z]

    return inner(x)


TRACED: dict[str, Callable[..., Any]] = {
    "mixed": bundle()(_mixed),
    "picked": bundle()(_picked),
    "total": bundle()(_total),
    "trained": bundle(trainable=True)(_trained),
    "learnt": bundle(trainable=True)(_learnt),
}
PLAIN: dict[str, Callable[..., Any]] = {
    "mixed": _mixed,
    "picked": _picked,
    "total": _total,
    "trained": _trained,
    "learnt": _learnt,
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "and_", "or_", "xor", "getitem")
}
UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": operator.neg,
    "pos": operator.pos,
    "abs": abs,
    "invert": operator.invert,
    "round": round,
    "upper": lambda x: x.upper(),
    "split": lambda x: x.split(),
    "keys": lambda x: x.keys() if is_node(x) else list(x.keys()),
    "clone": lambda x: x.clone() if is_node(x) else copy.deepcopy(x),
    "items": list,
    "reversed": lambda x: list(reversed(x)),
    "truth": bool,
    "length": len,
    "text": lambda x: f"{x}",
}
CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "append": lambda x, y: x.append(y),
    "extend": lambda x, y: x.extend([y, y]),
    "insert": lambda x, y: x.insert(0, y),
    "pop": lambda x, _: x.pop(),
    "remove": lambda x, y: x.remove(y),
    "clear": lambda x, _: x.clear(),
    "add": lambda x, y: x.add(y),
    "update": lambda x, y: x.update([(y, y)]),
    "setitem": lambda x, y: operator.setitem(x, 0, y),
    "setdefault": lambda x, y: x.setdefault(y, 1),
}


class Step(NamedTuple):
    """One instruction: what to do with which of the values made so far."""

    kind: str
    name: str
    left: int
    right: int


steps = st.one_of(
    st.builds(
        Step, st.just("binary"), st.sampled_from(sorted(BINARY)), st.integers(0), st.integers(0)
    ),
    st.builds(Step, st.just("unary"), st.sampled_from(sorted(UNARY)), st.integers(0), st.just(0)),
    st.builds(
        Step, st.just("bundle"), st.sampled_from(sorted(PLAIN)), st.integers(0), st.integers(0)
    ),
    st.builds(
        Step, st.just("hold"), st.sampled_from(["list", "dict"]), st.integers(0), st.integers(0)
    ),
    st.builds(
        Step, st.just("change"), st.sampled_from(sorted(CHANGES)), st.integers(0), st.integers(0)
    ),
)
programs = st.tuples(
    st.lists(values, min_size=2, max_size=4),
    st.lists(steps, min_size=1, max_size=12),
)


def too_big(value: Any) -> bool:
    """Whether going on with a value would take long."""
    kind: type[Any] = type(value)
    if kind in {str, bytes, list, tuple}:
        return len(value) > 200
    return kind is int and abs(value) > 10**40


def run_step(step: Step, env: list[Any], *, traced: bool) -> Any:
    """Run one instruction on nodes (`traced`) or plain values; plain ones are changed on a copy."""
    x, y = env[step.left % len(env)], env[step.right % len(env)]
    if step.kind == "binary":
        return BINARY[step.name](x, y)
    if step.kind == "unary":
        return UNARY[step.name](x)
    if step.kind == "change":
        if not traced:
            x = env[step.left % len(env)] = copy.copy(x)
        return CHANGES[step.name](x, y)
    functions = TRACED if traced else PLAIN
    if step.kind == "bundle":
        return functions[step.name](x) if step.name == "learnt" else functions[step.name](x, y)
    return functions["picked"]([x, y] if step.name == "list" else {0: x, 1: y})


# ---- graphs --------------------------------------------------------------------------------------


class Shape(NamedTuple):
    """A graph to build: which roots learn, and the inputs of each result by index."""

    learns: tuple[bool, ...]
    results: tuple[tuple[int, ...], ...]


class Built(NamedTuple):
    """A graph of nodes: roots first, and for each the indices of the parameters it depends on."""

    nodes: list[Any]
    parameters: list[set[int]]


@st.composite
def shapes(draw: st.DrawFn, *, results: int = 12) -> Shape:
    """Graphs with shared nodes, constants, inputs used twice."""
    learns = draw(st.lists(st.booleans(), min_size=1, max_size=5))
    made: list[tuple[int, ...]] = []
    for count in range(draw(st.integers(1, results))):
        inputs = st.integers(0, len(learns) + count - 1)
        made.append(tuple(draw(st.lists(inputs, min_size=1, max_size=3))))
    return Shape(tuple(learns), tuple(made))


@bundle()
def gather(*parts: Any) -> int:
    """Use the inputs somehow."""
    return len(parts)


def build(shape: Shape) -> Built:
    """Build the graph."""
    nodes: list[Any] = [
        node(index, name="root", trainable=learns) for index, learns in enumerate(shape.learns)
    ]
    below = [{index} if learns else set[int]() for index, learns in enumerate(shape.learns)]
    for inputs in shape.results:
        nodes.append(gather(*(nodes[index] for index in inputs)))
        below.append(set[int]().union(*(below[index] for index in inputs)))
    return Built(nodes, below)
