"""Inside a candidate's process: its code, with what goes along with it, loaded and called."""

from __future__ import annotations
import __future__

import ast
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opto.errors import MalformedMessage
from opto.execution.standins import Customs
from opto.execution.wire import decode

MOST_ITEMS = 100_000
_MODULE, _SHARED = "__proposed__", "__surroundings__"
_COMPILER_FLAGS = __future__.annotations.compiler_flag
_MISSING = object()
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class View:
    """The object that a method belongs to: what its methods read of it, for reading."""

    def __getattr__(self, name: str) -> Any:
        kind = type(self).__name__
        message = f"{kind!r} object has no attribute {name!r} that is plain data"
        raise AttributeError(message)

    def __setattr__(self, name: str, _: Any) -> None:
        message = f"self is read-only here; return what should change ({name!r})"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)


class Candidate:
    """Code, loaded.

    What goes along with it lives in a module of its own, so that names which the code defines
    don't change what a helper means by them.

    Args:
        load: the shipment; see `opto.execution.crossing`.
        customs: where it is noted which classes the host knows.
    """

    def __init__(self, load: Mapping[str, Any], customs: Customs) -> None:
        self.filename: str = load["filename"]
        self.customs = customs
        self.shared = _module(_SHARED)
        self.module = _module(_MODULE)
        self.kinds: dict[int, type] = {}
        self.name, self.owner = load["name"], load["owner"]
        self.learn(load["lessons"], load["data"])
        self.member = self._load(load["text"], load["dropped"])
        self.function: Callable[..., Any] = getattr(self.member, "__func__", self.member)
        if not self.owner:
            self.shared.setdefault(self.name, self.function)

    def learn(self, lessons: Iterable[Mapping[str, Any]], data: Mapping[str, bytes]) -> None:
        """Take in what code needs of its surroundings: before it is loaded, or with a call."""
        before = dict(self.shared)
        for lesson in lessons:
            for alias, module, attribute in lesson["imports"]:
                found = __import__(module, fromlist=["*"])
                self.shared[alias] = getattr(found, attribute) if attribute else found
        waiting = self._received(data)
        for lesson in lessons:
            for alias, name, text in lesson["helpers"]:
                waiting = self._received(
                    waiting
                )  # values may be of classes, and classes need values
                _execute(ast.parse(text), f"<helper {name}>", self.shared)
                self.shared[alias] = self.shared[name]
                self._know(lesson, alias)
            self._know(lesson)
            for number, layers in lesson["kinds"]:
                self.kinds[number] = self._kind(layers)
        self._received(waiting, final=True)
        for name, value in self.shared.items():
            # What the code has made of a name stays as the code has it.
            if self.module.get(name, _MISSING) is before.get(name, _MISSING):
                self.module[name] = value

    def _know(self, lesson: Mapping[str, Any], only: str = "") -> None:
        for number, alias in lesson["classes"]:
            if only in {"", alias}:
                self.customs.know(number, self.shared[alias])

    def _received(self, data: Mapping[str, bytes], *, final: bool = False) -> dict[str, bytes]:
        """Take in values; return those that are of classes not known yet."""
        waiting: dict[str, bytes] = {}
        for name, part in data.items():
            try:
                self.shared[name] = decode(part, self.customs.inward)
            except MalformedMessage:
                if final:
                    raise
                waiting[name] = part
        return waiting

    def _load(self, text: str, dropped: list[int]) -> Any:
        """Run the code; return its function as it stands in its class or module."""
        tree = ast.parse(text, self.filename)
        tree.body = [node for node in tree.body if node.lineno not in dropped]
        for node in ast.walk(tree):
            if isinstance(node, _FUNCTIONS):
                kept = [d for d in node.decorator_list if d.lineno not in dropped]
                node.decorator_list = kept
        if self.owner:
            return _nested(tree, self.name, self.owner, self.filename, self.module)
        _execute(tree, self.filename, self.module)
        return self.module[self.name]

    def _kind(self, layers: Iterable[tuple[str, bool, list[tuple[str, str]]]]) -> type:
        """Return a class like that of the host's object, with the methods that are needed."""
        made: type = View
        for owner, is_home, texts in layers:
            members = {
                mangled(name, owner): _nested(
                    ast.parse(text), name, owner, f"<methods of {owner}>", self.shared
                )
                for name, text in texts
            }
            if is_home:
                members[mangled(self.name, owner)] = self.member
            made = _class(owner, made, members)
        return made

    def call(self, arguments: bytes, of: tuple[int, bytes, bytes] | None) -> tuple[Any, bool]:
        """Call the function; return its result, and whether that was drained from a generator."""
        args, kwargs = decode(arguments, self.customs.inward)
        if of is None:
            result = self.function(*args, **kwargs)
        else:
            instance: Any = object.__new__(self.kinds[of[0]])
            for part in of[1:]:
                instance.__dict__.update(decode(part, self.customs.inward))
            result = getattr(instance, mangled(self.name, self.owner))(*args, **kwargs)
        if isinstance(result, types.CoroutineType):
            return _finished(result), False
        if isinstance(result, types.AsyncGeneratorType):
            return _finished(_drained_async(result)), True
        if isinstance(result, types.GeneratorType):
            return _drained(result), True
        return result, False


