"""What a process gives up before it runs code that nobody read, in the order that works."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from opto.execution import kernel, landlock, namespaces, seccomp

_OWN_USERS = 1_000_000_000
_NOBODY = 65534
_OVERRIDE, _READ_SEARCH = 1, 2


class Ground(NamedTuple):
    """Where confined processes are started.

    Attributes:
        namespaces: names of those that the fork server lives in.
        own_tree: whether it sees a file tree of its own, in which scratch folders can be mounted.
        readable: files and folders that may be read.
        hidden: whether some of them lie where only the superuser looks (a Python in /root).
    """

    namespaces: Sequence[str]
    own_tree: bool
    readable: Sequence[str]
    hidden: bool


def lock(ground: Ground, limits: Mapping[str, int]) -> None:
    """Confine this process for good; it must be single-threaded.

    Raises:
        OSError: if something that is needed can't be enforced here. Nothing may be run then.
        KeyError: if the filter has no table for this architecture.
    """
    parent = os.getppid()
    os.setsid()
    user = _own_user()
    scratch = namespaces.own_scratch(limits["scratch"], user) if ground.own_tree else None
    _limit(limits, own_count=user is not None or "user" in ground.namespaces)
    if user is not None:
        kernel.keep_capabilities()
        _become(user)
    if user is None or not ground.hidden or not _keep_reading():
        kernel.drop_capabilities()
    kernel.not_dumpable()
    kernel.die_with_parent()
    if os.getppid() != parent:
        message = "the fork server ended meanwhile"
        raise OSError(message)
    kernel.no_new_privileges()
    if not ground.own_tree and landlock.version() < landlock.SAFE_VERSION:
        message = f"Landlock {landlock.version()} is too old (Linux 6.2 has what is needed)"
        raise OSError(message)
    landlock.restrict(ground.readable, [scratch] if scratch else [])
    os.chdir(scratch or "/")
    steps = seccomp.program(os.uname().machine, os.getpid())
    kernel.install_filter(seccomp.as_bytes(steps))


def _own_user() -> int | None:
    """Return a user id to take on, of this process alone; None if this isn't the superuser."""
    return _OWN_USERS + os.getpid() if os.geteuid() == 0 else None


def _become(user: int) -> None:
    """Turn from superuser into `user`, or into nobody where the system knows few users."""
    try:
        os.setgroups([])
        os.setresgid(user, user, user)
    except OSError:
        user = _NOBODY
        os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _keep_reading() -> bool:
    """Keep the right to read past permissions, and no other; Landlock says what is read."""
    for capability in (_READ_SEARCH, _OVERRIDE):
        try:
            kernel.drop_capabilities(keep=1 << capability)
        except OSError:
            continue
        return True
    return False


def is_hidden(paths: Iterable[str]) -> bool:
    """Whether a user without rights can't read one of `paths`, or can't get there."""
    for path in map(Path, paths):
        if path.exists() and not all(_is_open(step) for step in (path, *path.parents)):
            return True
    return False


def _is_open(path: Path) -> bool:
    mode = path.stat().st_mode
    return bool(mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH))


def _limit(limits: Mapping[str, int], *, own_count: bool) -> None:
    """Set the limits of resources; that of threads where no other process counts towards it."""
    wanted = {
        resource.RLIMIT_AS: limits["memory"],
        resource.RLIMIT_CPU: limits["cpu"],
        resource.RLIMIT_FSIZE: limits["file"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if own_count:
        wanted[resource.RLIMIT_NPROC] = limits["threads"]
    for what, limit in wanted.items():
        _, hard = resource.getrlimit(what)
        bounded = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (bounded, bounded))
