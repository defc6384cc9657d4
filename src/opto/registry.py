"""Names for things that others may add: decorate, or declare an entry point."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Generic, TypeVar, cast

from opto.errors import InvalidArgument, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name.

    Args:
        kind: what they are, for messages ("optimizer").
        group: the entry-point group in which other distributions add theirs; it is read when a name
            isn't found among the registered ones, or when the names are listed.
    """

    def __init__(self, kind: str, *, group: str | None = None) -> None:
        self.kind, self.group = kind, group
        self._known: dict[str, T] = {}

    def add(self, name: str, thing: T) -> T:
        """Register `thing`; raises `InvalidArgument` if the name is taken by something else."""
        if self._known.setdefault(name, thing) is not thing:
            message = f"{self.kind} {name!r} is registered already; choose another name"
            raise InvalidArgument(message)
        return thing

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers what it decorates."""
        return lambda thing: self.add(name, thing)

    def names(self) -> list[str]:
        """All names, sorted, those of entry points included (without importing them)."""
        return sorted({*self._known, *self._declared()})

    def get(self, name: str) -> T:
        """Return the thing of that name; raises `UnknownName`, which lists the known ones."""
        if name in self._known:
            return self._known[name]
        load = self._declared().get(name)
        if load is None:
            raise UnknownName(self.kind, name, self.names())
        return self.add(name, load())

    def _declared(self) -> dict[str, Callable[[], T]]:
        if self.group is None:
            return {}
        # Looked up by name: it costs as much as all of `opto.trace`, and few programs need it.
        found = import_module("importlib.metadata").entry_points(group=self.group)
        return {point.name: cast("Callable[[], T]", point.load) for point in found}
