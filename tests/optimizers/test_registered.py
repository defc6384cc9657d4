"""Optimizers of other distributions are found by their entry points."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from opto.errors import UnknownName
from opto.optimizers import OPTIMIZERS
from opto.optimizers.registered import OPTIMIZERS as REGISTERED
from opto.testing import ScriptedModel, check_optimizer

OWN = """
import re

from opto.optimizers import ModelOptimizer
from opto.optimizers.parsing import parse_reply


class Seven(ModelOptimizer):
    def _step(self, verbose=False, **_):
        problem = self.summarize()
        names = " ".join(problem.variables)
        reply = self.call_llm("Answer with JSON.", f"Names: {names}\\n{self.refusals()}", verbose)
        self.note_step(names, problem)
        return self.converted(self.read(reply, self.wanted()), reply=reply)
"""


def seven(messages: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    names = messages[1]["content"].partition("Names: ")[2].partition("\n")[0].split()
    return {"suggestion": dict.fromkeys(names, 7)}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with an optimizer of its own."""
    (tmp_path / "own_optimizers.py").write_text(OWN, "utf-8")
    about = tmp_path / "own_optimizers-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-optimizers\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[opto.optimizers]\nSeven = own_optimizers:Seven\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(OPTIMIZERS, "_known", dict(OPTIMIZERS._known))
    monkeypatch.delitem(sys.modules, "own_optimizers", raising=False)


@pytest.mark.usefixtures("installed")
def test_an_optimizer_of_another_distribution_is_found_by_name() -> None:
    assert "Seven" in OPTIMIZERS.names()
    kind = OPTIMIZERS.get("Seven")
    assert kind.__module__ == "own_optimizers"
    check_optimizer(lambda parameters: kind(parameters, llm=ScriptedModel(seven)))


def test_without_it_the_known_ones_are_listed() -> None:
    with pytest.raises(UnknownName, match="OptoPrime, OptoPrimeMulti, OptoPrimeV2"):
        OPTIMIZERS.get("Seven")


def test_there_is_one_registry() -> None:
    assert REGISTERED is OPTIMIZERS
