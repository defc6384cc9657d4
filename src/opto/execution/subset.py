"""The part of Python that the policy `portable` runs, as pydantic-monty 1.4 has it.

What code uses of the rest is found before it runs, all of it at once.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import chain

MODULES = frozenset(
    """asyncio base64 binascii bisect collections copy csv dataclasses datetime decimal functools
    hashlib itertools json math os pathlib posixpath random re sys time typing
    unicodedata""".split()  # noqa: SIM905 - reads best
)
_MISSING = frozenset(
    """BaseExceptionGroup ExceptionGroup GeneratorExit aiter anext ascii breakpoint bytearray
    callable classmethod compile delattr dir eval exec globals help input issubclass locals
    memoryview staticmethod super vars""".split()  # noqa: SIM905 - reads best
)
# Three of these are there: eval, exec and locals. With them, code could get at what packs values.
_WORDS: dict[type[ast.AST], str] = {
    ast.Yield: "yield (generators)",
    ast.YieldFrom: "yield from (generators)",
    ast.Delete: "del",
    ast.AsyncFor: "async for",
    ast.AsyncWith: "async with",
}
_NEW = {"TryStar": "except*", "TypeAlias": "type aliases", "TemplateStr": "template strings"}


def unsupported(tree: ast.AST, allowed: frozenset[str], where: str = "line") -> list[str]:
    """Return a line for each construct in code that can't be run, in the order of lines.

    Args:
        tree: the code.
        allowed: modules that it may import.
        where: what stands before the number of a line.
    """
    nodes = ast.walk(tree)
    found = [(getattr(n, "lineno", 0), word) for n in nodes for word in _words(n, allowed)]
    return list(dict.fromkeys(f"{where} {line}: {word}" for line, word in sorted(found)))


def _words(node: ast.AST, allowed: frozenset[str]) -> Iterator[str]:
    kind = type(node)
    if kind in _WORDS:
        yield _WORDS[kind]
    elif kind.__name__ in _NEW:
        yield _NEW[kind.__name__]
    elif isinstance(node, ast.ClassDef):
        if node.bases or node.keywords:
            yield f"class {node.name}: a base class or metaclass"
        decorated = (m for m in node.body if isinstance(m, ast.FunctionDef) and m.decorator_list)
        yield from (f"{node.name}.{method.name}: a decorated method" for method in decorated)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.partition(".")[0] not in allowed:
                yield f"import {alias.name}"
    elif isinstance(node, ast.ImportFrom):
        yield from _from(node, allowed)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in _MISSING:
        yield f"{node.id}, a builtin that isn't there"


def _from(node: ast.ImportFrom, allowed: frozenset[str]) -> Iterator[str]:
    module = "." * node.level + (node.module or "")
    if module.partition(".")[0] not in {*allowed, "__future__"}:
        yield f"import {module}"
    elif any(alias.name == "*" for alias in node.names):
        yield f"from {module} import *"


def changes_of(definition: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return a line for each place where a method changes its object."""
    arguments = definition.args
    first = next((a.arg for a in chain(arguments.posonlyargs, arguments.args)), "")
    return [
        f"line {node.lineno}: self is read-only here; return what should change ({node.attr!r})"
        for node in ast.walk(definition)
        if isinstance(node, ast.Attribute)
        and not isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Name)
        and node.value.id == first
    ]


def without_lines(text: str, dropped: list[int]) -> str:
    """Return code without the decorators and imports that start at lines; others stay in place."""
    gone: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        for part in (*getattr(node, "decorator_list", ()), node):
            if isinstance(part, (ast.expr, ast.Import, ast.ImportFrom)) and part.lineno in dropped:
                gone.update(range(part.lineno, (part.end_lineno or part.lineno) + 1))
    lines = text.splitlines()
    return "\n".join("" if number in gone else line for number, line in enumerate(lines, 1)) + "\n"
