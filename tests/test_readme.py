"""What the README shows works, and is short where it says so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.improver import model_at_hand
from tests.snippets import ROOT, blocks, run_page

README = ROOT / "README.md"
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_its_code_runs_and_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with model_at_hand(monkeypatch) as server:
        names = run_page(README, tmp_path)

    assert names["said"] == "HELLO!"
    assert names["test_output"] == names["test_ground_truth"]
    assert names["feedback"] == "Correct"
    assert server.requests, "the snippets asked no model"
    assert "HELLO!" in capsys.readouterr().out


def test_the_first_example_has_at_most_fifteen_lines_of_code() -> None:
    first = next(block for block in blocks(README) if block.language == "python")
    assert len([line for line in first.text.splitlines() if line.strip()]) <= 15


def test_the_first_screen_has_the_two_commands_and_the_example() -> None:
    kinds = [block.language for block in blocks(README) if block.line <= 40]
    assert kinds == ["sh", "python"]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_its_make_targets_exist(page: str) -> None:
    shown = [block.text for block in blocks(ROOT / page) if block.language == "sh"]
    targets = set(re.findall(r"^make ([a-z]+)", "\n".join(shown), re.MULTILINE))

    assert targets
    assert [name for name in targets if f"\n{name}:" not in MAKEFILE] == []


def test_its_json_is_json() -> None:
    texts = [block.text for block in blocks(README) if block.language == "json"]

    assert [len(json.loads(text)) for text in texts] == [2]


def test_its_extras_exist() -> None:
    extras = set(re.findall(r"\[(\w+)\]'", README.read_text("utf-8")))
    project = (ROOT / "pyproject.toml").read_text("utf-8")

    assert extras
    assert [name for name in extras if not re.search(rf"^{name} = \[", project, re.MULTILINE)] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_its_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text("utf-8"))

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
