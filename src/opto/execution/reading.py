"""What can be read off code before it is run."""

from __future__ import annotations

import ast
import inspect
import symtable
import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from opto.trace.source import FunctionNode

# Parsing in two threads at once fails now and then on Python 3.11 ("AST constructor recursion depth
# mismatch"), so code is read by one thread after the other.
READING = threading.RLock()
_MEANT = ("ClassVar", "InitVar", "KW_ONLY")  # annotations that dataclasses look at


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
        root: ast.expr = ast.Constant(None)
        if any(word in ast.unparse(node.annotation) for word in _MEANT):
            roots = (n for n in ast.walk(node.annotation) if isinstance(n, ast.Name))
            root = next(roots, root)
        node.annotation = ast.copy_location(root, node.annotation)
        return self.generic_visit(node)


def _stripped(tree: ast.Module) -> ast.Module:
    stripped: ast.Module = _WithoutAnnotations().visit(ast.parse(ast.unparse(tree)))
    return stripped


def free_names(tree: ast.Module) -> set[str]:
    """Return the names that code refers to and doesn't define at its top level."""
    top = symtable.symtable(ast.unparse(_stripped(tree)), "<code>", "exec")
    own = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    used = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    for table in _inner(top):
        used |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    return used - own - {"__class__"}


def _inner(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _inner(child)


def imports_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of the modules that `tree` imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def paths_of(tree: ast.Module, name: str) -> set[tuple[str, ...]] | None:
    """Return the attributes that code reaches from a name; None if it uses the name alone too."""
    paths: set[tuple[str, ...]] = set()
    inner: set[int] = set()
    for node in ast.walk(_stripped(tree)):  # from the outside in: the longest path comes first
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            path = [node.attr]
            value = node.value
            while isinstance(value, ast.Attribute):
                inner.add(id(value))
                path.insert(0, value.attr)
                value = value.value
            if isinstance(value, ast.Name) and value.id == name:
                inner.add(id(value))
                paths.add(tuple(path))
        elif isinstance(node, ast.Name) and node.id == name and id(node) not in inner:
            return None
    return paths


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
