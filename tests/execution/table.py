"""Writes docs/reference/attacks.md: what each attack does under each policy.

The columns of isolation are what test_attacks.py asserts; running in process was measured by
sacrifice.py. Run: python -m tests.execution.table
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.execution.probes import PROBES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "attacks.md"
MEASURED = Path(__file__).with_name("in_process.json")
PREFACE = """\
# Attacks on the process that runs proposed code

<!-- Written by tests/execution/table.py; don't edit. -->

Each row is a test, under each policy, with every import allowed, so that the walls are tested and
not the list of imports. Contained means: the host got an error of the kind given, or the value that
an honest answer would be; nothing outside was written, reached or learned; the next code ran right.
Under `portable` the error may be of another kind: much of what the attacks use isn't there. What
happens in process was measured with a host that could be lost.

| aimed at | what the code does | expected | in process | isolated | without namespaces | portable |
|---|---|---|---|---|---|---|
"""


def rendered() -> str:
    """The page."""
    measured: dict[str, str] = json.loads(MEASURED.read_text("utf-8"))
    rows = [
        f"| {p.group} | {p.name} | {p.wants} | {measured[f'{p.group}: {p.name}']} "
        "| contained | contained | contained |"
        for p in PROBES
    ]
    held = sum(measured[f"{p.group}: {p.name}"] == "held" for p in PROBES)
    total = len(PROBES)
    last = f"In process {total - held} of {total} do harm; isolated or portable none does."
    return PREFACE + "\n".join(rows) + f"\n\n{last}\n"


if __name__ == "__main__":
    PAGE.write_text(rendered(), "utf-8")
