"""Every statement of the specification is held by a test, and the table in the docs says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.coverage_table import ROOT, TABLE, faults, marked_tests, table

FAULTY = """
import pytest

@pytest.mark.covers("A1", "A9")
def test_one() -> None: ...
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with faults."""
    (tmp_path / "tests" / "data").mkdir(parents=True)
    (tmp_path / "tests" / "test_it.py").write_text(FAULTY, "utf-8")
    (tmp_path / "tests" / "data" / "semantics.json").write_text(
        '[{"id": "S1", "text": "said | so", "tests": ["tests/test_it.py::test_gone"]}]', "utf-8"
    )
    (tmp_path / "tests" / "data" / "defects.json").write_text(
        '[{"id": "A1", "title": "one"}, {"id": "A2", "title": "two"},'
        ' {"id": "A3", "title": "three", "status": "later: issue 5"}]',
        "utf-8",
    )
    return tmp_path


def test_no_statement_is_missing() -> None:
    assert faults(ROOT) == []


def test_the_table_is_fresh() -> None:
    assert (ROOT / TABLE).read_text("utf-8") == table(ROOT), "run: python tools/coverage_table.py"


def test_what_is_missing_is_named(checkout: Path) -> None:
    assert faults(checkout) == [
        "tests/test_it.py::test_one holds A9, which is no entry of tests/data",
        "S1 is held by tests/test_it.py::test_gone, which does not exist",
        "no test holds A2 (two), and it has no status that says why",
    ]


def test_rows(checkout: Path) -> None:
    text = table(checkout)

    assert "| A1 | one | `test_it.py::test_one` |" in text
    assert "| A3 | three | *later: issue 5* |" in text
    assert r"| S1 | said \| so | `test_it.py::test_gone` |" in text
    assert "1 of 3 are held by tests." in text


def test_marks_are_read() -> None:
    assert ("tests/test_it.py::test_one", ("A1", "A9")) not in list(marked_tests(ROOT))
    assert any("A16" in names for _, names in marked_tests(ROOT))
