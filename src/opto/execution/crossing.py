"""What code needs from around it, found by reading it, and made ready to be given to a process.

Names that the code doesn't define are looked up where its author's function sees them. What is
found is a module (imported inside), something that an allowed module holds (imported too), a helper
function or class (its source is given, with what that needs in turn), plain data (copied, and
copied again when it has changed), or what may be called back to. Anything else can't cross, and one
error names all of it.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from opto.errors import CannotIsolate, NotPlainData, SourceNotFound
from opto.execution.capabilities import Granted, Space, Used, described, is_function
from opto.execution.exchange import Desk
from opto.execution.limits import is_allowed
from opto.execution.parts import Shape, shape_of
from opto.execution.reading import READING, free_names, imports_of, paths_of
from opto.execution.sources import class_source, home_of, is_librarys, space_of
from opto.execution.wire import encode
from opto.trace.core import Node
from opto.trace.source import source_of

REMEDIES = (
    "Pass plain data as an argument; let the function make or import what it needs; allow a module "
    "with Policy(imports=...) or a call back to a function with Policy(capabilities=...); or, if "
    "you trust the code, run it here: execution='inprocess'"
)
Lesson = dict[str, list[Any]]
_MISSING = object()


class Shipment:
    """What is given to a process before its first call, and what later calls add to it.

    Args:
        allowed: modules that may be imported.
        listed: names that may be called back to, whatever they are.
        uses: finds what the author's own code uses.
        home: the package that the author's code lies in, whose sources may go along.

    Attributes:
        data: where names of plain data, and of what may be called back to, are looked up.
        lessons: what processes have to know besides; a process is given those that it wasn't yet.
        offenders: what can't cross, a line each.
    """

    def __init__(
        self,
        allowed: frozenset[str],
        listed: Collection[str],
        uses: Callable[[], Used],
        home: str = "",
    ) -> None:
        self.allowed, self.listed, self._uses = allowed, frozenset(listed), uses
        self._callable: set[str] = set()
        self.data: dict[str, Mapping[str, Any]] = {}
        self.lessons: list[Lesson] = [_empty()]
        self.offenders: list[str] = []
        self.seen: dict[str, Any] = {}
        self.desk = Desk(self)
        self.lock = READING
        self._numbers: dict[type, int | None] = {}
        self._known: list[tuple[type, Shape]] = []
        self._open = True
        self.home = home

    @cached_property
    def declared(self) -> Used:
        """Names and attributes under which functions of this process may be given."""
        used = self._uses()
        return Used(used.names | self.listed, used.attributes | self.listed)

    @property
    def lesson(self) -> Lesson:
        """The lesson that is being written; those that processes may have aren't changed."""
        if not self._open:
            self.lessons.append(_empty())
            self._open = True
        return self.lessons[-1]

    def taken(self) -> list[Lesson]:
        """Return the lessons, of which none is changed from now on."""
        with self.lock:
            self._open = False
            return list(self.lessons)

    def check(self, name: str) -> None:
        """Raise one error for everything that can't cross, if anything can't."""
        if self.offenders:
            reason = f"{name} can't run in a process of its own. {REMEDIES}. What can't cross:"
            raise CannotIsolate(reason, self.offenders)

    # ---- names ----

    def add_free_names(self, tree: ast.Module, space: Mapping[str, Any], user: str = "") -> None:
        """Add what the names stand for that `tree` uses and doesn't define.

        Args:
            tree: the code.
            space: where its names are looked up.
            user: the helper that it is the code of.
        """
        for name in sorted(free_names(tree)):
            try:
                value = space[name]
            except KeyError:  # unknown here too: a NameError inside, as in plain Python
                continue
            if value is not getattr(builtins, name, _MISSING):
                before = len(self.offenders)
                self.add(name, value, space, tree)
                if user:
                    also = f" (used by {user})"
                    found = self.offenders[before:]
                    self.offenders[before:] = [
                        line if line.endswith(")") else line + also for line in found
                    ]

    def add(self, name: str, value: Any, space: Mapping[str, Any], tree: ast.Module) -> None:
        """Add the value of one name, which `tree` uses."""
        if name in self.seen:
            if self.seen[name] is not value and name not in self.data:
                self.offenders.append(f"{name}: two helpers mean different things by it")
            return
        self.seen[name] = value
        home = home_of(name, value, self.allowed)
        if isinstance(value, types.ModuleType):
            self._add_module(name, value, tree)
        elif name in self.listed and callable(value):
            self._callable.add(name)
            self.data[name] = _Listed(name, space)
        elif isinstance(value, Node):
            self.data[name] = space
        elif is_function(value):
            self._add_function(name, value, space)
        elif home:
            self.lesson["imports"].append((name, *home))
        elif isinstance(value, type) or isinstance(inspect.unwrap(value), types.FunctionType):
            self._add_source(name, value)
        else:
            self._add_data(name, value, space)
        if name in self.data:
            self.seen[name] = None  # looked up anew at each call; it must not live by this

    def _add_function(self, name: str, value: Any, space: Mapping[str, Any]) -> None:
        if name in self.declared.names:
            self._callable.add(name)
            self.data[name] = space
        else:
            self.offenders.append(f"{name}: {undeclared(name, value)}")

    def _add_module(self, name: str, module: types.ModuleType, tree: ast.Module) -> None:
        if is_allowed(module.__name__, self.allowed):
            self.lesson["imports"].append((name, module.__name__, ""))
            return
        paths = paths_of(tree, name)
        reached = {path: _reached(module, path) for path in paths or ()}
        if not reached or not all(map(is_function, reached.values())):
            self.offenders.append(f"{name}: the module {module.__name__} isn't allowed")
            return
        hidden = sorted(path for path in reached if path[-1] not in self.declared.attributes)
        for path in hidden:
            full = ".".join((name, *path))
            self.offenders.append(f"{full}: {undeclared(path[-1], reached[path])}")
        if not hidden:
            self._callable.add(name)
            self.data[name] = {name: _space(reached)}

    def _add_data(self, name: str, value: Any, space: Mapping[str, Any]) -> None:
        try:
            encode(value, self.desk.plain)
        except NotPlainData as error:
            if name not in self.declared.names or offenders_of([(name, value)], self.desk.outward):
                self.offenders.append(f"{name}: {error}")
                return
            self._callable.add(name)
        self.data[name] = space

    # ---- sources ----

    def _add_source(self, name: str, value: Any) -> None:
        module = str(getattr(value, "__module__", None) or "")
        if is_librarys(module) and module.partition(".")[0] != self.home:
            self.offenders.append(f"{name}: it belongs to {module}, which isn't allowed")
            return
        is_class = isinstance(value, type)
        try:
            text = class_source(value) if is_class else source_of(value).text
            tree = ast.parse(text)
        except (SourceNotFound, SyntaxError, OSError, TypeError):
            self.offenders.append(f"{name}: its source can't be found")
            return
        own = getattr(inspect.unwrap(value), "__name__", name)
        if not (tree.body and getattr(tree.body[-1], "name", own) == own):
            self.offenders.append(f"{name}: it isn't defined by def or class")
            return
        self.add_code(tree, space_of(value), own, name)
        self.lesson["helpers"].append((name, own, text))
        if is_class:
            self._note_class(name, value)

    def add_code(
        self, tree: ast.Module, space: Mapping[str, Any], own: str, name: str = ""
    ) -> None:
        """Add what code that goes along needs in turn."""
        for _, module in imports_of(tree):
            if not is_allowed(module, self.allowed):
                message = f"{name or own}: it imports {module}, which isn't allowed"
                self.offenders.append(message)
        self.add_free_names(tree, space, own)

    def _note_class(self, alias: str, kind: type) -> None:
        """Give a class a number, if instances of it can cross."""
        shape = shape_of(kind)
        if shape and self._numbers.get(kind) is None:
            self._numbers[kind] = len(self._known)
            self._known.append((kind, shape))
            self.lesson["classes"].append((self._numbers[kind], alias))

    def number_of(self, kind: type) -> int | None:
        """Return the number of a class, whose source is given along if it wasn't yet.

        Raises:
            NotPlainData: if it is one of those that can cross, but for its source.
        """
        if kind in self._numbers:
            return self._numbers[kind]
        with self.lock:
            return self._number_of(kind)

    def _number_of(self, kind: type) -> int | None:
        if not shape_of(kind) or kind.__module__.partition(".")[0] == "opto":
            self._numbers[kind] = None
            return None
        name = kind.__name__
        with self.trying(f"its class {kind.__qualname__} can't go along: "):
            home = home_of(name, kind, self.allowed)
            if self.seen.get(name, kind) is not kind:
                self.offenders.append(f"{name}: two classes of that name")
            elif home:
                self.lesson["imports"].append((name, *home))
            elif name not in self.seen:
                self.seen[name] = kind
                self._add_source(name, kind)
            self.seen[name] = kind
            self._note_class(name, kind)
        return self._numbers[kind]

    @contextmanager
    def trying(self, reason: str, between: str = "; ") -> Iterator[None]:
        """Add what the block adds, or nothing of it if any of it can't cross.

        Raises:
            NotPlainData: in that case, with all that can't.
        """
        lesson = self.lesson
        seen, data, numbers = dict(self.seen), dict(self.data), dict(self._numbers)
        lists: list[list[Any]] = [*lesson.values(), self._known]
        lengths = [len(kind) for kind in lists]
        before = len(self.offenders)
        yield
        found = self.offenders[before:]
        if found:
            del self.offenders[before:]
            self.seen, self.data, self._numbers = seen, data, numbers
            for kind, length in zip(lists, lengths, strict=True):
                del kind[length:]
            raise NotPlainData(reason + between.join(found))

    def known(self, number: int) -> tuple[type, Shape]:
        """Return the class of a number.

        Raises:
            IndexError: if there is none.
        """
        if number < 0:
            raise IndexError(number)
        return self._known[number]

    # ---- values ----

    def values(self) -> dict[str, Any]:
        """Return what the names stand for now."""
        with self.lock:
            return {name: space[name] for name, space in self.data.items()}

    def encoded(self, values: Mapping[str, Any]) -> dict[str, bytes]:
        """Return the bytes of each value.

        Raises:
            CannotIsolate: for all that can't cross as it is now.
        """
        made: dict[str, bytes] = {}
        offenders: list[str] = []
        with self.lock, self.desk.renewed():
            for name, value in values.items():
                open_to = name in self._callable
                try:
                    made[name] = encode(value, self.desk.outward if open_to else self.desk.plain)
                except NotPlainData as error:
                    offenders.append(f"{name}: {_reason(name, value, error)}")
        if offenders:
            reason = f"the code can't run in a process of its own. {REMEDIES}. What can't cross:"
            raise CannotIsolate(reason, offenders)
        return made


