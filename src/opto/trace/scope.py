"""What the code that runs now is traced with: recording on or off, fresh names, reads seen.

All of it lives in context variables, so nesting, threads and asyncio tasks can't disturb one
another. A new thread starts in the root scope: recording, with the names shared by all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakValueDictionary


class Counter:
    """Numbers the nodes of one base name; taking a number is atomic."""

    __slots__ = ("__weakref__", "base", "take")

    def __init__(self, base: str) -> None:
        self.base = base
        self.take = itertools.count().__next__

    def taken(self) -> int:
        """Return how many numbers were taken."""
        # An `itertools.count` shows its state in its repr alone; it is the method's `__self__`.
        return int(repr(self.take.__self__)[len("count(") : -1])  # type: ignore[attr-defined]  # builtin method


class Names:
    """The counters of all base names, with one view of them for each name scope."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}
        self._copies: WeakValueDictionary[str, Counter] = WeakValueDictionary()
        self._views: dict[str, dict[str, Counter]] = {}

    def view(self, prefix: str) -> dict[str, Counter]:
        """Return the counters by base name without `prefix`; filled by `counter`."""
        return self._views.setdefault(prefix, {})

    def counter(self, base: str, prefix: str = "") -> Counter:
        """Return the counter of `base` below `prefix`."""
        full = f"{prefix}/{base}" if prefix else base
        found = self._counters.setdefault(full, Counter(full))
        return self.view(prefix).setdefault(base, found)

    def copy_counter(self, base: str) -> Counter:
        """Return a counter that is forgotten when the last node named by it is gone.

        Names of copies are derived from names of nodes, so there is no bound on how many there are.
        """
        if base in self._counters:
            return self._counters[base]
        return self._copies.setdefault(base, Counter(base))

    def clear(self) -> None:
        """Start all numbers again; nodes that exist keep their names."""
        self._counters.clear()
        self._copies.clear()
        for view in self._views.values():
            view.clear()

    def total(self) -> int:
        """Return how many names were given since the last `clear`."""
        counters = [*self._counters.values(), *self._copies.values()]
        return sum(counter.taken() for counter in counters)

    def counters(self) -> dict[str, Counter]:
        """Return a copy of the counters by full base name."""
        return {**self._copies, **self._counters}


class Scope:
    """One immutable setting of the tracer.

    Attributes:
        recording: whether results keep their inputs.
        names: where names come from.
        prefix: the innermost name scope ("" for none).
        counters: the view of `names` for `prefix`, looked up at every operation.
    """

    __slots__ = ("counters", "names", "prefix", "recording")

    def __init__(self, names: Names, *, recording: bool = True, prefix: str = "") -> None:
        self.names, self.recording, self.prefix = names, recording, prefix
        self.counters = names.view(prefix)

    def counter(self, base: str) -> Counter:
        """Return the counter for nodes of that base name made here."""
        return self.counters.get(base) or self.names.counter(base, self.prefix)

    def replace(self, *, recording: bool | None = None, prefix: str | None = None) -> Scope:
        """Return this setting with something changed."""
        return Scope(
            self.names,
            recording=self.recording if recording is None else recording,
            prefix=self.prefix if prefix is None else prefix,
        )


ROOT = Scope(Names())
SCOPE: ContextVar[Scope] = ContextVar("opto_scope", default=ROOT)
READS: ContextVar[list[tuple[Any, bool]] | None] = ContextVar("opto_reads", default=None)
"""What the running function read: nodes, and whether it took the value or only tested it."""


@contextmanager
def use(scope: Scope) -> Iterator[Scope]:
    """Trace with `scope` inside the block."""
    token = SCOPE.set(scope)
    try:
        yield scope
    finally:
        SCOPE.reset(token)


@contextmanager
def new_scope() -> Iterator[Scope]:
    """Trace with names of one's own inside the block: they start at 0, whatever was made before."""
    with use(Scope(Names())) as scope:
        yield scope


class stop_tracing:  # noqa: N801 - the name that users of the original import
    """Operations inside the block compute their values but record no inputs.

    Nests, and concerns the running thread or asyncio task alone.
    """

    def __init__(self) -> None:
        self._managers: list[object] = []

    def __enter__(self) -> None:
        self._managers.append(SCOPE.set(SCOPE.get().replace(recording=False)))

    def __exit__(self, *exc_info: object) -> None:
        SCOPE.reset(self._managers.pop())  # type: ignore[arg-type]  # a token of SCOPE, pushed above


@contextmanager
def name_scope(name: str) -> Iterator[None]:
    """Put ``<name>/`` before the names of nodes made inside the block."""
    with use(SCOPE.get().replace(prefix=name)):
        yield


class NameScopes:
    """The name scopes as the list that the original exposes; only the innermost one matters."""

    def __init__(self) -> None:
        self._stack: ContextVar[tuple[Scope, ...]] = ContextVar("opto_name_scopes", default=())

    def append(self, name: str) -> None:
        """Enter a name scope."""
        outer = SCOPE.get()
        self._stack.set((*self._stack.get(), outer))
        SCOPE.set(outer.replace(prefix=name))

    def pop(self) -> str:
        """Leave the innermost name scope and return its name."""
        *rest, outer = self._stack.get()
        name = SCOPE.get().prefix
        self._stack.set(tuple(rest))
        SCOPE.set(SCOPE.get().replace(prefix=outer.prefix))
        return name

    def __len__(self) -> int:
        return len(self._stack.get())


NAME_SCOPES = NameScopes()
