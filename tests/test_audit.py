from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools import audit
from tools.pins import ROOT, SETS

CHECKSUM = f"--hash=sha256:{'ab' * 32}"
VULNERABLE = {"id": "GHSA-1", "aliases": ["CVE-2026-1"], "summary": "runs code\x1b[2J\nmore"}


class Osv:
    """A stand-in for the database: what it answers, and what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.known: dict[str, list[dict[str, Any]]] = {}
        self.answer: Any = None
        self.asked: list[Any] = []
        self.url = ""

    def about(self, query: dict[str, Any]) -> dict[str, Any]:
        known = self.known.get(f"{query['package']['name']} {query['version']}", [])
        return {"vulns": [{"id": facts["id"]} for facts in known]} if known else {}

    def reply(self, body: Any) -> Any:
        if self.answer is not None:
            return self.answer
        return {"results": [self.about(query) for query in body["queries"]]}


@pytest.fixture
def osv() -> Iterator[Osv]:
    made = Osv()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.asked.append(body)
            self.say(made.reply(body))

        def do_GET(self) -> None:
            known = [facts for each in made.known.values() for facts in each]
            self.say(next(facts for facts in known if self.path.endswith(facts["id"])))

        def say(self, answer: Any) -> None:
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with pins."""
    (tmp_path / "requirements").mkdir()
    for extra in SETS:
        own = f"{extra}-only==2 ; sys_platform == 'x' {CHECKSUM}\n"
        text = f"# Made\nshared==1.0 \\\n    {CHECKSUM}\n{own}"
        (tmp_path / "requirements" / f"{extra}.txt").write_text(text, "utf-8")
    accepted = "# Why\nCVE-2026-9 we don't call it\n"
    (tmp_path / "requirements" / "accepted.txt").write_text(accepted, "utf-8")
    return tmp_path


def test_every_pinned_version_is_asked_about_once(
    root: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.audit(root, osv.url) == audit.OK
    (asked,) = osv.asked
    names = [query["package"]["name"] for query in asked["queries"]]

    assert names == sorted(["shared", *(f"{extra}-only" for extra in SETS)])
    assert "Checked 5 pinned versions" in capsys.readouterr().out


def test_what_is_known_fails(root: Path, osv: Osv, capsys: pytest.CaptureFixture[str]) -> None:
    osv.known["shared 1.0"] = [VULNERABLE]

    assert audit.audit(root, osv.url) == audit.FOUND
    out = capsys.readouterr().out
    assert "shared 1.0: GHSA-1, CVE-2026-1: runs code" in out
    assert "\x1b" not in out
    assert "1 known vulnerabilities, and 0 accepted" in out


def test_what_is_accepted_is_said_with_its_reason(
    root: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    osv.known["shared 1.0"] = [{"id": "GHSA-9", "aliases": ["CVE-2026-9"]}]

    assert audit.audit(root, osv.url) == audit.OK
    out = capsys.readouterr().out
    assert "shared 1.0: GHSA-9, CVE-2026-9: accepted: we don't call it" in out
    assert "0 known vulnerabilities, and 1 accepted" in out


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, {"results": []}),
        (403, b"<html>blocked by a proxy</html>"),
        (200, b"<html>log in to this network</html>"),
        (200, b""),
        (200, []),
        (200, {}),
        (200, {"results": None}),
        (200, {"results": [{}]}),
        (200, {"results": [{"next_page_token": "x"}] * 5}),
        (200, {"results": [{"vulns": [{"id": "../../etc"}]}] * 5}),
        (200, {"results": ["x"] * 5}),
    ],
)
def test_no_answer_is_not_a_good_one(
    root: Path, osv: Osv, capsys: pytest.CaptureFixture[str], status: int, answer: Any
) -> None:
    osv.status, osv.answer = status, answer

    assert audit.audit(root, osv.url) == audit.NOT_CHECKED
    assert capsys.readouterr().out.startswith("NOT CHECKED: 5 pinned versions.")


def test_a_database_that_cannot_be_reached_is_said(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.audit(root, "http://127.0.0.1:1") == audit.NOT_CHECKED
    assert "can't be asked: ConnectError" in capsys.readouterr().out


def test_files_that_run_at_each_start_are_known_or_named(tmp_path: Path) -> None:
    for name, text in {
        "a1_coverage.pth": "import a\n",
        "_trace_opt.pth": "/home/me/src\n",
        "litellm_init.pth": "import os, subprocess; ...\n",
        "paths.pth": "/a\nimport\tb\n",
    }.items():
        (tmp_path / name).write_text(text, "utf-8")

    assert audit.planted(tmp_path) == ["litellm_init.pth", "paths.pth"]


def test_our_own_list_of_accepted_ones_can_be_read() -> None:
    known = audit.accepted(ROOT)

    assert all(name.startswith(("CVE-", "GHSA-", "PYSEC-")) for name in known)
    assert all(len(reason) > 20 for reason in known.values())
