"""Small helpers that users of the original import."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from opto.trace.propagators.graph_propagator import TraceGraph, joined

T = TypeVar("T", bound=type)

builtins_list = dir(builtins)
global_functions_list = [name for name in builtins_list if callable(getattr(builtins, name))]


def sum_feedback(nodes: Iterable[Any]) -> Any:
    """Return all feedback of `nodes` merged: for graphs their union, in linear time."""
    received = [item for node in nodes for items in node.feedback.values() for item in items]
    if received and all(isinstance(item, TraceGraph) for item in received):
        return joined(received)
    return sum(received)


def contain(container: Iterable[Any], node: Any) -> bool:
    """Whether `node` itself is in the container; ``in`` would compare values."""
    return any(item is node for item in container)


def for_all_methods(decorator: Callable[[Any], Any]) -> Callable[[T], T]:
    """Return a class decorator that applies `decorator` to all methods but the special ones."""

    def decorate(cls: T) -> T:
        for name, value in list(vars(cls).items()):
            if callable(value) and not name.startswith("__"):
                made = decorator(value)
                setattr(cls, name, made)
                if hasattr(made, "__set_name__"):
                    made.__set_name__(cls, name)
        return cls

    return decorate


def render_opt_step(
    step_idx: int,
    optimizer: Any,
    no_trace_graph: bool = False,  # noqa: FBT001, FBT002 - the original's signature
    no_improvement: bool = False,  # noqa: FBT001, FBT002
) -> None:
    """Show a step that an optimizer has made, in a notebook or on the terminal.

    Args:
        step_idx: which step, from 0.
        optimizer: the optimizer; it needs a method ``render_step``, as those that ask a model have.
        no_trace_graph: leave the problem out.
        no_improvement: leave reasoning and changes out.
    """
    optimizer.render_step(step_idx, with_problem=not no_trace_graph, with_change=not no_improvement)


def parse_eqs_to_dict(text: str) -> dict[str, str]:
    """Return ``{name: value}`` for lines ``name=value``; other lines continue the value above."""
    result: dict[str, str] = {}
    last = None
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            last = name.strip()
            result[last] = value.replace("`", "")
        elif last is not None and line:
            result[last] += f"\n{line.replace('`', '')}"
    return result


def escape_json_nested_quotes(text: str) -> str:
    """Return JSON with the double quotes inside its strings escaped.

    A quote ends a string if what follows it could follow a string: a comma, a colon, a closing
    bracket or the end.
    """
    result: list[str] = []
    inside = False
    for index, character in enumerate(text):
        if character != '"' or (index and text[index - 1] == "\\"):
            result.append(character)
        elif not inside:
            inside = True
            result.append(character)
        elif text[index + 1 :].lstrip()[:1] in {",", ":", "}", "]", ""}:
            inside = False
            result.append(character)
        else:
            result.append('\\"')
    return "".join(result)


def dedent(text: str) -> str:
    """Return `text` with every line stripped of white space at its ends."""
    return "\n".join(line.strip() for line in text.split("\n"))


def remove_non_ascii(text: str) -> str:
    """Return `text` without the characters outside ASCII."""
    return re.sub(r"[^\x00-\x7F]+", "", text)
