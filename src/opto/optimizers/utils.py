"""Reading tagged text by the original's rules, for those who import these helpers.

`OptoPrimeV2` itself reads replies with the default tags by `parsing`, which refuses what is broken.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}


def extract_xml_like_data(
    text: str,
    reasoning_tag: str = "reasoning",
    improved_variable_tag: str = "variable",
    name_tag: str = "name",
    value_tag: str = "value",
) -> dict[str, Any]:
    """Return ``{"reasoning": text, "variables": {name: value}}`` of a tagged text.

    Only outermost tags count; what is nested stays text of the outer value. A variable without a
    name or without a value is left out, of several with one name the last counts, and a reasoning
    that isn't closed takes the rest.
    """
    reasoning, rest = extract_reasoning_and_remainder(text, reasoning_tag, improved_variable_tag)
    variables: dict[str, str] = {}
    for block in extract_top_level_blocks(rest, improved_variable_tag):
        value = extract_first_top_level_block(block, value_tag)
        name = extract_first_top_level_block(strip_nested_blocks(block, value_tag), name_tag)
        if value is not None and name is not None and name.strip():
            variables[name.strip()] = value.strip()
    return {"reasoning": reasoning, "variables": variables}


def extract_top_level_blocks(text: str, tag: str) -> list[str]:
    """Return what stands between the outermost tags of a name; what isn't closed is left out."""
    return [text[start:end] for _, start, end, _ in _blocks(text, tag)]


def extract_first_top_level_block(text: str, tag: str) -> str | None:
    """Return what stands between the first outermost tags of a name, None if there are none."""
    return next(iter(extract_top_level_blocks(text, tag)), None)


def strip_nested_blocks(text: str, tag: str) -> str:
    """Return a text without the tags of a name and what stands between them, stripped."""
    kept: list[str] = []
    done = 0
    for opening, _, _, end in _blocks(text, tag):
        kept.append(text[done:opening])
        done = end
    return "".join([*kept, text[done:]]).strip()


def extract_reasoning_and_remainder(
    text: str, tag: str = "reasoning", variable_tag: str = "variable"
) -> tuple[str, str]:
    """Return what stands between the first tags of that name, and the text without them.

    Tags inside of a variable belong to its value. What isn't closed takes the rest.
    """
    inside = [(opening, end) for opening, _, _, end in _blocks(text, variable_tag)]
    for found in re.finditer(rf"<{re.escape(tag)}>", text):
        if any(opening <= found.start() < end for opening, end in inside):
            continue
        closing = f"</{tag}>"
        end = text.find(closing, found.end())
        if end < 0:
            return text[found.end() :].strip(), text[: found.start()].strip()
        rest = text[: found.start()] + text[end + len(closing) :]
        return text[found.end() : end].strip(), rest.strip()
    return "", text.strip()


def truncate_expression(value: object, limit: int) -> str:
    """Return a value as text, cut after `limit` characters."""
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}...(skipped due to length limit)"


def print_color(message: object, color: str | None = None) -> None:
    """Write a line to the terminal, coloured if it is one."""
    code = _COLOURS.get(color or "")
    shown = f"\033[{code}m{message}\033[0m" if code and sys.stdout.isatty() else str(message)
    sys.stdout.write(f"{shown}\n")


def _blocks(text: str, tag: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield for each outermost pair of tags where it opens, what it holds and where it ends."""
    opened: list[tuple[int, int]] = []
    position = 0
    name = re.escape(tag)
    edges = list(re.finditer(rf"<(/?){name}(?:\s[^<>]*)?>", text))
    for edge in edges:
        if not edge.group(1):
            opened.append(edge.span())
        elif opened:
            start = opened.pop()
            if not opened and start[0] >= position:
                position = edge.end()
                yield start[0], start[1], edge.start(), edge.end()
