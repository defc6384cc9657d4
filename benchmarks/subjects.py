"""What is compared, and the virtual environments that it lives in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ORIGINAL = ("trace-opt==0.1.3.8",)
ORIGINAL_NEEDS = ("graphviz==0.21",)
TORCH = ("torch==2.13.0",)
PASSED_ON = (
    "HOME",
    "PATH",
    "LANG",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "PIP_INDEX_URL",
    "PIP_CONFIG_FILE",
)


@dataclass(frozen=True)
class Subject:
    """One library under test: the interpreter that has it and the module of its statements."""

    name: str
    python: Path
    workloads: str
    source: Path | None = None


def environment(folder: Path, *, whole: tuple[str, ...], bare: tuple[str, ...] = ()) -> Path:
    """Make a virtual environment once: `bare` requirements without what they depend on.

    A stamp with the requirements is written last, so a half-made environment is made again.
    """
    python = folder / "bin" / "python"
    stamp = folder / "requirements.json"
    wanted = json.dumps({"whole": whole, "bare": bare, "python": sys.version})
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if whole:
        subprocess.run([*install, *whole], check=True)
    if bare:
        subprocess.run([*install, "--no-deps", *bare], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def ours(root: Path) -> Subject:
    """A copy of the working tree, which may change during a run, by the running interpreter."""
    copy = root / ".bench" / "ours"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return Subject("ours", Path(sys.executable), "benchmarks.workloads", copy)


def original(root: Path) -> Subject:
    """The original from the package index; its tracing needs `graphviz` alone to be imported."""
    folder = root / ".bench" / "venv-original"
    python = environment(folder, whole=ORIGINAL_NEEDS, bare=ORIGINAL)
    return Subject("original", python, "benchmarks.workloads")


def torch(root: Path) -> Subject:
    """Torch for the CPU."""
    python = environment(root / ".bench" / "venv-torch", whole=TORCH)
    return Subject("torch", python, "benchmarks.torch_workloads")


def plain(_root: Path) -> Subject:
    """The same interpreter without any library."""
    return Subject("plain", Path(sys.executable), "benchmarks.plain_workloads")


MAKERS: Mapping[str, Callable[[Path], Subject]] = {
    "ours": ours,
    "original": original,
    "plain": plain,
    "torch": torch,
}


class Worker:
    """A running process of a subject, asked for one sample at a time."""

    def __init__(self, subject: Subject, root: Path, limit: float) -> None:
        """Start the process; a request that takes longer than `limit` seconds ends it."""
        environ = {key: value for key, value in os.environ.items() if key in PASSED_ON}
        environ["OMP_NUM_THREADS"] = "1"
        if subject.source is not None:
            environ["PYTHONPATH"] = str(subject.source)
        self._limit = limit
        self._process = subprocess.Popen(
            [str(subject.python), "-m", "benchmarks.worker"],
            cwd=root,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Worker:
        """The worker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    @property
    def alive(self) -> bool:
        """Whether the process still answers."""
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One sample, or a dictionary with the key `error`."""
        if self._process.stdin is None or self._process.stdout is None or not self.alive:
            return {"error": "the process of this subject has ended"}
        timer = threading.Timer(self._limit, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            self._process.wait()
            return {"error": f"no answer (limit {self._limit:.0f} s)"}
        reply: dict[str, Any] = json.loads(line)
        return reply
