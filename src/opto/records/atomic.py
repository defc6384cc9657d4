"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

_SUFFIX = ".saving"

if sys.platform == "win32":  # no such locks: what a killed process left stays there

    def _lock(descriptor: int) -> bool:
        del descriptor
        return True

    _CLEARS = False

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        """Lock an open file; return whether that was possible."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    _CLEARS = True


def write(path: Path, data: bytes) -> None:
    """Make `data` the content of a file: old or new, whoever looks, whatever happens meanwhile.

    The folder is made if it isn't there. A link is followed; the permissions of a file that is
    there are kept. What a killed process left is cleared away.

    Raises:
        OSError: what was there is there still then, and nothing else.
    """
    target = Path(os.path.realpath(path))
    _make_folder(target.parent)
    _clear(target)
    temporary, descriptor = _opened(target)
    try:
        try:
            _fill(descriptor, data, target)
            temporary.replace(target)  # while the lock is held: it isn't taken for garbage
        finally:
            os.close(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        _flush_folder(path.parent)


def _opened(target: Path) -> tuple[Path, int]:
    """Return a new locked file beside the target, and its descriptor."""
    while True:
        temporary = target.with_name(f".{target.name[:180]}.{secrets.token_hex(8)}{_SUFFIX}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(temporary, flags, 0o666)
        if _locked(descriptor):
            return temporary, descriptor
        os.close(descriptor)  # someone cleared it away before it was locked


def _locked(descriptor: int) -> bool:
    try:
        return _lock(descriptor) and (not _CLEARS or os.fstat(descriptor).st_nlink == 1)
    except OSError:  # a file system without locks: nobody clears away there either
        return True


def _fill(descriptor: int, data: bytes, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(target.stat().st_mode)
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, mode)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _clear(target: Path) -> None:
    """Remove the temporary files of processes that ended before they were done."""
    for left in _left_over(target):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY)
            try:
                if _lock(descriptor):  # who still writes it would hold the lock
                    left.unlink()
            finally:
                os.close(descriptor)


def _left_over(target: Path) -> Iterator[Path]:
    start = f".{target.name[:180]}."
    for path in target.parent.iterdir() if _CLEARS else ():
        if path.name.startswith(start) and path.name.endswith(_SUFFIX):
            yield path


def _flush_folder(folder: Path) -> None:
    """Make the new name durable (Windows has no way to do so)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
