"""Power may fail at any moment: all states of the disk that are legal then hold the old or the new.

What a disk may hold: of a file that wasn't flushed, any part of what was written, or zeros in its
place; of changes of a folder that weren't flushed, those up to any one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from opto.errors import ParameterFileError
from opto.records import atomic
from opto.records.parameter_file import Document, Section, parsed, written

OLD, NEW = (
    written(Document({}, [Section("state", "x", {"value": [size] * size})])) for size in (3, 40)
)


class Step(NamedTuple):
    """A call that changes what is on the disk, or makes it durable."""

    kind: str
    name: str
    data: Any = None


class Recorder:
    """Notes what `atomic.write` does."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.steps: list[Step] = []
        self.names: dict[int, str] = {}
        self.real = {name: getattr(os, name) for name in ("open", "write", "fsync")}
        self.rename = Path.replace
        for name in self.real:
            patched.setattr(os, name, getattr(self, name))
        renamed = lambda path, target: self.replace(path, target)  # noqa: PLW0108 - gets the path
        patched.setattr(Path, "replace", renamed)

    def open(self, path: Any, flags: int, *rest: Any) -> int:
        descriptor: int = self.real["open"](path, flags, *rest)
        self.names[descriptor] = "." if Path(path).is_dir() else Path(path).name
        if flags & os.O_CREAT:
            self.steps.append(Step("make", self.names[descriptor]))
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:
        count: int = self.real["write"](descriptor, data[:600])
        self.steps.append(Step("write", self.names[descriptor], bytes(data[:count])))
        return count

    def fsync(self, descriptor: int) -> None:
        self.real["fsync"](descriptor)
        self.steps.append(Step("flush", self.names[descriptor]))

    def replace(self, path: Path, target: Path) -> Path:
        self.steps.append(Step("rename", path.name, target.name))
        return self.rename(path, target)


def disks(steps: list[Step], old: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    """Yield what the folder may hold if power fails after the steps."""
    files = {f"old {name}": ([data], True) for name, data in old.items()}  # by first name
    changes: list[Step] = []
    flushed = 0
    for step in steps:
        if step.kind == "make":
            files[step.name] = ([], True)
            changes.append(step)
        elif step.kind == "write":
            files[step.name] = ([*files[step.name][0], step.data], False)
        elif step.kind == "rename":
            changes.append(step)
        elif step.name == ".":
            flushed = len(changes)
        else:
            files[step.name] = (files[step.name][0], True)
    for count in range(flushed, len(changes) + 1):
        folder = {name: f"old {name}" for name in old}
        for change in changes[:count]:
            if change.kind == "make":
                folder[change.name] = change.name
            else:
                folder[change.data] = folder.pop(change.name)
        for choice in range(5):
            yield {name: _content(*files[file], choice) for name, file in folder.items()}


def _content(parts: list[bytes], flushed: bool, choice: int) -> bytes:
    whole = b"".join(parts)
    if flushed or choice == 0:
        return whole
    return [b"", whole[: len(whole) // 2], bytes(len(whole)), b"".join(parts[:1])][choice - 1]


def recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    with monkeypatch.context() as patched:
        recorder = Recorder(patched)
        atomic.write(folder / "x.txt", NEW)
    assert (folder / "x.txt").read_bytes() == NEW
    return recorder.steps


@pytest.mark.skipif(os.name == "nt", reason="folders can't be flushed")
@pytest.mark.parametrize("old", [{}, {"x.txt": OLD}], ids=["new", "replaced"])
def test_after_power_loss_there_is_the_old_file_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: dict[str, bytes]
) -> None:
    for name, data in old.items():
        (tmp_path / name).write_bytes(data)
    steps = recorded(tmp_path, monkeypatch)
    seen = set()
    for count in range(len(steps) + 1):
        for disk in disks(steps[:count], old):
            seen.add(found := disk.get("x.txt"))
            assert found in {NEW, old.get("x.txt")}
            assert count < len(steps) or found == NEW  # what was said to be saved is there

    assert seen == {NEW, old.get("x.txt")}


@pytest.mark.skipif(os.name == "nt", reason="folders can't be flushed")
@pytest.mark.parametrize("left_out", ["file", "folder"])
def test_the_states_show_what_a_missing_flush_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    steps = recorded(tmp_path, monkeypatch)
    unsafe = [s for s in steps if s.kind != "flush" or (s.name == ".") != (left_out == "folder")]
    after = [disk.get("x.txt") for disk in disks(unsafe, {})]

    assert any(found != NEW for found in after)
    if left_out == "file":
        half = next(found for found in after if found not in {None, NEW})
        with pytest.raises(ParameterFileError):
            parsed(half or b"", "x.txt")
