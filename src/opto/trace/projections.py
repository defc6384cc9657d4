"""Corrections applied to a proposed value before it is set."""

from __future__ import annotations

import ast
from importlib import import_module
from typing import Any

from opto.errors import MissingExtra


class Projection:
    """Maps a proposed value to the nearest one that is allowed; write `project`."""

    def __call__(self, x: Any) -> Any:
        """Return `project` of `x`."""
        return self.project(x)

    def project(self, x: Any) -> Any:
        """Return the value to use in place of `x`."""
        raise NotImplementedError


class BlackCodeFormatter(Projection):
    """Formats code with black (extra ``format``); what isn't Python code is left as it is."""

    def project(self, x: Any) -> Any:
        """Return `x` formatted if it is code with a function in it."""
        if not isinstance(x, str) or "def" not in x or not _is_code(x):
            return x
        try:
            black = import_module("black")
        except ImportError as error:
            package, extra, purpose = "black", "format", "BlackCodeFormatter"
            raise MissingExtra(package, extra, purpose) from error
        return black.format_str(x, mode=black.Mode())


class DocstringProjection(Projection):
    """Puts a fixed docstring into code.

    Args:
        docstring: the text between the quotes.
    """

    def __init__(self, docstring: str) -> None:
        self.docstring = docstring

    def project(self, x: Any) -> Any:
        """Return `x` with the text between the first pair of triple quotes replaced."""
        if not isinstance(x, str) or x.count('"""') < 2:
            return x
        before, _, rest = x.partition('"""')
        _, _, after = rest.partition('"""')
        return f'{before}"""{self.docstring}"""{after}'


def _is_code(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in ast.walk(tree))
