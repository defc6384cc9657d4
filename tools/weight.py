"""Weighs the base install: how many distributions and megabytes a fresh environment gets."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

DISTRIBUTIONS = 20
MEGABYTES = 30
ROOT = Path(__file__).resolve().parent.parent


def install(folder: Path, *extras: str) -> Path:
    """Install this checkout into a new environment and return its site-packages."""
    venv.create(folder, with_pip=True)
    python = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    wanted = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    command = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", wanted]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return Path(found.stdout.strip())


def weigh(site: Path) -> tuple[list[str], float]:
    """Names of the distributions in a site-packages folder, and their size in megabytes.

    What every fresh environment has (pip, setuptools) isn't counted.
    """
    names: list[str] = []
    size = 0
    for found in metadata.distributions(path=[str(site)]):
        name = found.metadata["Name"]
        if name in {"pip", "setuptools"}:
            continue
        names.append(name)
        paths = [Path(str(file.locate())) for file in found.files or ()]
        size += sum(path.stat().st_size for path in paths if path.is_file())
    return sorted(names), size / 1e6


def main(extras: Sequence[str]) -> int:
    """Print the weight; the exit status is 1 if the base install is over its budget."""
    with tempfile.TemporaryDirectory() as folder:
        names, megabytes = weigh(install(Path(folder), *extras))
    what = f"trace-opt[{','.join(extras)}]" if extras else "trace-opt"
    print(f"{what}: {len(names)} distributions, {megabytes:.1f} MB: {', '.join(names)}")
    over = len(names) > DISTRIBUTIONS or megabytes > MEGABYTES
    if over and not extras:
        print(f"Over the budget of {DISTRIBUTIONS} distributions and {MEGABYTES} MB.")
    return int(over and not extras)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
