"""A trained class as plain Python text: no nodes, no bundles, the values and code of now."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from opto.errors import InvalidArgument, SourceNotFound
from opto.trace.containers import CodeContainer
from opto.trace.core import Node
from opto.trace.holding import plain
from opto.trace.origin import AUTHOR


def class_source(instance: Any) -> str:
    """Return the class of `instance` as plain Python text, members in alphabetical order.

    Bundle decorators are gone, trainable methods have their current code, with a remark on where it
    is from if its author didn't write it, and attributes that hold nodes are assigned their current
    values. Imports of the class's module that it uses come first.

    Raises:
        SourceNotFound: if the source of the class can't be found.
        InvalidArgument: if a value has no literal form.
    """
    kind: type = type(instance)
    cls: type = getattr(kind, "__opto_wrapped__", kind)
    text, definition = _parsed(cls)
    members = dict(_members(instance, cls, text, definition))
    bases = [ast.unparse(base) for base in definition.bases]
    kept = [base for base in bases if base.rpartition(".")[2] not in {"Module", "Model", "object"}]
    head = f"class {definition.name}({', '.join(kept)}):" if kept else f"class {definition.name}:"
    parts = [members[name] for name in sorted(members)]
    doc = ast.get_docstring(definition)
    if doc:
        parts.insert(0, f'"""{doc}"""')
    body = textwrap.indent("\n\n".join(parts) or "pass", "    ")
    imports = _imports_used(cls, body)
    return "\n".join([*imports, *(["", ""] if imports else []), head, body, ""])


def _parsed(cls: type) -> tuple[str, ast.ClassDef]:
    try:
        text = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError) as error:
        message = f"the source of class {cls.__name__} can't be found, so it can't be exported"
        raise SourceNotFound(message) from error
    definition = ast.parse(text).body[0]
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - getsource of a class gives one
    return text, definition


def _members(
    instance: Any, cls: type, text: str, definition: ast.ClassDef
) -> Iterator[tuple[str, str]]:
    """Yield name and text of each member."""
    for statement in definition.body:
        name = _name_of(statement)
        if name is None:
            continue
        member = inspect.getattr_static(cls, name, None)
        inner = getattr(member, "__func__", member)
        if isinstance(inner, CodeContainer):
            yield name, _bundled(instance, name, member, inner)
        else:
            yield name, _edited(instance, _segment(text, statement))


def _name_of(statement: ast.stmt) -> str | None:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return statement.name
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    return None


def _segment(text: str, statement: ast.stmt) -> str:
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    lines = text.splitlines()[first - 1 : statement.end_lineno]
    return textwrap.dedent("\n".join(lines))


def _bundled(instance: Any, name: str, member: Any, bundle: Any) -> str:
    head = ""
    if bundle.trainable:
        parameter = getattr(instance, name).parameter
        source = str(parameter._data)
        if parameter.origin != AUTHOR:
            head = f"# From {parameter.origin}.\n"  # it runs as the author's from now on
    else:
        source = str(bundle.about["source"])
    if isinstance(member, (staticmethod, classmethod)):
        head += f"@{type(member).__name__}\n"
    return head + _edited(instance, textwrap.dedent(source).strip("\n"))


def _edited(instance: Any, source: str) -> str:
    """Return `source` with nodes replaced by their values."""
    edits: dict[tuple[int, int], str] = {}
    lines = [0]
    for line in source.encode().splitlines(keepends=True):
        lines.append(lines[-1] + len(line))

    def span(node: ast.expr) -> tuple[int, int]:
        start = lines[node.lineno - 1] + node.col_offset
        return start, lines[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            literal = _current(instance, node)
            if literal is not None:
                edits[span(node.value)] = literal
        elif isinstance(node, ast.Call) and _makes_node(node):
            inside = source.encode()[slice(*span(node.args[0]))].decode()
            edits.setdefault(span(node), inside)
    return _applied(source.encode(), edits).decode()


def _current(instance: Any, node: ast.Assign | ast.AnnAssign) -> str | None:
    """Return the literal for ``self.x = ...`` if attribute ``x`` holds nodes, else None."""
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    if not (isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)):
        return None
    if target.value.id != "self":
        return None
    attributes: dict[str, Any] = vars(instance)
    held = attributes.get(target.attr)
    value = plain(held, Node)
    if value is held:
        return None
    literal = repr(value)
    try:
        same = ast.literal_eval(literal) == value
    except (ValueError, SyntaxError):
        same = False
    if not same:
        message = (
            f"the value of {target.attr!r}, a {type(value).__name__}, has no literal form; "
            "only numbers, text, and containers of them can be exported"
        )
        raise InvalidArgument(message)
    return literal


def _makes_node(call: ast.Call) -> bool:
    return ast.unparse(call.func).rpartition(".")[2] == "node" and bool(call.args)


def _applied(source: bytes, edits: dict[tuple[int, int], str]) -> bytes:
    """Put the texts in the places of the spans; a span inside another one is dropped."""
    pieces: list[bytes] = []
    done = 0
    for start, stop in sorted(edits, key=lambda span: (span[0], -span[1])):
        if start >= done:
            pieces += [source[done:start], edits[start, stop].encode()]
            done = stop
    return b"".join([*pieces, source[done:]])


def _imports_used(cls: type, body: str) -> list[str]:
    """Return the import lines of the class's module that bind names used in `body`."""
    module = sys.modules.get(cls.__module__)
    try:
        tree = ast.parse(inspect.getsource(module)) if module is not None else ast.Module([], [])
    except (OSError, TypeError):
        return []
    used = {
        node.id for node in ast.walk(ast.parse(f"class _:\n{body}")) if isinstance(node, ast.Name)
    }
    found: list[str] = []
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            bound = {(name.asname or name.name).partition(".")[0] for name in statement.names}
            line = ast.unparse(statement)
            module_name = getattr(statement, "module", None) or statement.names[0].name
            if bound & used and module_name.partition(".")[0] != "opto":
                found.append(line)
    return found
