from __future__ import annotations

from pathlib import Path

import pytest

from opto.llm.weights import catalogue
from tests.llm.weights.places import SMALL


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a catalogue with one small file in it."""
    monkeypatch.setenv("OPTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(catalogue, "_ALL", (SMALL,))
    folder = tmp_path / "cache" / "models"
    folder.mkdir(parents=True)
    return folder
