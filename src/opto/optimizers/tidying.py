"""Makes a function of what a small model wrote around it, and gives it its docstring back."""

from __future__ import annotations

import ast
from typing import get_args

from opto.errors import ProposalError
from opto.optimizers.code import (
    Function,
    functions,
    main_function,
    main_of,
    parameter_names,
    tree_of,
    unfenced,
)

_DEFINING = (*get_args(Function), ast.Import, ast.ImportFrom)


def tidied(text: str, current: str, hint: str | None = None) -> str:
    """Return proposed code without calls beside the function, and with a docstring.

    Small models add tests and prints, which would run whenever the code is set, write the function
    twice, and forget the `self` of methods. They are asked to leave the docstring out, as writing
    it again takes half of their time.

    Args:
        text: the proposed code, perhaps fenced.
        current: the parameter's present code, whose docstring is kept.
        hint: the parameter's constraint, see `main_function`.

    Raises:
        ProposalError: it isn't Python.
    """
    source = unfenced(text)
    try:
        source = _with_self(source, current, hint)
        tree = tree_of(source)
    except SyntaxError as error:
        message = f"the code is not valid Python: {error.msg}"
        raise ProposalError(message, reply=text) from error
    lines = source.split("\n")
    at, docstring = _missing_docstring(source, current, hint)
    kept: list[str] = []
    for item in _needed(tree, hint):
        part = lines[_first_line(item) - 1 : item.end_lineno]
        if docstring and _first_line(item) <= at <= (item.end_lineno or 0):
            part.insert(at - _first_line(item), docstring)
        kept.append("\n".join(part))
    return "\n".join(kept)


def _needed(tree: ast.Module, hint: str | None) -> list[ast.stmt]:
    """Return the statements of a module but calls and earlier versions of the function."""
    kept = [item for item in tree.body if not isinstance(item, ast.Expr)]
    main = main_of(tree, hint)
    if main is None or not all(isinstance(item, _DEFINING) for item in kept):
        return kept  # what stands between two versions may use the first
    earlier = functions(tree, main.name)[:-1]
    return [item for item in kept if item not in earlier]


def _with_self(source: str, current: str, hint: str | None) -> str:
    """Return the code with `self` put back, if nothing else is missing among the parameters."""
    new, old = main_function(source, hint), main_function(current, hint)
    if new is None or old is None or parameter_names(old) != ["self", *parameter_names(new)]:
        return source
    lines = source.split("\n")
    rest = ", " if parameter_names(new) else ""
    lines[new.lineno - 1] = lines[new.lineno - 1].replace("(", f"(self{rest}", 1)
    return "\n".join(lines)


def _missing_docstring(source: str, current: str, hint: str | None) -> tuple[int, str]:
    """Return the line at which the docstring is to be put, and its text; empty if it has one."""
    new, old = main_function(source, hint), main_function(current, hint)
    if new is None or old is None or ast.get_docstring(old) is None or ast.get_docstring(new):
        return 0, ""
    first = new.body[0]
    if first.lineno == new.lineno:  # all on one line: there is no place for it
        return 0, ""
    quoted = ast.get_source_segment(current, old.body[0])
    return _first_line(first), f"{' ' * first.col_offset}{quoted}" if quoted else ""


def _first_line(item: ast.stmt) -> int:
    decorators = getattr(item, "decorator_list", [])
    return decorators[0].lineno if decorators else item.lineno
