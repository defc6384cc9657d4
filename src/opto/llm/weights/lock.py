"""A lock between processes: a locked file, free again when its holder ends in whatever way."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import BinaryIO

_POLL_SECONDS = 0.2

if sys.platform == "win32":
    import msvcrt

    def _try(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Generator[None]:
    """Hold the lock of the file `path`; `waiting` is called once if another holds it."""
    with path.open("a+b") as file:
        told = False
        while True:
            try:
                _try(file)
                break
            except OSError:
                if not told:
                    waiting()
                    told = True
            time.sleep(_POLL_SECONDS)
        yield
