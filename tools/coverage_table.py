"""Writes docs/reference/coverage.md: which test holds each statement of the specification.

A test names the entries that it holds by ``@pytest.mark.covers("A01", "S2.1")``. The entries are
the data in tests/data: defects.json (faults of the original) and semantics.json (behaviour).
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path("docs/reference/coverage.md")
PREFACE = """\
# What the tests hold

<!-- Written by tools/coverage_table.py; don't edit. -->

Each statement on the behaviour of tracing, and each known fault of the original, with the tests
that hold it. A statement that describes a fault of the original is held to the opposite.
"""


class Entry(NamedTuple):
    """A statement, or a fault.

    Attributes:
        id: its name, as tests give it.
        title: the statement in one line.
        status: why no test here holds it, or what a later issue adds ("" for neither).
        tests: tests that hold it and don't say so themselves.
    """

    id: str
    title: str
    status: str
    tests: tuple[str, ...]


def entries(root: Path, name: str) -> list[Entry]:
    """Read tests/data/<name>.json."""
    text = (root / "tests" / "data" / f"{name}.json").read_text("utf-8")
    read = cast("list[dict[str, str | list[str]]]", json.loads(text))
    return [
        Entry(
            str(row["id"]),
            str(row.get("title") or row["text"]),
            str(row.get("status", "")),
            tuple(row.get("tests", ())),
        )
        for row in read
    ]


def marked_tests(root: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each test function as (path::name, the entries that it names)."""
    for path in sorted((root / "tests").rglob("test_*.py")):
        if "data" in path.relative_to(root).parts:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_"):
                yield f"{path.relative_to(root).as_posix()}::{node.name}", _covers(node)


def _covers(test: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    named: list[str] = []
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.covers":
            named.extend(str(ast.literal_eval(argument)) for argument in decorator.args)
    return tuple(named)


def faults(root: Path) -> list[str]:
    """What is wrong with entries and marks, one line each."""
    tests = dict(marked_tests(root))
    listed = [*entries(root, "semantics"), *entries(root, "defects")]
    known = [entry.id for entry in listed]
    marked = {name for names in tests.values() for name in names}
    found = [f"{name} is listed twice" for name in sorted(set(known)) if known.count(name) > 1]
    found += [
        f"{test} holds {name}, which is no entry of tests/data"
        for test, names in tests.items()
        for name in names
        if name not in set(known)
    ]
    found += [
        f"{entry.id} is held by {test}, which does not exist"
        for entry in listed
        for test in entry.tests
        if test not in tests
    ]
    found += [
        f"no test holds {entry.id} ({entry.title}), and it has no status that says why"
        for entry in listed
        if entry.id not in marked and not entry.tests and not entry.status
    ]
    return found


def table(root: Path) -> str:
    """The text of docs/reference/coverage.md."""
    holders: dict[str, list[str]] = {}
    for test, names in marked_tests(root):
        for name in dict.fromkeys(names):
            holders.setdefault(name, []).append(test)
    parts = [PREFACE]
    for title, name in (("Behaviour", "semantics"), ("Faults of the original", "defects")):
        rows = entries(root, name)
        held = sum(bool(holders.get(row.id) or row.tests) for row in rows)
        parts.append(f"## {title}\n\n{held} of {len(rows)} are held by tests.\n")
        parts.append("| Entry | Statement | Held by |\n| --- | --- | --- |")
        parts.extend(_row(row, [*row.tests, *holders.get(row.id, [])]) for row in rows)
        parts.append("")
    return "\n".join(parts)


def _row(entry: Entry, tests: list[str]) -> str:
    shown = [f"`{test.removeprefix('tests/')}`" for test in tests[:2]]
    if len(tests) > 2:
        shown.append(f"and {len(tests) - 2} more")
    held = "<br>".join([*shown, *([f"*{entry.status}*"] if entry.status else [])])
    title = entry.title.replace("|", "\\|").replace("{{", "{ {")
    return f"| {entry.id} | {title} | {held} |"


def main() -> int:
    """Write the table; the exit status is 1 if an entry is held by nothing."""
    found = faults(ROOT)
    if found:
        print("\n".join(found))
        return 1
    (ROOT / TABLE).write_text(table(ROOT), "utf-8")
    print(f"Wrote {TABLE}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
