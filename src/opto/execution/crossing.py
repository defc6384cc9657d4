"""What code needs from around it, found by reading it, and made ready to be given to a process.

Names that the code doesn't define are looked up where its author's function sees them. What is
found is a module (imported inside), something that an allowed module holds (imported too), a helper
function or class (its source is given, with what that needs in turn), or plain data (copied, and
copied again when it has changed). Anything else can't cross, and one error names all of it.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import symtable
import sys
import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from opto.errors import CannotIsolate, NotPlainData, SourceNotFound
from opto.execution.limits import is_allowed
from opto.execution.wire import encode
from opto.trace.code import Namespace, Surroundings
from opto.trace.core import Node
from opto.trace.function import FunModule
from opto.trace.source import FunctionNode, source_of

REMEDIES = (
    "Pass plain data as an argument; let the function make or import what it needs; allow a module "
    "with Policy(imports=...); or, if you trust the code, run it here: execution='inprocess'"
)


@dataclass
class Shipment:
    """What is given to a process before its first call.

    Attributes:
        imports: alias, module and attribute ("" for the module itself).
        helpers: alias, name and source of functions and classes, each after what it is made of.
        data: where names of plain data are looked up, at each call.
        offenders: what can't cross, a line each.
    """

    allowed: frozenset[str]
    imports: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    helpers: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    data: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    offenders: list[str] = field(default_factory=list[str])
    seen: dict[str, Any] = field(default_factory=dict[str, Any])

    def check(self, name: str) -> None:
        """Raise one error for everything that can't cross, if anything can't."""
        if self.offenders:
            reason = f"{name} can't run in a process of its own. {REMEDIES}. What can't cross:"
            raise CannotIsolate(reason, self.offenders)

    def add_free_names(self, tree: ast.Module, space: Mapping[str, Any], user: str = "") -> None:
        """Add what the names stand for that `tree` uses and doesn't define.

        Args:
            tree: the code.
            space: where its names are looked up.
            user: the helper that it is the code of.
        """
        for name in sorted(_free_names(tree)):
            try:
                value = space[name]
            except KeyError:  # unknown here too: a NameError inside, as in plain Python
                continue
            if value is not getattr(builtins, name, _MISSING):
                before = len(self.offenders)
                self.add(name, value, space)
                if user:
                    also = f" (used by {user})"
                    found = self.offenders[before:]
                    self.offenders[before:] = [
                        line if line.endswith(")") else line + also for line in found
                    ]

    def add(self, name: str, value: Any, space: Mapping[str, Any]) -> None:
        """Add the value of one name."""
        if name in self.seen:
            if self.seen[name] is not value and name not in self.data:
                self.offenders.append(f"{name}: two helpers mean different things by it")
            return
        self.seen[name] = value
        home = _home(name, value, self.allowed)
        if isinstance(value, types.ModuleType):
            if is_allowed(value.__name__, self.allowed):
                self.imports.append((name, value.__name__, ""))
            else:
                self.offenders.append(f"{name}: the module {value.__name__} isn't allowed")
        elif home:
            self.imports.append((name, *home))
        elif isinstance(value, (FunModule, Node)):
            kind = "bundled function" if isinstance(value, FunModule) else "node"
            self.offenders.append(f"{name}: a {kind} lives in the graph of this process")
        elif isinstance(value, type) or isinstance(inspect.unwrap(value), types.FunctionType):
            self._add_source(name, value)
        else:
            self._add_data(name, value, space)

    def _add_data(self, name: str, value: Any, space: Mapping[str, Any]) -> None:
        try:
            encode(value)
        except NotPlainData as error:
            self.offenders.append(f"{name}: {error}")
        else:
            self.data[name] = space

    def _add_source(self, name: str, value: Any) -> None:
        try:
            is_class = isinstance(value, type)
            text = _class_source(value) if is_class else source_of(value).text
            tree = ast.parse(text)
        except (SourceNotFound, SyntaxError, OSError, TypeError):
            self.offenders.append(f"{name}: its source can't be found")
            return
        own = getattr(inspect.unwrap(value), "__name__", name)
        if not (tree.body and getattr(tree.body[0], "name", "") == own):
            self.offenders.append(f"{name}: it isn't defined by def or class")
            return
        for module in _imported(tree):
            if not is_allowed(module, self.allowed):
                self.offenders.append(f"{name}: it imports {module}, which isn't allowed")
        self.add_free_names(tree, _space_of(value), own)
        self.helpers.append((name, own, text))


def _space_of(value: Any) -> Mapping[str, Any]:
    if isinstance(value, type):
        return vars(sys.modules[value.__module__])
    return Namespace(Surroundings(inspect.unwrap(value), {}, ""))


def _class_source(value: type) -> str:
    return textwrap.dedent(inspect.getsource(value))


_MISSING = object()


def _home(name: str, value: Any, allowed: frozenset[str]) -> tuple[str, str] | None:
    """Return the allowed module that holds `value`, and under which name."""
    if isinstance(value, (types.ModuleType, FunModule, Node)):
        return None
    own = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    modules = [getattr(value, "__module__", None), type(value).__module__]
    for module in modules:
        found = sys.modules.get(module) if isinstance(module, str) else None
        if found is None or not is_allowed(found.__name__, allowed):
            continue
        for attribute in (own, name):
            if isinstance(attribute, str) and found.__dict__.get(attribute) is value:
                return found.__name__, attribute
    return None


# ---- reading code --------------------------------------------------------------------------------


class _WithoutAnnotations(ast.NodeTransformer):
    """Blanks annotations: they are never evaluated inside."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.copy_location(ast.Constant(None), node.annotation)
        return self.generic_visit(node)


