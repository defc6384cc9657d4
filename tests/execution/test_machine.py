"""The report says what works here, and why something doesn't."""

from __future__ import annotations

import os

import pytest

from opto.execution import Policy, report
from tests.execution.conftest import why_not


def test_it_agrees_with_what_happens() -> None:
    found = report()

    assert found.works == (not why_not())
    assert bool(found.reason) != found.works
    assert str(found).startswith("isolated works here" if found.works else "isolated doesn't")


def test_without_pidfd_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from opto.execution.server import Server, Setting  # noqa: PLC0415 - patched below

    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr("opto.execution.machine.server", lambda _: Server(Setting()))
    found = report()

    assert not found.works
    assert "pidfd" in found.reason
    assert found.mechanisms["process handles (pidfd)"] == "missing"


def test_policies_can_be_printed() -> None:
    shown = repr(Policy())

    assert "name='isolated'" in shown
    assert "seconds=10.0" in shown
