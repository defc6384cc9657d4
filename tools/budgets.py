"""Holds the size budgets of CONTRIBUTING.md: modules, functions, and tests against code."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 400
MEDIAN_LINES = 150
FUNCTION_LINES = 60


def python_files(folder: Path) -> list[Path]:
    """All modules below `folder`, in order; `tests/data` is no code."""
    return sorted(path for path in folder.rglob("*.py") if "data" not in path.parts)


def lines_of(path: Path) -> int:
    """How many lines a module has, blank ones and docstrings included."""
    return len(path.read_text("utf-8").splitlines())


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of each function in a module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def overruns(root: Path) -> list[str]:
    """What is over budget in the checkout at `root`, one line each."""
    found: list[str] = []
    sizes = {path: lines_of(path) for path in python_files(root / "src")}
    for path, size in sizes.items():
        shown = path.relative_to(root)
        if size > MODULE_LINES:
            found.append(f"{shown}: {size} lines, over {MODULE_LINES}; split it by purpose")
        found.extend(
            f"{shown}:{line}: {name} has {length} lines, over {FUNCTION_LINES}"
            for name, line, length in functions(path)
            if length > FUNCTION_LINES
        )
    median = statistics.median(sizes.values()) if sizes else 0
    if median > MEDIAN_LINES:
        found.append(f"src: the median module has {median:g} lines, over {MEDIAN_LINES}")
    code, tests = sum(sizes.values()), sum(map(lines_of, python_files(root / "tests")))
    if tests < code:
        found.append(f"tests: {tests} lines for {code} lines of code; at least as many are due")
    return found


def main() -> int:
    """Print what is over budget; the exit status is 1 if anything is."""
    found = overruns(Path(__file__).resolve().parent.parent)
    print("\n".join(found) or "All budgets hold.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
