"""Makes docs/reference/faults.md: ``python -m tests.llm.fault_table``."""

from __future__ import annotations

import time
from pathlib import Path

from opto.errors import ModelError
from opto.testing import Fault, ModelServer
from tests.llm.test_openai_compatible import ROWS, Asked, Row, asynchronous, client, sync

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "faults.md"
HEAD = """# Faults

What comes of each fault of a provider, with at most three attempts a call, over real HTTP from
`opto.testing.ModelServer`. This page is made by the tests, which fail if it isn't so:
`python -m tests.llm.fault_table`.

| fault | sync | async |
|---|---|---|
"""


def outcome(row: Row, ask: Asked) -> str:
    """What a call comes to, and with how many requests."""
    with ModelServer(row.script if isinstance(row.script, Fault) else list(row.script)) as server:
        llm = client(server)
        try:
            found = f"answered: `{ask(llm).text!r}`"
        except ModelError as error:
            found = f"`{type(error).__name__}`"
        llm.close()
        count = len(server.requests)
    return f"{found}, {count} request{'s' if count > 1 else ''}"


def page() -> str:
    """The page."""
    lines = [
        f"| {name} | {outcome(row, sync)} | {outcome(row, asynchronous)} |"
        for name, row in ROWS.items()
    ]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    begun = time.monotonic()
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE} in {time.monotonic() - begun:.0f} s")  # noqa: T201 - a tool
