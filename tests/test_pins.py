from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import pins
from tools.pins import ROOT, SETS, check, command, disagreements, pins_in, wanted

CHECKSUM = f"--hash=sha256:{'ab' * 32}"
PROJECT: dict[str, Any] = {
    "build-system": {"requires": ["builder>=1"]},
    "project": {
        "name": "us",
        "dependencies": ["base>=2,<3", "old>=1; python_version < '3.11'"],
        "optional-dependencies": {"test": ["us[more]", "Tester[x]>=4"], "more": ["chosen==7"]},
    },
}
PINNED = "".join(
    f"{line} {CHECKSUM}\n"
    for line in ("base==2.5", "builder==1.1", "chosen==7", "old==1; python_version < '3.11'")
)


def differences(text: str) -> list[str]:
    return disagreements(PROJECT, "test", pins_in(text))


def test_our_pins_fit_the_project() -> None:
    assert check(ROOT) == []


def test_our_pins_are_for_the_environments_that_make_builds() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    built = {word for word in SETS if f"/.stamp-{word}" in makefile}

    assert built == set(SETS)


def test_what_is_needed_with_an_extra_is_pinned_with_it() -> None:
    """Older pips seek `coverage[toml]` apart from `coverage==7.17.3`, and find a newer one."""
    text = (ROOT / "requirements" / "test.txt").read_text("utf-8")
    stated = re.findall(r"(?m)^([\w.-]+)(\[[^]]+])?==", text)
    pinned: dict[str, set[str]] = {}
    for name, extras in stated:
        pinned.setdefault(canonicalize_name(name), set()).update(extras.strip("[]").split(","))
    needed = {
        (canonicalize_name(requirement.name), extra)
        for name in pinned
        for requirement in needs_of(name)
        for extra in requirement.extras
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }

    assert ("coverage", "toml") in needed
    assert [f"{name}[{extra}]" for name, extra in needed if extra not in pinned[name]] == []


def needs_of(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:
        return []  # for another Python or system


def test_what_an_environment_needs() -> None:
    names = [requirement.name for requirement in wanted(PROJECT, "test")]

    assert names == ["builder", "base", "old", "Tester", "chosen"]


def test_pins_that_fit() -> None:
    assert differences(f"{PINNED}tester==4.2 {CHECKSUM}\n") == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("base==2.5", "base==3.0", "base is pinned to 3.0 on Python 3.10, Linux, not base<3,>=2"),
        (f"chosen==7 {CHECKSUM}\n", "", "chosen isn't pinned on Python 3.13, Windows"),
        (f"chosen==7 {CHECKSUM}", "chosen==7", "chosen 7 has no checksum"),
        (f"chosen==7 {CHECKSUM}", "chosen==7 --hash=md5:ab", "chosen 7 has no checksum"),
        (
            "chosen==7",
            "chosen==7; sys_platform == 'linux'",
            "chosen isn't pinned on Python 3.10, Da",
        ),
        ("< '3.11'", "< '3.10'", "old isn't pinned on Python 3.10, Linux"),
        ("tester==4.2", f"base==2.6 {CHECKSUM}\ntester==4.2", "base is pinned twice on"),
    ],
)
def test_pins_that_do_not(old: str, new: str, problem: str) -> None:
    text = f"{PINNED}tester==4.2 {CHECKSUM}\n"
    assert old in text

    assert any(line.startswith(problem) for line in differences(text.replace(old, new)))


@pytest.mark.parametrize("line", ["base>=2", "base", "base==2.*", "base==2,!=2.1", "-e ."])
def test_what_pins_nothing_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"isn't a pinned version|Expected|Invalid"):
        pins_in(f"{line} {CHECKSUM}\n")


def test_a_file_that_is_missing_or_apart_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "SETS", ("dev", "test"))
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    for extra in ("dev", "test"):
        text = (ROOT / "requirements" / f"{extra}.txt").read_text("utf-8")
        (tmp_path / "requirements" / f"{extra}.txt").write_text(text, "utf-8")
    assert check(tmp_path) == []

    with (tmp_path / "requirements" / "test.txt").open("a", encoding="utf-8") as file:
        file.write(f"new-thing==1 {CHECKSUM}\n")
    assert check(tmp_path) == ["new-thing 1 is in test.txt and not in dev.txt"]
    (tmp_path / "requirements" / "dev.txt").unlink()
    (problem,) = check(tmp_path)
    assert problem.startswith("requirements/dev.txt: ")


def test_a_week_old_unless_somebody_chose_it(tmp_path: Path) -> None:
    given = command("uv", PROJECT, "test", tmp_path)

    assert given[given.index("--exclude-newer") + 1] == "7 days"
    assert given[given.index("--exclude-newer-package") + 1] == "chosen=0 days"
    assert given[given.index("--constraint") + 1] == str(tmp_path / "dev.txt")
    assert "--generate-hashes" in given