def _empty() -> Lesson:
    return {"imports": [], "helpers": [], "classes": [], "kinds": []}


def offenders_of(
    items: Iterable[tuple[str, Any]], outward: Callable[[Any], list[Any] | None]
) -> list[str]:
    """Return a line for each value that can't cross."""
    found: list[str] = []
    for name, value in items:
        try:
            encode(value, outward)
        except NotPlainData as error:
            found.append(f"{name}: {_reason(name, value, error)}")
    return found


def _reason(name: str, value: Any, error: NotPlainData) -> str:
    return undeclared(name, value) if is_function(value) else str(error)


def undeclared(name: str, value: Any) -> str:
    """Return what to say of a function of the host that nobody declared."""
    return (
        f"{described(value)} that the author's own code doesn't use; if it may be called, say so "
        f"with Policy(capabilities={{{name!r}}})"
    )


class _Listed(Mapping[str, Any]):
    """Looks up a name that is listed, as what may be called."""

    def __init__(self, name: str, space: Mapping[str, Any]) -> None:
        self.name, self.space = name, space

    def __getitem__(self, name: str) -> Any:
        value = self.space[name]
        return Granted(value, name) if callable(value) else value

    def __iter__(self) -> Any:
        return iter((self.name,))

    def __len__(self) -> int:
        return 1


def _reached(module: types.ModuleType, path: Iterable[str]) -> Any:
    found: Any = module
    for name in path:
        found = getattr(found, name, None)
    return found


def _space(reached: Mapping[tuple[str, ...], Any]) -> Space:
    """Return names and values as a module would have them."""
    tree: dict[str, Any] = {}
    for path, value in reached.items():
        inner = tree
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return _spaces(tree)


def _spaces(tree: Mapping[str, Any]) -> Space:
    return Space({n: _spaces(v) if isinstance(v, dict) else v for n, v in tree.items()})
