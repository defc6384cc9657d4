from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opto.records import atomic
from tests.records.helpers import names

CALLS = ["open", "write", "fsync", "fstat"]


def failing(name: str, at: int, number: int) -> Callable[..., Any]:
    """A function of `os` that fails at the call of that number."""
    real, calls = getattr(os, name), iter(range(1_000))

    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == at:
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    return call


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.txt"
    atomic.write(path, b"old")
    atomic.write(path, b"new" * 100_000)

    assert path.read_bytes() == b"new" * 100_000
    assert names(path.parent) == ["x.txt"]


def test_a_relative_name_is_beside_the_program(empty_home: Path) -> None:
    atomic.write(Path("x.txt"), b"new")

    assert (empty_home / "x.txt").read_bytes() == b"new"


def test_a_write_in_parts_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    atomic.write(tmp_path / "x.txt", b"new" * 100)

    assert (tmp_path / "x.txt").read_bytes() == b"new" * 100


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("at", range(2))
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_whatever_fails_the_old_content_stays_or_the_new_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: int, number: int
) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, name, failing(name, at, number))
        try:
            atomic.write(path, b"new")
            failed = False
        except OSError as error:
            failed = error.errno == number

    assert path.read_bytes() in ([b"old", b"new"] if failed else [b"new"])
    assert names(tmp_path) == ["x.txt"]


def test_the_content_is_flushed_before_it_gets_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, str]] = []
    flush, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        events.append(("flush", "folder" if Path(f"/dev/fd/{descriptor}").is_dir() else "file"))
        flush(descriptor)

    def rename(path: Path, target: Path) -> Path:
        events.append(("rename", target.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    atomic.write(tmp_path / "x.txt", b"new")

    assert events == [("flush", "file"), ("rename", "x.txt"), ("flush", "folder")]


def test_new_folders_are_flushed_into_those_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    real = os.open

    def opened(path: Path, *rest: Any) -> int:
        flushed.append(path)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", opened)
    atomic.write(tmp_path / "a" / "b" / "x.txt", b"new")

    assert flushed[:2] == [tmp_path, tmp_path / "a"]


def test_a_folder_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "open", failing("open", 0, errno.EROFS))

    with pytest.raises(OSError, match="Read-only"):
        atomic.write(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            atomic.write(tmp_path / "x.txt", b"new")
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.txt").mkdir()

    with pytest.raises(IsADirectoryError):
        atomic.write(tmp_path / "x.txt", b"new")
    assert names(tmp_path) == ["x.txt"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_bytes(b"old")
    (tmp_path / "x.txt").symlink_to("real.txt")
    atomic.write(tmp_path / "x.txt", b"new")

    assert (tmp_path / "x.txt").is_symlink()
    assert (tmp_path / "real.txt").read_bytes() == b"new"


def test_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"old")
    path.chmod(0o640)
    atomic.write(path, b"new")

    assert path.stat().st_mode & 0o777 == 0o640


def test_a_long_name_has_room(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    atomic.write(path, b"new")

    assert path.read_bytes() == b"new"


def test_what_a_killed_process_left_is_cleared_away_but_not_what_is_written(
    tmp_path: Path,
) -> None:
    left = tmp_path / f".x.txt.{'0' * 16}.saving"
    left.write_bytes(b"half")
    busy = tmp_path / f".x.txt.{'1' * 16}.saving"
    other = tmp_path / f".y.txt.{'0' * 16}.saving"
    other.write_bytes(b"half")
    text = "import fcntl, sys; f = open(sys.argv[1], 'wb'); fcntl.flock(f, 2); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", text, str(busy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        atomic.write(tmp_path / "x.txt", b"new")
        writer.communicate(b"\n")

    assert names(tmp_path) == sorted([busy.name, other.name, "x.txt"])


def test_a_file_cleared_away_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = os.fstat, list[int]()

    def fstat(descriptor: int) -> os.stat_result:
        if not seen:
            for path in tmp_path.iterdir():
                path.unlink()
        seen.append(descriptor)
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    atomic.write(tmp_path / "x.txt", b"new")

    assert len(seen) == 2
    assert names(tmp_path) == ["x.txt"]


def test_a_file_system_without_locks_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", refuse)
    atomic.write(tmp_path / "x.txt", b"new")

    assert names(tmp_path) == ["x.txt"]
