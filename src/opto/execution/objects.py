"""The object of a method: which methods and attributes of it the code needs, and how they cross.

Inside stands a class with the same methods, by source, and an instance with the values of the
attributes that are read, which can't be changed. ``super()`` finds what it would find here.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from opto.errors import NotPlainData, SourceNotFound
from opto.execution.capabilities import Granted, used_by
from opto.execution.crossing import Shipment, offenders_of
from opto.execution.exchange import Exchange
from opto.execution.wire import encode
from opto.trace.code import Namespace, Surroundings, mangled
from opto.trace.containers import RESERVED
from opto.trace.function import FunModule
from opto.trace.source import FunctionNode, pick_definition, source_of

_MISSING = object()


class Needs(NamedTuple):
    """What a method reads of its object.

    Attributes:
        names: attributes that it names, mangled.
        supers: those that it names after ``super()``.
        everything: whether it does more with the object than that.
        odd: whether it uses ``super`` in another way than ``super().name``.
    """

    names: tuple[str, ...]
    supers: tuple[str, ...]
    everything: bool
    odd: bool


def needs_of(definition: FunctionNode, owner: str) -> Needs:
    """Return what a method, written in the class `owner`, reads of its first parameter."""
    parameters = [*definition.args.posonlyargs, *definition.args.args]
    first = parameters[0].arg if parameters else ""
    names: dict[str, None] = {}
    supers: dict[str, None] = {}
    alone = plain_super = 0
    for node in ast.walk(definition):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == first:
                alone -= 1
                names[mangled(node.attr, owner)] = None
        elif isinstance(node, ast.Attribute) and _is_super(node.value, first):
            plain_super -= 1
            supers[mangled(node.attr, owner)] = None
        elif isinstance(node, ast.Name) and node.id == first:
            alone += 1
        elif isinstance(node, ast.Name) and node.id == "super":
            plain_super += 1
    # ``super(Class, self)`` mentions the object once more.
    everything = alone > 0 or "__dict__" in names
    return Needs(tuple(names), tuple(supers), everything, plain_super > 0)


def _is_super(value: ast.expr, first: str) -> bool:
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and (value.func.id == "super" and not value.args and bool(first))
    )


@dataclass
class Kind:
    """One class of objects, as the process is told of it.

    Attributes:
        number: by which the process knows it.
        reads: attributes whose values are given at each call.
        everything: whether whatever else can cross is given too.
        declared: names that may be called back to.
        methods: those that go along by source.
    """

    number: int
    reads: list[str] = field(default_factory=list[str])
    everything: bool = False
    declared: frozenset[str] = frozenset()
    methods: list[str] = field(default_factory=list[str])


class Kinds:
    """The classes whose objects a method was called on.

    Args:
        definition: the method's code.
        surroundings: what it may refer to.
        shipment: what goes along with it.
    """

    def __init__(
        self, definition: FunctionNode, surroundings: Surroundings, shipment: Shipment
    ) -> None:
        self.name, self.owner = definition.name, surroundings.owner
        self.needs = needs_of(definition, self.owner)
        self.fun, self.helpers = surroundings.fun, surroundings.helpers
        self.shipment = shipment
        self.known: dict[type, Kind] = {}

    def has(self, value: Any) -> bool:
        """Whether a first argument is an object that the method belongs to, or its class."""
        kind = value if isinstance(value, type) else type(value)
        return any(base.__name__ == self.owner for base in kind.__mro__)

    def of(self, instance: Any) -> Kind:
        """Return how objects of its class cross.

        Raises:
            NotPlainData: if a method that is needed can't go along.
        """
        kind = instance if isinstance(instance, type) else type(instance)
        with self.shipment.lock:
            if kind not in self.known:
                self.known[kind] = self._read(kind)
            return self.known[kind]

    def _read(self, kind: type) -> Kind:
        made = Kind(len(self.known))
        allowed = self.shipment.allowed
        used = used_by(self.fun, self.helpers, allowed, kind)
        made.declared = used.attributes | self.shipment.listed
        home = self._home(kind)
        found = _Found(kind, home, mangled(self.name, self.owner))
        with self.shipment.trying("", "\n"):
            found.follow(self.needs, home, self._add_method)
            self.shipment.offenders += found.offenders
        made.reads, made.everything = list(found.reads), found.everything
        made.methods = [name for texts in found.texts.values() for name in texts]
        self.shipment.lesson["kinds"].append((made.number, found.layers()))
        return made

    def _home(self, kind: type) -> type:
        """Return the class in whose body the author wrote the method."""
        name = mangled(self.fun.__name__, self.owner)
        named = [base for base in kind.__mro__ if base.__name__ == self.owner]
        return next((base for base in named if name in vars(base)), named[-1])

    def _add_method(self, name: str, function: Any, owner: type) -> tuple[str, Needs] | str:
        """Return source and needs of a method, or why it can't go along."""
        try:
            text = source_of(function).text
            tree = ast.parse(text)
        except (SourceNotFound, SyntaxError):
            return f"self.{name}: its source can't be found"
        definition = pick_definition(tree, function.__name__)
        if definition is None or definition.name != function.__name__:
            return f"self.{name}: it isn't defined by def"
        space = Namespace(Surroundings(function, {}, owner.__name__))
        for decorator in definition.decorator_list:
            if ast.unparse(decorator) not in {"staticmethod", "classmethod"}:
                return f"self.{name}: a method with a decorator"
        self.shipment.add_code(tree, space, f"{owner.__name__}.{function.__name__}")
        return text, needs_of(definition, owner.__name__)

    # ---- at each call ----

    def values(self, instance: Any, kind: Kind, exchange: Exchange) -> tuple[bytes, bytes]:
        """Return the bytes of what is read of an object: of what may hold functions, and the rest.

        Raises:
            NotPlainData: with a line for each attribute that can't cross.
        """
        may_call, rest = self.read(instance, kind)
        extra = dict(_others(instance, kind, exchange.plain)) if kind.everything else {}
        try:
            return encode(may_call, exchange.outward), encode({**extra, **rest}, exchange.plain)
        except NotPlainData:
            offenders = [
                *offenders_of(may_call.items(), exchange.outward),
                *offenders_of(rest.items(), exchange.plain),
            ]
            lines = (f"self.{line}" for line in offenders)
            raise NotPlainData("\n".join(lines)) from None

    def read(self, instance: Any, kind: Kind) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the code names of an object: what may hold functions, and the rest."""
        may_call: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for name in kind.reads:
            value = getattr(instance, name, _MISSING)
            if value is _MISSING:
                continue
            if name in self.shipment.listed and callable(value):
                value = Granted(value, name)
            (may_call if name in kind.declared else rest)[name] = value
        return may_call, rest


def _others(
    instance: Any, kind: Kind, plain: Callable[[Any], list[Any] | None]
) -> Iterator[tuple[str, Any]]:
    """Yield what else an object holds that can cross."""
    for name, value in getattr(instance, "__dict__", {}).items():
        ours = name in kind.reads or name.startswith(RESERVED)
        if not ours and not offenders_of([(name, value)], plain):
            yield name, value


Adder = Callable[[str, Any, type], "tuple[str, Needs] | str"]


class _Found:
    """What is found of a class by following what its methods name.

    Args:
        kind: the class.
        home: the one of its bases, or itself, that the code was written in.
        own: name of the method that the code replaces.
    """

    def __init__(self, kind: type, home: type, own: str) -> None:
        self.kind, self.home, self.own = kind, home, own
        self.texts: dict[type, dict[str, tuple[str, str]]] = {}
        self.reads: dict[str, None] = {}
        self.everything = False
        self.offenders: list[str] = []

    def follow(self, needs: Needs, owner: type, add: Adder) -> None:
        """Take in what a method of `owner` needs."""
        waiting = [(needs, owner)]
        mro = self.kind.__mro__
        while waiting:
            wanted, place = waiting.pop()
            self.everything |= wanted.everything
            if wanted.odd:
                self.offenders.append("super: it can be used as super().method(...) alone")
            names = [(name, mro) for name in wanted.names]
            names += [(name, mro[mro.index(place) + 1 :]) for name in wanted.supers]
            for name, bases in names:
                more = self._one(name, bases, add)
                waiting += more

    def _one(self, name: str, bases: tuple[type, ...], add: Adder) -> list[tuple[Needs, type]]:
        base = next((base for base in bases if name in vars(base)), None)
        member = vars(base)[name] if base is not None else None
        if name == self.own and base in {self.home, None}:
            return []  # the code itself
        plain = getattr(member, "__func__", member)
        if base is None or base is object or not isinstance(plain, types.FunctionType):
            if bases is self.kind.__mro__:
                self.reads[name] = None
            elif base not in {None, object}:
                what = "a bundled function" if isinstance(member, FunModule) else "no method"
                self.offenders.append(f"super().{name}: {what} of a base class")
            return []
        if name in self.texts.setdefault(base, {}):
            return []
        added = add(name, plain, base)
        if isinstance(added, str):
            self.offenders.append(added)
            return []
        text, needs = added
        self.texts[base][name] = (plain.__name__, text)
        return [(needs, base)]

    def layers(self) -> list[tuple[str, bool, list[tuple[str, str]]]]:
        """Return the classes with methods that are needed, bases first."""
        needed = {self.kind, self.home, *self.texts}
        wanted = [base for base in self.kind.__mro__ if base in needed]
        return [
            (base.__name__, base is self.home, list(self.texts.get(base, {}).values()))
            for base in reversed(wanted)
        ]