def _module(name: str) -> dict[str, Any]:
    made = sys.modules[name] = types.ModuleType(name)
    return made.__dict__


def _execute(tree: ast.Module, filename: str, space: dict[str, Any]) -> None:
    code = compile(tree, filename, "exec", _COMPILER_FLAGS, dont_inherit=True)
    exec(code, space)  # noqa: S102 - what this process is for


def mangled(name: str, owner: str) -> str:
    """Return a name as it is called inside the class `owner`."""
    private = owner and name.startswith("__") and not name.endswith("__")
    return f"_{owner.lstrip('_')}{name}" if private else name


def _nested(tree: ast.Module, name: str, owner: str, filename: str, space: dict[str, Any]) -> Any:
    """Run code with its function put into a class; return it as it stands in the class."""
    places = [i for i, n in enumerate(tree.body) if isinstance(n, _FUNCTIONS) and n.name == name]
    place = places[-1]
    maker: Any = ast.parse(f"class {owner}: pass").body[0]
    maker.body = [tree.body[place]]
    tree.body[place] = ast.copy_location(maker, tree.body[place])
    ast.fix_missing_locations(tree)
    kept = space.get(owner, _MISSING)
    _execute(tree, filename, space)
    made = vars(space.pop(owner))[mangled(name, owner)]
    if kept is not _MISSING:
        space[owner] = kept
    return made


def _class(name: str, base: type, members: Mapping[str, Any]) -> type:
    """Return a class whose methods find it and its bases, as ``super()`` does."""
    cell = types.CellType()
    made = type(name, (base,), {key: _within(member, cell) for key, member in members.items()})
    cell.cell_contents = made
    return made


def _within(member: Any, cell: types.CellType) -> Any:
    if isinstance(member, (staticmethod, classmethod)):
        return type(member)(_within(member.__func__, cell))
    if not isinstance(member, types.FunctionType) or "__class__" not in member.__code__.co_freevars:
        return member
    names = member.__code__.co_freevars
    old = member.__closure__ or ()
    cells = tuple(cell if n == "__class__" else c for n, c in zip(names, old, strict=True))
    made = types.FunctionType(
        member.__code__, member.__globals__, member.__name__, member.__defaults__, cells
    )
    made.__kwdefaults__ = member.__kwdefaults__
    return made


def _finished(work: Any) -> Any:
    import asyncio  # noqa: PLC0415 - slow to load, and rarely needed

    return asyncio.run(work)


def _drained(items: Any) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        kept.append(item)
        if len(kept) > MOST_ITEMS:
            raise _too_many()
    return kept


async def _drained_async(items: Any) -> list[Any]:
    kept: list[Any] = []
    async for item in items:
        kept.append(item)
        if len(kept) > MOST_ITEMS:
            raise _too_many()
    return kept


def _too_many() -> OverflowError:
    return OverflowError(f"the generator gives more than {MOST_ITEMS} items")
