from __future__ import annotations

import os

import pytest

from tests.llm.fault_table import PAGE, page


@pytest.mark.skipif(os.name == "nt", reason="there is no Ctrl-C to send on Windows")
def test_the_table_of_faults_is_what_happens() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
