"""Makes docs/reference/faults.md: ``python -m tests.llm.fault_table``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from opto.errors import ModelError
from opto.llm import Limits
from opto.testing import Fault, ModelServer
from tests.llm import test_stream
from tests.llm.fault_rows import SHOWN, failure, shown
from tests.llm.test_openai_compatible import ROWS, Asked, Row, asynchronous, client, sync

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "faults.md"
HEAD = """# Faults

What comes of each fault of a provider, with at most three attempts a call, over real HTTP from
`opto.testing.ModelServer`. This page is made by the tests, which fail if it isn't so:
`python -m tests.llm.fault_table`. The package's other clients over HTTP share deadlines, retries
and limits with the one shown here; `tests/llm` holds their own rows.

## Answers

| fault | sync | async |
|---|---|---|
"""
STREAMS = """
## Streams

Before the first piece a stream is tried again as a call is; afterwards nothing is.

| fault | `stream` | `astream` |
|---|---|---|
"""
BOTH = (sync, asynchronous)


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


def midway(name: str, fault: Fault, read: Any) -> str:
    """What a stream that fails after its first pieces comes to."""
    with ModelServer(fault) as server:
        patience = test_stream.PATIENCE.get(name, 10.0)
        limits = Limits(max_bytes=200_000, silence=patience, timeout=20.0)
        llm = client(server, timeout=None, limits=limits)
        found = failure(lambda: read(llm))
        assert len(server.requests) == 1
    return f"{found} after the pieces that came"


def before(fault: Fault, read: Any) -> str:
    """What a stream that fails before its first piece comes to."""
    with ModelServer([fault, "fine then"]) as server:
        pieces, _ = read(client(server))
        assert (pieces, len(server.requests)) == (["fine ", "then"], 2)
    return "answered by the second request"


def row(name: str, *found: str) -> str:
    """A line of a table."""
    return f"| {' | '.join((name, *found))} |"


def page() -> str:
    """The page."""
    answers = [row(name, *(outcome(fault, ask) for ask in BOTH)) for name, fault in ROWS.items()]
    answers += [row(name, *(shown(show, ask) for ask in BOTH)) for name, show in SHOWN.items()]
    reads = (test_stream.sync, test_stream.asynchronous)
    streams = [
        row(f"first: {name}", *(before(fault, read) for read in reads))
        for name, fault in test_stream.BEFORE.items()
    ]
    streams += [
        row(f"later: {name}", *(midway(name, fault, read) for read in reads))
        for name, (fault, _) in test_stream.MIDWAY.items()
    ]
    return HEAD + "\n".join(answers) + "\n" + STREAMS + "\n".join(streams) + "\n"


if __name__ == "__main__":
    begun = time.monotonic()
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE} in {time.monotonic() - begun:.0f} s")  # noqa: T201 - a tool
