"""What this machine offers for isolating code."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from opto.errors import CannotIsolate
from opto.execution import landlock
from opto.execution.limits import Limits
from opto.execution.server import Setting, server
from opto.execution.sessions import interpreter
from opto.execution.syscalls import MACHINES


@dataclass(frozen=True)
class Report:
    """What there is, found out by starting a locked process.

    Attributes:
        works: whether `isolated` runs code here.
        reason: why it doesn't; empty if it does.
        mechanisms: each with what was found, in words.
    """

    works: bool
    reason: str
    mechanisms: Mapping[str, str]

    def __str__(self) -> str:
        lines = [f"{name:24} {found}" for name, found in self.mechanisms.items()]
        verdict = "works here" if self.works else f"doesn't work here: {self.reason}"
        return "\n".join([f"isolated {verdict}", *lines])


def report() -> Report:
    """Return what this machine offers; takes a fraction of a second."""
    started = server(Setting())
    reason = ""
    try:
        process = started.spawn(Limits())
        reason = process.refusal(Limits().seconds)
        process.kill()
    except CannotIsolate as error:
        reason = error.reason
    entered = ", ".join(started.facts.get("namespaces", ())) or "none"
    abi = landlock.version() if platform.system() == "Linux" else 0
    machine = platform.machine()
    mechanisms = {
        "Landlock": f"version {abi}" if abi else "missing",
        "system-call filter": f"table for {machine}" if machine in MACHINES else "no table",
        "process handles (pidfd)": "here" if hasattr(os, "pidfd_open") else "missing",
        "namespaces": entered,
        "file tree of its own": "yes" if started.facts.get("own_tree") else "no",
        "portable": interpreter() or "missing: pip install 'trace-opt[portable]'",
    }
    return Report(not reason, reason, mechanisms)
