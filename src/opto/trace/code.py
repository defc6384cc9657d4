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
import itertools
import os
import types
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from opto.registry import Registry
from opto.trace.source import FunctionNode, pick_definition

_numbers = itertools.count()


def new_filename(name: str) -> str:
    """Return a file name for code of the function `name` that no other code has."""
    return f"<code of {name} #{next(_numbers)}>"


class Loaded(NamedTuple):
    """A function compiled from text.

    Attributes:
        text: what it was compiled from.
        function: the function.
        filename: the name of its file in tracebacks; no such file exists.
    """

    text: str
    function: Callable[..., Any]
    filename: str

    @property
    def sources(self) -> Mapping[str, str] | None:
        """The text by file name, for tracebacks; None if it stands in a file."""
        return {self.filename: self.text} if self.filename else None


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
        self, text: str, surroundings: Surroundings, filename: str, provenance: str
    ) -> Loaded:
        """Return the function that `text` defines.

        Args:
            text: the code.
            surroundings: what it may refer to.
            filename: its name in tracebacks.
            provenance: where it is from.
        """


Execution = str | Loader
EXECUTION: ContextVar[Execution | None] = ContextVar("opto_execution", default=None)
LOADERS: Registry[Loader] = Registry("way of execution", group="opto.execution")
DEFAULT = "inprocess"
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


class _Privates(ast.NodeTransformer):
    """Mangles private names as the class statement would."""

    def __init__(self, owner: str) -> None:
        self.prefix = f"_{owner.lstrip('_')}"

    def _mangled(self, name: str) -> str:
        private = name.startswith("__") and not name.endswith("__")
        return f"{self.prefix}{name}" if private else name

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._mangled(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        node.attr = self._mangled(node.attr)
        return node


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
def load_in_process(
    text: str, surroundings: Surroundings, filename: str, provenance: str
) -> Loaded:
    """Compile `text` and run its top level here; return the function of the right name.

    Raises:
        Exception: whatever the text raises; `SyntaxError` if it isn't Python, `NameError` if it
            defines no function.
    """
    del provenance  # all code is run alike here
    tree, definition = parsed(text, surroundings.name, filename)
    if surroundings.owner:
        tree = _Privates(surroundings.owner).visit(tree)
    cell = _class_cell(surroundings.fun)
    if cell is not None and _uses_class(definition):
        _nest(tree, definition)
    namespace = Namespace(surroundings)
    if cell is not None:
        namespace["__opto_class__"] = cell.cell_contents
    exec(compile(tree, filename, "exec"), namespace)  # noqa: S102 - running it is what it is for
    function = namespace[definition.name]
    function = getattr(function, "_fun", function)  # a text that kept its decorator
    return Loaded(text, function, filename)


def _free_names(fun: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(getattr(fun, "__code__", None), "co_freevars", ())
    return names


def _class_cell(fun: Any) -> types.CellType | None:
    names = _free_names(fun)
    return dict(zip(names, fun.__closure__ or (), strict=True)).get("__class__") if names else None


def _uses_class(definition: FunctionNode) -> bool:
    used = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}
    return bool(used & {"super", "__class__"})


def _nest(tree: ast.Module, definition: FunctionNode) -> None:
    """Put the definition into a function with a variable ``__class__``, as ``super()`` needs it."""
    name = definition.name
    maker = ast.parse(f"def __opto_make__(__class__):\n return {name}\n").body[0]
    call = ast.parse(f"{name} = __opto_make__(__opto_class__)").body[0]
    assert isinstance(maker, ast.FunctionDef)  # noqa: S101 - parsed one line above
    maker.body.insert(0, definition)
    index = tree.body.index(definition)
    tree.body[index : index + 1] = [maker, call]
    ast.fix_missing_locations(tree)