def _free_names(tree: ast.Module) -> set[str]:
    """Return the names that code refers to and doesn't define at its top level."""
    stripped = _WithoutAnnotations().visit(ast.parse(ast.unparse(tree)))
    top = symtable.symtable(ast.unparse(stripped), "<code>", "exec")
    own = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    used = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    for table in _inner(top):
        used |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        own |= {s.get_name() for s in table.get_symbols() if s.is_declared_global()}
    return used - own


def _inner(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _inner(child)


def _imported(tree: ast.AST) -> Iterator[str]:
    for _, module in imports_of(tree):
        yield module


def imports_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of the modules that `tree` imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def uses_class(definition: FunctionNode) -> bool:
    """Whether code refers to the class that it is written in."""
    names = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}
    return bool(names & {"super", "__class__"})


def without_our_decorators(
    tree: ast.Module, definition: FunctionNode, space: Mapping[str, Any]
) -> list[int]:
    """Take decorators of this library out of `tree`, and imports that were there for them alone.

    Inside, they mean nothing.

    Returns:
        The lines that were taken out.
    """
    imports = [node for node in tree.body if _imports_us(node)]
    bound = {alias.asname or alias.name for node in imports for alias in node.names}
    bound |= {"opto"} if imports else set()
    ours = [d for d in definition.decorator_list if _is_ours(_root(d), bound, space)]
    definition.decorator_list = [d for d in definition.decorator_list if d not in ours]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if used & bound:
        return [decorator.lineno for decorator in ours]
    tree.body = [node for node in tree.body if node not in imports]
    return [node.lineno for node in (*ours, *imports)]


def _imports_us(node: ast.stmt) -> TypeGuard[ast.Import | ast.ImportFrom]:
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return False
    return all(module.partition(".")[0] == "opto" for _, module in imports_of(node))


def _root(decorator: ast.expr) -> str:
    """Return the name that an expression like ``trace.bundle(...)`` starts with."""
    root: ast.expr = decorator
    while isinstance(root, (ast.Call, ast.Attribute)):
        root = root.func if isinstance(root, ast.Call) else root.value
    return root.id if isinstance(root, ast.Name) else ""


def _is_ours(name: str, bound: set[str], space: Mapping[str, Any]) -> bool:
    try:
        value = space[name]
    except KeyError:
        return name in bound
    module = getattr(value, "__name__" if inspect.ismodule(value) else "__module__", "")
    return name in bound or str(module).partition(".")[0] == "opto"


# ---- the object of a method ----------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """Which attributes of its object a method reads.

    Attributes:
        names: those that it names; None for all, since it does more with the object than that.
        owner: the class that the code is written in, for private names.
    """

    names: Sequence[str] | None
    owner: str

    def of(self, instance: Any) -> tuple[str, dict[str, Any], list[str]]:
        """Return the name of the object's class, its plain attributes, and what can't cross."""
        names = vars(instance) if self.names is None else self.names
        plain: dict[str, Any] = {}
        offenders: list[str] = []
        for name in names:
            value = getattr(instance, self._mangled(name), _MISSING)
            if value is _MISSING:
                continue
            try:
                encode(value)
            except NotPlainData as error:
                what = "a method" if inspect.ismethod(value) else str(error)
                offenders.append(f"self.{name}: {what}")
            else:
                plain[name] = value
        return type(instance).__name__, plain, offenders if self.names is not None else []

    def _mangled(self, name: str) -> str:
        private = self.owner and name.startswith("__") and not name.endswith("__")
        return f"_{self.owner.lstrip('_')}{name}" if private else name


def wanted_of(definition: FunctionNode, owner: str) -> Wanted:
    """Return what a method reads of the object that its first parameter is."""
    parameters = [*definition.args.posonlyargs, *definition.args.args]
    first = parameters[0].arg if parameters else ""
    read: list[str] = []
    alone = 0
    for node in ast.walk(definition):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == first:
                alone -= 1
                read.append(node.attr)
        elif isinstance(node, ast.Name) and node.id == first:
            alone += 1
    named = list(dict.fromkeys(name for name in read if not name.startswith("__dict")))
    everything = alone > 0 or "__dict__" in read
    return Wanted(None if everything else named, owner)
