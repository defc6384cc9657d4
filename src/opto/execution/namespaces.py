"""Namespaces: a file tree of its own, and no view of other processes, networks, users.

They are an addition to Landlock and the system-call filter, taken where they are to be had: some
distributions refuse them to ordinary users, containers mostly do. `enter` says which were entered.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from opto.execution.kernel import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    NEW_NAMESPACES,
    mount,
    pivot_root,
    unmount,
    unshare,
)

SCRATCH = "/scratch"
_STAGE = "/proc"  # covered by the new tree while it is made; holds nothing that is copied from
_KEPT_FLAGS = {
    os.ST_NOSUID: MS_NOSUID,
    os.ST_NODEV: MS_NODEV,
    os.ST_NOEXEC: MS_NOEXEC,
    os.ST_NOATIME: 1024,
    os.ST_NODIRATIME: 2048,
    os.ST_RELATIME: 1 << 21,
}


def enter() -> list[str]:
    """Enter new namespaces; processes started from now on live in them.

    Returns:
        Their names; none if the system refuses.
    """
    user, group = os.getuid(), os.getgid()
    names = [name for name in NEW_NAMESPACES if name != "user" or os.geteuid() != 0]
    flags = sum(NEW_NAMESPACES[name] for name in names)
    try:
        unshare(flags)
    except OSError:
        return []
    if "user" in names:
        own = Path("/proc/self")
        (own / "setgroups").write_text("deny", "ascii")
        (own / "uid_map").write_text(f"{user} {user} 1", "ascii")
        (own / "gid_map").write_text(f"{group} {group} 1", "ascii")
    return names


def move_to_own_tree(readable: Iterable[str]) -> None:
    """Make a tree that holds `readable`, read-only, and an empty folder for scratch the root.

    Raises:
        OSError: if the system refuses; the tree is then the old one.
    """
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    mount("none", _STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m")
    for path in readable:
        _show(Path(path))
    for name in ("old", SCRATCH.lstrip("/")):
        Path(_STAGE, name).mkdir()
    pivot_root(_STAGE, f"{_STAGE}/old")
    os.chdir("/")
    unmount("/old")
    Path("/old").rmdir()
    mount("none", "/", "none", MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, "mode=0755,size=1m")


def _show(path: Path) -> None:
    """Let `path` be seen in the tree that is made; what isn't there is left out."""
    place = Path(_STAGE, *path.parts[1:])
    if not path.exists() or os.path.lexists(place):
        return
    place.parent.mkdir(0o755, parents=True, exist_ok=True)
    if path.is_symlink():
        place.symlink_to(path.readlink())
        return
    if path.is_dir():
        place.mkdir(0o755)
    else:
        place.touch()
    mount(str(path), str(place), "none", MS_BIND | MS_REC)
    found = os.statvfs(place).f_flag
    kept = sum(flag for seen, flag in _KEPT_FLAGS.items() if found & seen)
    mount("none", str(place), "none", MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def own_scratch(size: int, user: int | None) -> str:
    """Mount an empty folder that only this process and its children see; return its path.

    It is gone when they are.
    """
    unshare(NEW_NAMESPACES["mount"])
    owner = "" if user is None else f",uid={user},gid={user}"
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    mount("none", SCRATCH, "tmpfs", flags, f"mode=0700,size={size},nr_inodes=1000{owner}")
    return SCRATCH
