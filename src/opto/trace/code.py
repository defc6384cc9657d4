"""Running the code of a trainable function.

As long as the parameter holds the author's own text, the author's function runs as it is, with
its closure, its module's globals as they are now, ``super()`` and all. Another text is compiled
once and runs with the same surroundings, found by name: what the function closes over, then helpers
defined next to it, then its module's globals.

In which process another text runs is a `Loader`'s business. This module has one, `inprocess`, and
finds others by name.
"""

from __future__ import annotations

import ast
import builtins
import functools
import itertools
import os
import types
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from opto.registry import Registry
from opto.trace.origin import Origin
from opto.trace.printed import noting, prints, show
from opto.trace.source import FunctionNode, pick_definition

_numbers = itertools.count()


def owner_name(qualname: str) -> str:
    """Return the name of the class in whose body a function was defined, "" for none."""
    path = ["<locals>", *qualname.split(".")]
    return "" if path[-2] == "<locals>" else path[-2]


def new_filename(name: str) -> str:
    """Return a file name for code of the function `name` that no other code has."""
    return f"<code of {name} #{next(_numbers)}>"


class Loaded(NamedTuple):
    """A function compiled from text.

    Attributes:
        text: what it was compiled from.
        function: the function.
        filename: the name of its file in tracebacks; no such file exists ("" for a real one).
        sources: the text by file name, for tracebacks; None if it stands in a file.
        policy: the name of the way in which it runs, "author" for the author's own function.
    """

    text: str
    function: Callable[..., Any]
    filename: str
    sources: Mapping[str, str] | None
    policy: str = ""


class Surroundings(NamedTuple):
    """What code of a function may refer to.

    Attributes:
        fun: the author's function; its closure and globals are seen live.
        helpers: functions, classes and modules that were local where it was defined.
        owner: name of the class that it was defined in ("" for none), for private names.
    """

    fun: Callable[..., Any]
    helpers: Mapping[str, Any]
    owner: str

    @property
    def name(self) -> str:
        """The name of the function."""
        return str(getattr(self.fun, "__name__", ""))


class Loader(Protocol):
    """A way to make a function of a text that its author didn't write."""

    def __call__(
        self, text: str, surroundings: Surroundings, filename: str, origin: Origin
    ) -> Loaded:
        """Return the function that `text` defines.

        Args:
            text: the code.
            surroundings: what it may refer to.
            filename: its name in tracebacks.
            origin: where it is from; never its author.
        """
        ...


Execution = str | Loader
EXECUTION: ContextVar[Execution | None] = ContextVar("opto_execution", default=None)
LOADERS: Registry[Loader] = Registry("way of execution", group="opto.execution")
DEFAULT = "isolated"
_VARIABLE = "OPTO_EXECUTION"


