"""What the documentation shows works, and its links lead somewhere."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.improver import model_at_hand
from tests.snippets import ROOT, Block, blocks, run_page

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WITH_CODE = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]
_CLAIM = re.compile(r"^print\((.*)\)  # (.+)$", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(DOCS))


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_its_code_runs(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    claims: list[str] = []

    def note(block: Block) -> None:
        claims.extend(claim for _, claim in _CLAIM.findall(block.text))

    with model_at_hand(monkeypatch):
        run_page(page, tmp_path, between=note)

    printed = capsys.readouterr().out
    # A comment after print(...) that is a literal, not a remark, is what is printed.
    missing = [claim for claim in claims if not claim.startswith("the ") and claim not in printed]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_its_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text("utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_reference_names_what_there_is() -> None:
    names = [
        name
        for page in (DOCS / "reference").glob("*.md")
        for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
    ]

    assert names
    for name in names:
        module, _, attribute = name.rpartition(".")
        if module == "opto":
            importlib.import_module(name)
        else:
            assert hasattr(importlib.import_module(module), attribute), name


def test_every_decision_is_listed() -> None:
    index = (DOCS / "adr" / "index.md").read_text("utf-8")
    records = sorted(path.name for path in (DOCS / "adr").glob("[0-9]*.md"))

    assert records
    assert [name for name in records if f"({name})" not in index] == []


def test_every_page_can_be_found_from_the_menu() -> None:
    menu = re.findall(
        r"^ +- (?:.+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE
    )
    reached = {*menu, "adr/template.md", *(f"adr/{path.name}" for path in DOCS.glob("adr/0*.md"))}

    assert sorted(map(name_of, PAGES)) == sorted(reached | {"adr/index.md"})
