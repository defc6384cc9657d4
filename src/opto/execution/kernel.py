"""System calls that Python has no functions for; each raises `OSError` with its own name."""

from __future__ import annotations

import ctypes
import os
import struct
from functools import lru_cache
from typing import Any

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

NEW_NAMESPACES = {
    "mount": 0x00020000,
    "host name": 0x04000000,
    "messages": 0x08000000,
    "user": 0x10000000,
    "processes": 0x20000000,
    "network": 0x40000000,
}
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_CAPABILITY_VERSION_3 = 0x20080522


@lru_cache(maxsize=1)
def _libc() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(what: str, number: int, *arguments: Any) -> int:
    """Make the system call `number`; integers are passed as longs."""
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc().syscall(ctypes.c_long(number), *given), what)


def prctl(what: str, option: int, *arguments: Any) -> None:
    """Set an attribute of this process."""
    given = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    zeros = [ctypes.c_ulong(0)] * (4 - len(given))
    _checked(_libc().prctl(ctypes.c_int(option), *given, *zeros), what)


def no_new_privileges() -> None:
    """Let nothing that this process starts gain privileges."""
    prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends.

    A change of user or capabilities forgets it, so it comes after those.
    """
    prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, 9)


def not_dumpable() -> None:
    """Let no process of the same user look into this one."""
    prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, 0)


def install_filter(program: bytes) -> None:
    """Install a seccomp filter (an array of ``sock_filter``) for this thread and its children."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    prctl("seccomp", _PR_SET_SECCOMP, 2, ctypes.c_char_p(header))


def keep_capabilities() -> None:
    """Let the change to an ordinary user leave what `drop_capabilities` is told to keep."""
    prctl("PR_SET_KEEPCAPS", _PR_SET_KEEPCAPS, 1)


def drop_capabilities(keep: int = 0) -> None:
    """Give up every capability but those of the mask `keep`."""
    header = struct.pack("=II", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("=IIIIII", keep, keep, 0, 0, 0, 0)
    _checked(_libc().capset(ctypes.c_char_p(header), ctypes.c_char_p(data)), "capset")


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _checked(_libc().unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount a file system."""
    result = _libc().mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _checked(result, f"mount {target}")


def unmount(target: str) -> None:
    """Take a file system out of the tree, as soon as nobody uses it."""
    _checked(_libc().umount2(target.encode(), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root of the tree and put the old root at `old`."""
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        message = f"pivot_root: no number known for {os.uname().machine}"
        raise OSError(message)
    syscall("pivot_root", number, new.encode(), old.encode())