class Namespace(dict[str, Any]):
    """Globals of compiled code: its own names first, then the surroundings, looked up live."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(__builtins__=builtins, __name__=surroundings.fun.__module__)
        self.helpers = surroundings.helpers
        self.outer: dict[str, Any] = getattr(surroundings.fun, "__globals__", {})
        names: tuple[str, ...] = _free_names(surroundings.fun)
        self.cells: dict[str, types.CellType] = dict(
            zip(names, getattr(surroundings.fun, "__closure__", None) or (), strict=True)
        )

    def __missing__(self, name: str) -> Any:
        cell = self.cells.get(name)
        if cell is not None:
            try:
                return cell.cell_contents
            except ValueError:  # not assigned yet
                raise KeyError(name) from None
        if name in self.helpers:
            return self.helpers[name]
        if name in self.outer:
            return self.outer[name]
        return getattr(builtins, name) if hasattr(builtins, name) else _not_found(name)


def _not_found(name: str) -> Any:
    raise KeyError(name)


def loader(chosen: Execution | None) -> Loader:
    """Return the loader `chosen`, or the one of the environment, or the default.

    Raises:
        UnknownName: if there is none of that name; the text isn't run then.
    """
    named = chosen or os.environ.get(_VARIABLE) or DEFAULT
    return LOADERS.get(named) if isinstance(named, str) else named


def parsed(text: str, name: str, filename: str) -> tuple[ast.Module, FunctionNode]:
    """Return the syntax tree of `text` and the definition of the function `name`.

    Raises:
        SyntaxError: if it isn't Python.
        NameError: if it defines no function.
    """
    tree = ast.parse(text, filename)
    definition = pick_definition(tree, name)
    if definition is None:
        message = f"the code defines no function; it must define {name}"
        raise NameError(message)
    return tree, definition


@LOADERS.register("inprocess")
def load_in_process(text: str, surroundings: Surroundings, filename: str, origin: Origin) -> Loaded:
    """Compile `text` and run its top level here; return the function of the right name.

    Raises:
        Exception: whatever the text raises; `SyntaxError` if it isn't Python, `NameError` if it
            defines no function.
    """
    del origin  # all code is run alike here
    tree, definition = parsed(text, surroundings.name, filename)
    namespace = Namespace(surroundings)
    if prints(tree):
        namespace["print"] = show
    owner = surroundings.owner
    if owner:
        _nest(tree, definition, owner)
    exec(compile(tree, filename, "exec"), namespace)  # noqa: S102 - running it is what it is for
    if owner:
        inside = vars(namespace.pop(owner))
        function = _with_class(inside[mangled(definition.name, owner)], surroundings.fun)
    else:
        function = namespace[definition.name]
    function = getattr(function, "_fun", function)  # a text that kept its decorator
    function = noting(function) if "print" in namespace else function
    return Loaded(text, function, filename, {filename: text}, "inprocess")


def may_recur(fun: Callable[..., Any]) -> bool:
    """Whether the code of `fun` uses its own name."""
    code = getattr(fun, "__code__", None)
    return code is None or _mentions(code, code.co_name)


def _mentions(code: types.CodeType, name: str) -> bool:
    """Whether code, or code inside it, uses the name."""
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return name in (*code.co_names, *code.co_freevars) or any(_mentions(c, name) for c in inner)


def _free_names(fun: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(getattr(fun, "__code__", None), "co_freevars", ())
    return names


def mangled(name: str, owner: str) -> str:
    """Return a name as it is called inside the class `owner`."""
    private = name.startswith("__") and not name.endswith("__")
    return f"_{owner.lstrip('_')}{name}" if private else name


def _nest(tree: ast.Module, definition: FunctionNode, owner: str) -> None:
    """Put the definition into a class of the owner's name, so that private names are mangled."""
    maker = ast.parse(f"class {owner}: pass").body[0]
    assert isinstance(maker, ast.ClassDef)  # noqa: S101 - parsed one line above
    maker.body = [definition]
    tree.body[tree.body.index(definition)] = ast.copy_location(maker, definition)
    ast.fix_missing_locations(tree)


def _with_class(function: Any, authors: Any) -> Any:
    """Return the function with the class of the author's one as its ``__class__``, for ``super``.

    One that has none of its own, since the author's doesn't mention its class, finds it by name.
    """
    names = _free_names(function)
    if not isinstance(function, types.FunctionType) or "__class__" not in names:
        return function
    known = dict(zip(_free_names(authors), authors.__closure__ or (), strict=True))
    own = dict(zip(names, function.__closure__ or (), strict=True))
    own["__class__"] = known.get("__class__") or types.CellType(_owner_of(authors))
    made = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(own[name] for name in names),
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return functools.update_wrapper(made, function, updated=("__dict__",))


def _owner_of(fun: Any) -> Any:
    """Return the class in whose body `fun` was defined, looked up by its qualified name."""
    path = fun.__qualname__.rpartition("<locals>.")[2].split(".")[:-1]
    return functools.reduce(getattr, path[1:], fun.__globals__[path[0]])
