"""Files that confined code may touch: Landlock rules, given up by nobody afterwards."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from opto.execution.kernel import LANDLOCK_ADD, LANDLOCK_CREATE, LANDLOCK_RESTRICT, syscall

_READ_FILE, _READ_FOLDER, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
_REMOVE_FOLDER, _REMOVE_FILE, _MAKE_FOLDER, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
_READ = _READ_FILE | _READ_FOLDER
_WRITE = _READ | _WRITE_FILE | _REMOVE_FOLDER | _REMOVE_FILE | _MAKE_FOLDER | _MAKE_FILE | _TRUNCATE
_OF_FILES = _READ_FILE | _WRITE_FILE | _TRUNCATE
# Without the third version, a file that may be read can be emptied by opening it.
SAFE_VERSION = 3


def version() -> int:
    """Return the version of Landlock that this kernel offers; 0 if none."""
    try:
        return syscall("landlock", LANDLOCK_CREATE, None, 0, 1)
    except OSError:
        return 0


def _handled(available: int) -> tuple[int, int, int]:
    """Return the rights to take away: on files, on the network, towards other processes."""
    files = (1 << 13) - 1
    for since, right in ((2, 1 << 13), (3, 1 << 14), (5, 1 << 15)):
        files |= right if available >= since else 0
    return files, 0b11 if available >= 4 else 0, 0b11 if available >= 6 else 0


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Take away every access to files but these, TCP, and signals to the outside.

    Nothing may be executed. Paths that don't exist are left out.

    Raises:
        OSError: if the kernel has no Landlock; nothing was restricted then.
    """
    available = syscall("landlock", LANDLOCK_CREATE, None, 0, 1)
    files, network, scopes = _handled(available)
    size = 24 if available >= 6 else 16 if available >= 4 else 8
    attributes = struct.pack("QQQ", files, network, scopes)[:size]
    rules = syscall("landlock", LANDLOCK_CREATE, ctypes.c_char_p(attributes), size, 0)
    try:
        for paths, rights in ((readable, _READ), (writable, _WRITE)):
            for path in paths:
                _allow(rules, path, rights & files)
        syscall("landlock", LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # it isn't there, so nobody misses it
        return
    try:
        granted = rights if os.path.isdir(path) else rights & _OF_FILES  # noqa: PTH112 - a string is what is at hand
        rule = struct.pack("=Qi", granted, opened)
        syscall("landlock rule", LANDLOCK_ADD, rules, 1, ctypes.c_char_p(rule), 0)
    finally:
        os.close(opened)
