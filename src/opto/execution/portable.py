"""The policy for machines without the kernel's means: not built yet, and it says so."""

from __future__ import annotations

from typing import NoReturn

from opto.errors import CannotIsolate


def load_portable(*_: object) -> NoReturn:
    """Refuse.

    Raises:
        CannotIsolate: always.
    """
    message = (
        "execution='portable' isn't available in this release; use execution='isolated' on Linux, "
        "or execution='inprocess' if you trust the code"
    )
    raise CannotIsolate(message, by_machine=True)
