"""Checks code that a model wrote, by its syntax tree; nothing is run."""

from __future__ import annotations

import ast
import re
import textwrap
import unicodedata
import warnings

from opto.errors import ProposalError

Function = ast.FunctionDef | ast.AsyncFunctionDef

_DEFINITION = re.compile(r"^\s*(?:async\s+)?def\s+(\w+)", re.MULTILINE)
_BIDI = {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"}


def tree_of(source: str) -> ast.Module:
    """Parse source text; raises `SyntaxError` for everything that Python can't parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(textwrap.dedent(source))
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error) or type(error).__name__) from error


def functions(tree: ast.Module, name: str) -> list[Function]:
    """Return the functions of that name at the top of a module, in order."""
    return [item for item in tree.body if isinstance(item, Function) and item.name == name]


def defines(source: str, function: str) -> bool:
    """Whether a text is Python code that defines the function at its top level."""
    try:
        return bool(functions(tree_of(source), function))
    except SyntaxError:
        return False


def main_function(source: str, hint: str | None = None) -> Function | None:
    """Return the function that a code parameter is about, if there is one.

    Args:
        source: the text of the parameter.
        hint: the parameter's constraint, which shows the signature; without one the last function
            of the text is meant.
    """
    try:
        return main_of(tree_of(source), hint)
    except SyntaxError:
        return None


def main_of(tree: ast.Module, hint: str | None = None) -> Function | None:
    """Return the function that code is about, of code that is parsed; see `main_function`."""
    named = _DEFINITION.search(hint or "")
    found = [item for item in tree.body if isinstance(item, Function)]
    fitting = [item for item in found if named is None or item.name == named.group(1)]
    candidates = fitting or found
    return candidates[-1] if candidates else None


def unfenced(text: str) -> str:
    """Return the content of a text that is one fenced block, or the text without outer blanks."""
    plain = (
        text.strip("\ufeff \t\r\n") if text.lstrip().startswith("```") else text.strip("\ufeff\r\n")
    )
    if plain.startswith("```") and plain.endswith("```") and plain.count("\n") >= 2:
        plain = plain[:-3].partition("\n")[2]
    return textwrap.dedent(plain.replace("\r\n", "\n")).strip()


def checked_code(text: str, current: str, hint: str | None = None) -> str:
    """Return proposed code ready for use.

    Args:
        text: the proposed code, perhaps fenced.
        current: the parameter's present code, whose function and signature must stay.
        hint: the parameter's constraint, see `main_function`.

    Raises:
        ProposalError: it doesn't parse, or doesn't keep the function's name, kind and parameters.
    """
    source = unfenced(text)
    hidden = sorted({unicodedata.name(c) for c in source if c in _BIDI})
    if hidden:
        message = f"the code has invisible characters that reorder text ({', '.join(hidden)})"
        raise ProposalError(message, reply=text)
    try:
        tree = tree_of(source)
        source.encode()
    except (SyntaxError, UnicodeEncodeError) as error:
        message = f"the code is not valid Python: {_described(error)}"
        raise ProposalError(message, reply=text) from error
    known = main_function(current, hint)
    if known is None:
        return source
    found = functions(tree, known.name)
    if not found:
        message = f"the code must define the function {known.name}"
        raise ProposalError(message, reply=text)
    _check_signature(found[-1], known, text)
    return source


def _check_signature(new: Function, known: Function, text: str) -> None:
    if type(new) is not type(known):
        kind = "async def" if isinstance(known, ast.AsyncFunctionDef) else "def"
        message = f"{known.name} must stay '{kind} {known.name}'"
        raise ProposalError(message, reply=text)
    if parameter_names(new) != parameter_names(known):
        message = (
            f"the code must start with def {known.name}({', '.join(parameter_names(known))}); "
            f"it has ({', '.join(parameter_names(new))})"
        )
        raise ProposalError(message, reply=text)


def parameter_names(function: Function) -> list[str]:
    """Return the names of a function's parameters as they are written, stars included."""
    args = function.args
    names = [item.arg for item in (*args.posonlyargs, *args.args)]
    names += [f"*{args.vararg.arg}"] if args.vararg else []
    names += [item.arg for item in args.kwonlyargs]
    return names + ([f"**{args.kwarg.arg}"] if args.kwarg else [])


def _described(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        line = (error.text or "").strip()
        return f"{error.msg} (line {error.lineno}: {line[:80]})"
    return str(error)
