"""Makes docs/reference/faults-of-protocols.md: ``python -m tests.llm.native_table``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from opto.errors import ModelError
from opto.llm.http_model import HttpModel
from opto.testing import Fault, ModelServer
from tests.llm import test_anthropic, test_google
from tests.llm.native import Row, asynchronous, sync

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "faults-of-protocols.md"
HEAD = """# Faults, in the protocols of Anthropic and Google

What comes of each fault, with at most three attempts a call, over real HTTP from
`opto.testing.ModelServer` in the protocols of those services; [Faults](faults.md) has those of
OpenAI's chat completions. This page is made by the tests, which fail if it isn't so:
`python -m tests.llm.native_table`.
"""
Maker = Callable[[ModelServer], HttpModel]
PROTOCOLS: Mapping[str, tuple[Maker, Mapping[str, Row]]] = {
    "AnthropicModel": (test_anthropic.client, test_anthropic.ROWS),
    "GeminiModel": (test_google.client, test_google.ROWS),
}


def outcome(row: Row, make: Maker, *, awaited: bool) -> str:
    """What a call comes to, and with how many requests."""
    with ModelServer(row.script if isinstance(row.script, Fault) else list(row.script)) as server:
        llm = make(server)
        try:
            found = f"answered: `{(asynchronous if awaited else sync)(llm).text!r}`"
        except ModelError as error:
            found = f"`{type(error).__name__}`"
        llm.close()
        count = len(server.requests)
    return f"{found}, {count} request{'s' if count > 1 else ''}"


def page() -> str:
    """The page."""
    text = HEAD
    for name, (make, rows) in PROTOCOLS.items():
        text += f"\n## `{name}`\n\n| fault | sync | async |\n|---|---|---|\n"
        for fault, row in rows.items():
            told = [outcome(row, make, awaited=awaited) for awaited in (False, True)]
            text += f"| {fault} | {' | '.join(told)} |\n"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)  # noqa: T201 - a tool
