"""The page of attacks lists them all, as they are tested."""

from __future__ import annotations

from tests.execution.table import PAGE, rendered


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == rendered(), "run: python -m tests.execution.table"
