"""Asks OSV, the open database of vulnerabilities, about every pinned version.

usage: tools/audit.py

The exit status is 0 if nothing is known against any, 1 if something is, and 2 if that could NOT be
checked: an audit that can't reach its data must not look like one that found nothing. `$OSV_URL` is
asked in place of https://api.osv.dev. What we know of and live with stands, with the reason, in
`requirements/accepted.txt`.

Files that Python runs at each start (`.pth`) are how two packages were turned into thieves in 2026;
those in this environment are compared with the ones that we know.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tools.pins import FOLDER, ROOT, SETS, pins_in

OSV = "https://api.osv.dev"
SECONDS = 30
ACCEPTED = "accepted.txt"
STARTING = frozenset({"_virtualenv.pth", "a1_coverage.pth", "distutils-precedence.pth"})
OK, FOUND, NOT_CHECKED = 0, 1, 2
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.-]{1,60}")

Version = tuple[str, str]


class NotCheckedError(Exception):
    """The data couldn't be had, or aren't what they should be."""


class Finding(NamedTuple):
    """Something that is known against a version: its names, the first of them OSV's, and a line."""

    version: Version
    names: tuple[str, ...]
    summary: str


def versions(root: Path) -> list[Version]:
    """Return all pinned versions, each once."""
    files = [root / FOLDER / f"{extra}.txt" for extra in SETS]
    return sorted({pin[:2] for path in files for pin in pins_in(path.read_text("utf-8"))})


def accepted(root: Path) -> dict[str, str]:
    """Return why we live with vulnerabilities, by their names."""
    lines = (root / FOLDER / ACCEPTED).read_text("utf-8").splitlines()
    split = [line.split(maxsplit=1) for line in lines if line.strip() and line[0] != "#"]
    return {name: reason for name, reason in split}  # noqa: C416 - says what the two are


def planted(site: Path) -> list[str]:
    """Return the files in a site-packages folder that run at each start and that we don't know."""
    found = [path for path in sorted(site.glob("*.pth")) if path.name not in STARTING]
    return [path.name for path in found if _runs(path.read_text("utf-8", errors="replace"))]


def _runs(text: str) -> bool:
    return any(line.startswith(("import ", "import\t")) for line in text.splitlines())


# ---- asking --------------------------------------------------------------------------------------


def findings(client: httpx2.Client, pinned: Sequence[Version]) -> Iterator[Finding]:
    """Yield what OSV knows against versions.

    Raises:
        NotCheckedError: if it can't be reached, or doesn't answer for each version.
    """
    package = [{"name": name, "ecosystem": "PyPI"} for name, _ in pinned]
    queries = [
        {"package": which, "version": number}
        for which, (_, number) in zip(package, pinned, strict=True)
    ]
    results = _asked(client, "POST", "/v1/querybatch", {"queries": queries}).get("results")
    if not isinstance(results, list) or len(results) != len(pinned):
        message = f"it was asked about {len(pinned)} versions and didn't answer for each"
        raise NotCheckedError(message)
    for version, result in zip(pinned, results, strict=True):
        if not isinstance(result, dict) or result.get("next_page_token"):
            message = f"its answer about {version[0]} isn't whole"
            raise NotCheckedError(message)
        for known in result.get("vulns", []):
            yield _finding(client, version, str(known.get("id", "")))


def _finding(client: httpx2.Client, version: Version, name: str) -> Finding:
    if not _IDENTIFIER.fullmatch(name):
        message = f"its answer about {version[0]} names {name[:60]!r}"
        raise NotCheckedError(message)
    facts = _asked(client, "GET", f"/v1/vulns/{name}", None)
    aliases = [
        str(alias) for alias in facts.get("aliases", []) if _IDENTIFIER.fullmatch(str(alias))
    ]
    summary = str(facts.get("summary", "")).partition("\n")[0][:120]
    return Finding(version, (name, *aliases), ascii(summary)[1:-1])


def _asked(client: httpx2.Client, method: str, path: str, body: Any) -> Mapping[str, Any]:
    try:
        response = client.request(method, path, json=body)
        response.raise_for_status()
        found = response.json()
    except (httpx2.HTTPError, ValueError) as error:
        message = f"{type(error).__name__}: {error}"
        raise NotCheckedError(message) from error
    if not isinstance(found, dict):
        message = f"it answered with a {type(found).__name__}"
        raise NotCheckedError(message)
    return found


# ---- saying --------------------------------------------------------------------------------------


def audit(root: Path, url: str) -> int:
    """Print what is known against the pins of a checkout; return the exit status."""
    pinned, known = versions(root), accepted(root)
    try:
        with httpx2.Client(base_url=url, timeout=SECONDS) as client:
            found = list(findings(client, pinned))
    except NotCheckedError as error:
        print(f"NOT CHECKED: {len(pinned)} pinned versions. {url} can't be asked: {error}")
        print("Run `make audit` where it can be reached before a release.")
        return NOT_CHECKED
    lived_with = [finding for finding in found if known.keys() & set(finding.names)]
    for finding in found:
        name, number = finding.version
        reason = next((known[which] for which in finding.names if which in known), None)
        says = f"accepted: {reason}" if reason else finding.summary
        print(f"{name} {number}: {', '.join(finding.names)}: {says}")
    open_ones = len(found) - len(lived_with)
    print(
        f"Checked {len(pinned)} pinned versions against {url}: {open_ones} known vulnerabilities, "
        f"and {len(lived_with)} accepted."
    )
    return FOUND if open_ones else OK


def main() -> int:
    """Audit this checkout and the environment that runs this."""
    unknown = planted(Path(sysconfig.get_path("purelib")))
    for name in unknown:
        print(f"{name} runs at each start of Python in this environment, and isn't known to us.")
    return max(audit(ROOT, os.environ.get("OSV_URL", OSV)), FOUND if unknown else OK)


if __name__ == "__main__":
    sys.exit(main())
