"""Both type checkers accept what users write, and see the types that are asserted."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(path for path in Path(__file__).parent.glob("*.py") if "test" not in path.name)


def checked(tool: str, *arguments: str) -> None:
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is in the extra [dev]")
    command = [sys.executable, "-m", tool, *arguments, *map(str, PROGRAMS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_strict_accepts_typical_programs() -> None:
    checked("mypy", "--strict")


@pytest.mark.slow
def test_pyright_strict_accepts_typical_programs() -> None:
    checked("pyright", "--pythonpath", sys.executable)


def test_there_are_programs() -> None:
    """Each asserts types; the checkers would accept an empty file too."""
    assert len(PROGRAMS) >= 3
    assert all(path.read_text("utf-8").count("assert_type(") >= 10 for path in PROGRAMS)
