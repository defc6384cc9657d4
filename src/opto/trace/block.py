"""The lines of a function, exact, by one `ast.parse`.

`inspect.getsourcelines` runs the tokenizer in Python, some 90 µs for a short function, and looks
modules up. Here the end of the block is guessed by indentation and the parser judges the guess: a
cut inside a string, a bracket or a decorator doesn't parse, and then the block goes on to the next
candidate.
"""

from __future__ import annotations

import ast
import textwrap

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_TRIES = 50


def block_at(lines: list[str], start: int) -> tuple[str, FunctionNode] | None:
    """Return the dedented text of the definition that starts at `lines[start]`, and its tree.

    None if what stands there is no definition (a lambda, an edited file): take the slow way.
    """
    head = lines[start]
    indent = len(head) - len(head.lstrip())
    end = start + 1
    for _ in range(_TRIES):
        end = _candidate(lines, end, indent)
        block = lines[start:end]
        text = "".join(block)
        try:
            tree = ast.parse(textwrap.dedent(text) if indent else text)
        except SyntaxError:
            if end == len(lines):
                return None
            end += 1
            continue
        if len(tree.body) == 1 and isinstance(
            tree.body[0], (ast.FunctionDef, ast.AsyncFunctionDef)
        ):
            definition = tree.body[0]
            last = start + (definition.end_lineno or 1)
            stop = _with_comments(lines, last, end, indent)
            return textwrap.dedent("".join(lines[start:stop])), definition
        return None
    return None


def _with_comments(lines: list[str], last: int, end: int, indent: int) -> int:
    """Return `last`, moved past the comments that belong to the block by their indentation."""
    for index in range(last, end):
        stripped = lines[index].lstrip()
        if stripped.startswith("#") and len(lines[index]) - len(stripped) > indent:
            last = index + 1
    return last


def _candidate(lines: list[str], end: int, indent: int) -> int:
    """Return the first index from `end` at which a line isn't deeper than `indent`."""
    for index in range(end, len(lines)):
        line = lines[index]
        stripped = line.lstrip()
        if stripped and stripped[0] != "#" and len(line) - len(stripped) <= indent:
            return index
    return len(lines)
