"""A value that remembers where it came from: names, graph and copying; operators come above."""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeVar, cast
from weakref import ref

from opto.errors import InvalidArgument, WrongType
from opto.trace import graph
from opto.trace.children import Children, living
from opto.trace.scope import READS, SCOPE, Counter

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LEARNS = 1  # a trainable parameter is among the ancestors
CONSUMED = 2  # feedback was propagated from here
SEEN = 8  # a walk that holds the lock was here
HIDDEN = 4  # the function used parameters that aren't among its inputs


def inputs_of(node: AbstractNode[Any]) -> tuple[AbstractNode[Any], ...]:
    """Return the inputs of `node` as recorded: in order, an input used twice stands there twice."""
    return node._inputs


def check_name(name: str) -> str:
    """Return `name` if nodes may be called so."""
    if not isinstance(name, str):
        message = f"the name of a node must be a str, not {type(name).__name__}: {name!r}"
        raise WrongType(message)
    if ":" in name:
        message = f"the name {name!r} contains ':', which separates name and number; leave it out"
        raise InvalidArgument(message)
    return name


class AbstractNode(Generic[T_co]):
    """The part of a node that knows nothing of operators and feedback."""

    __slots__ = ("__weakref__", "_children", "_counter", "_data", "_extra", "_number")

    # What only results have; their class has slots of these names.
    _inputs: tuple[AbstractNode[Any], ...] = ()
    _op: Any = None  # an `Op` for a result
    _flags = 0

    _data: Any
    _counter: Counter
    _number: int
    _extra: dict[str, Any] | None
    _children: Children | ref[Any] | None
    _own_state: tuple[str, ...] = ()

    def __init__(self, value: Any, *, name: str | None = None) -> None:
        if isinstance(value, AbstractNode):
            base = value._counter.base if name is None else check_name(name)
            value = value._data
        else:
            base = type(value).__name__ if name is None else check_name(name)
        self._data = value
        self._counter = SCOPE.get().counter(base)
        self._number = self._counter.take()
        self._extra = None
        self._children = None

    # ---- value ----

    @property
    def data(self) -> T_co:
        """The value; a bundled function that reads it must have the node among its inputs."""
        reads = READS.get()
        if reads is not None and SCOPE.get().recording:
            reads.append((self, True))
        return cast("T_co", self._data)

    def _note_test(self) -> None:
        reads = READS.get()
        if reads is not None and SCOPE.get().recording:
            reads.append((self, False))

    @property
    def type(self) -> Any:
        """The type of the value."""
        return type(self._data)

    def _set(self, value: Any) -> None:
        """Assign the value; that of a node is taken out of it."""
        self._data = value._data if isinstance(value, AbstractNode) else value

    # ---- names ----

    @property
    def name(self) -> str:
        """``<base>:<number>``, unique among the nodes made in one scope."""
        return f"{self._counter.base}:{self._number}"

    @property
    def py_name(self) -> str:
        """The name without the colon, as a model reads it."""
        return f"{self._counter.base}{self._number}"

    @property
    def id(self) -> str:
        """The number in the name, as text."""
        return str(self._number)

    # ---- graph ----

    @property
    def parents(self) -> list[Any]:
        """The nodes that this was made from, each once."""
        inputs = self._inputs
        return list({id(node): node for node in inputs}.values())

    @property
    def children(self) -> list[Any]:
        """The living nodes that were made from this and didn't propagate feedback yet."""
        return [child for child in living(self) if not child._flags & CONSUMED]

    @property
    def is_root(self) -> bool:
        """Whether this was made from nothing."""
        return not self._inputs

    @property
    def is_leaf(self) -> bool:
        """Whether nothing was made from this."""
        return not self.children

    @property
    def level(self) -> int:
        """0 for a root, else one more than the highest level of the parents; linear time."""
        order = graph.inputs_first([self], inputs_of)
        return graph.levels(order, inputs_of)[id(self)]

    def lt(self, other: AbstractNode[Any]) -> bool:
        """Whether this comes before `other` in a heap: its level is higher."""
        return -self.level < -other.level

    def gt(self, other: AbstractNode[Any]) -> bool:
        """Whether this comes after `other` in a heap: its level is lower."""
        return -self.level > -other.level

    # ---- printing ----

    @property
    def _label(self) -> str:
        return type(self).__name__

    def __str__(self) -> str:
        return f"{self._label}: ({self.name}, dtype={type(self._data)}, data={self._data})"

    # ---- copying ----

    def _copied(self, data: Any) -> Any:
        """Return a node of the same kind with `data`, without history, children and feedback."""
        twin = object.__new__(type(self))
        twin._counter = SCOPE.get().names.copy_counter(f"{self.py_name}_copy")
        twin._number = twin._counter.take()
        twin._data = data
        twin._children = None
        kept = {k: v for k, v in (self._extra or {}).items() if k not in _NOT_COPIED}
        twin._extra = kept or None
        return twin

    def __copy__(self) -> Any:
        return self._copied(self._data)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = self._copied(None)
        memo[id(self)] = twin
        twin._data = copy.deepcopy(self._data, memo)
        return twin


_NOT_COPIED = frozenset({"feedback", "output", "hidden", "frames", "exception"})


def sources_of(node: AbstractNode[Any]) -> tuple[AbstractNode[Any], ...]:
    """Return the inputs of `node` and the parameters that its function used unseen."""
    if node._flags & HIDDEN:
        hidden: tuple[AbstractNode[Any], ...] = (node._extra or {})["hidden"]
        return node._inputs + hidden
    return node._inputs
