"""Pins the development environments: versions and checksums, for all Pythons and systems.

usage: tools/pins.py check | renew [--upgrade]

One file in `requirements/` for each environment that `make` builds; `tools/venv.sh` installs from
it and refuses what hasn't the checksum. A new release is taken when it is a week old, since most
that are compromised are found by then; one that pyproject.toml names exactly is taken as it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "requirements"
SETS = ("dev", "test", "docs", "local")  # the first holds the second: what they share is the same
UV = "uv==0.13.9"
COOLING = "7 days"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}
HEAD = "# Made by `make pins`; not to be changed by hand. For Python 3.10 and later, all systems.\n"
_CHECKSUM = re.compile(r"--hash=sha256:[0-9a-f]{64}")


class Pin(NamedTuple):
    """One line of a file: a version, where it is for, and how many checksums there are."""

    name: str
    version: str
    marker: Marker | None
    checksums: int


# ---- what is there -------------------------------------------------------------------------------


def pins_in(text: str) -> list[Pin]:
    """Return what a file pins.

    Raises:
        ValueError: if there is a line that pins nothing.
    """
    found: list[Pin] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        stated, _, _ = line.partition("--hash")
        if not stated.strip() or stated.startswith("#"):
            continue
        requirement = Requirement(stated)
        exact = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        if exact is None:
            message = f"{line.strip()[:80]!r} isn't a pinned version"
            raise ValueError(message)
        name = canonicalize_name(requirement.name)
        found.append(Pin(name, exact[1], requirement.marker, len(_CHECKSUM.findall(line))))
    return found


def wanted(project: Mapping[str, Any], extra: str) -> Iterator[Requirement]:
    """Yield what an environment needs: to build, to run, and for the extra."""
    yield from map(Requirement, project["build-system"]["requires"])
    yield from map(Requirement, project["project"]["dependencies"])
    pending, seen = [extra], set[str]()
    while pending:
        name = pending.pop()
        for text in project["project"]["optional-dependencies"][name] if name not in seen else ():
            requirement = Requirement(text)
            if requirement.name == project["project"]["name"]:
                pending += sorted(requirement.extras)
            else:
                yield requirement
        seen.add(name)


def places() -> Iterator[dict[str, str]]:
    """Yield what tells apart the Pythons and systems that the pins are for."""
    for python, (system, name) in product(PYTHONS, SYSTEMS.items()):
        facts = {"python_version": python, "python_full_version": f"{python}.9"}
        facts |= {"sys_platform": system, "platform_system": name, "extra": ""}
        yield {**facts, "implementation_name": "cpython"}


def disagreements(project: Mapping[str, Any], extra: str, pins: Sequence[Pin]) -> list[str]:
    """Return how pins and pyproject.toml differ, one line each."""
    found = [f"{pin.name} {pin.version} has no checksum" for pin in pins if not pin.checksums]
    for place in places():
        where = f"on Python {place['python_version']}, {place['platform_system']}"
        here: dict[str, str] = {}
        for pin in pins:
            if pin.marker is None or pin.marker.evaluate(place):
                if pin.name in here:
                    found.append(f"{pin.name} is pinned twice {where}")
                here[pin.name] = pin.version
        for requirement in wanted(project, extra):
            if requirement.marker is not None and not requirement.marker.evaluate(place):
                continue
            version = here.get(canonicalize_name(requirement.name))
            if version is None:
                found.append(f"{requirement.name} isn't pinned {where}")
            elif not requirement.specifier.contains(version, prereleases=True):
                found.append(
                    f"{requirement.name} is pinned to {version} {where}, not {requirement}"
                )
    return list(dict.fromkeys(found))


def check(root: Path) -> list[str]:
    """Return what is wrong with the pins of a checkout, one line each."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    found: list[str] = []
    files: dict[str, list[Pin]] = {}
    for extra in SETS:
        path = root / FOLDER / f"{extra}.txt"
        try:
            files[extra] = pins_in(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            found.append(f"{FOLDER}/{extra}.txt: {error}")
            continue
        found += [
            f"{FOLDER}/{extra}.txt: {line}" for line in disagreements(project, extra, files[extra])
        ]
    held, holder = ({pin[:2] for pin in files.get(extra, ())} for extra in ("test", "dev"))
    apart = sorted(held - holder) if holder else []
    return found + [
        f"{name} {version} is in test.txt and not in dev.txt" for name, version in apart
    ]


# ---- making them ---------------------------------------------------------------------------------


def command(uv: str, project: Mapping[str, Any], extra: str, folder: Path) -> list[str]:
    """Return the command that pins one environment; its input is what builds need."""
    made = [uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate"]
    made += ["--no-header", "--python-version", PYTHONS[0], "--exclude-newer", COOLING]
    made += ["--no-strip-extras"]  # pip before 23.3 seeks `name[extra]` apart from a pinned `name`
    for requirement in wanted(project, extra):
        if str(requirement.specifier).startswith("=="):  # somebody chose it
            made += ["--exclude-newer-package", f"{requirement.name}=0 days"]
    if extra != SETS[0]:
        made += ["--constraint", str(folder / f"{SETS[0]}.txt")]
    return [*made, "--extra", extra, "-o", str(folder / f"{extra}.txt"), "pyproject.toml", "-"]


def renew(root: Path, *, upgrade: bool) -> None:
    """Pin all environments anew; with `upgrade`, to the newest versions that may be had."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        uv = shutil.which("uv") or _own_uv(Path(temporary))
        folder = root / FOLDER
        folder.mkdir(exist_ok=True)
        for extra in SETS:
            build = "\n".join(project["build-system"]["requires"])
            given = command(uv, project, extra, folder) + (["--upgrade"] if upgrade else [])
            subprocess.run(given, input=build, text=True, check=True, cwd=root)
            path = folder / f"{extra}.txt"
            path.write_text(HEAD + path.read_text("utf-8"), "utf-8")
            print(f"{FOLDER}/{extra}.txt: {len(pins_in(path.read_text('utf-8')))} versions")


def _own_uv(folder: Path) -> str:
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([scripts / "python", "-m", "pip", "install", "--quiet", UV], check=True)
    return str(scripts / "uv")


def main(arguments: Sequence[str]) -> int:
    """Renew or check the pins; the exit status is 1 if they don't fit pyproject.toml."""
    if arguments[:1] == ["renew"]:
        renew(ROOT, upgrade="--upgrade" in arguments)
    found = check(ROOT)
    print("\n".join([*found, "Run: make pins"]) if found else "All pins fit pyproject.toml.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
