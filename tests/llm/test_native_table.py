from __future__ import annotations

from tests.llm.native_table import PAGE, page


def test_the_table_of_faults_is_what_happens() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
