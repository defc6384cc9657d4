"""Each cell of the table of constructs is as the documentation says."""

from __future__ import annotations

import pytest

from tests.execution.conftest import why_not
from tests.execution.constructs import CONSTRUCTS, PAGE, TABLE, WAYS, Construct, outcome, rendered

EACH = [pytest.param(construct, id=construct.name) for construct in CONSTRUCTS]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("construct", EACH)
def test_cell(construct: Construct, way: str) -> None:
    if way == "isolated" and why_not():
        pytest.skip(why_not())
    if way == "portable":
        pytest.importorskip("pydantic_monty")
    assert outcome(construct, way) == construct.cells[WAYS.index(way)]


def test_the_table_is_current() -> None:
    found = TABLE.search(PAGE.read_text("utf-8"))
    assert found is not None
    assert found[0] == rendered(), "run: python -m tests.execution.constructs"
