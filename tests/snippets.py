"""Runs the code blocks of a Markdown page as a reader would: in order, in one program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, and the number of its first line."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page that name a language."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        yield Block(found[1], found[2], text.count("\n", 0, found.start(2)) + 1)


def execute(source: str, path: Path, names: dict[str, Any]) -> None:
    """Run `source` as the text of the file `path`, so that `inspect` finds its functions."""
    path.write_text(source, "utf-8")
    names.setdefault("__name__", "__main__")
    exec(compile(source, str(path), "exec"), names)


def run_page(
    page: Path, folder: Path, *, between: Callable[[Block], None] = lambda block: None
) -> dict[str, Any]:
    """Run the Python blocks of a page and return the names that they defined.

    Args:
        page: the Markdown file.
        folder: where the blocks are written to, at the line numbers they have on the page.
        between: called before each block.
    """
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.language == "python":
            between(block)
            file = folder / f"{page.stem}_{block.line}.py"
            execute("\n" * (block.line - 1) + block.text, file, names)
    return names
