from __future__ import annotations

import io
import time

import pytest

from opto.cli.progress import Bar, line
from opto.llm.weights import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


MB = 1_000_000


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with Bar(stream) as bar:
        for note in ("from one place", "from another"):
            for done in range(0, 101, 10):
                bar(Progress("x", done * MB, 100 * MB, note))
                now += 1.0
    return stream.getvalue()


def test_a_bar_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(Terminal(), monkeypatch)
    assert text.count("\r") == 22
    assert text.count("\n") == 4
    assert "from one place\n" in text
    assert "100 of 100 MB" in text
    assert "10.0 MB/s" in text


def test_elsewhere_there_are_few_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(io.StringIO(), monkeypatch)
    assert "\r" not in text
    assert text.splitlines()[0] == "from one place"
    assert len(text.splitlines()) <= 8
    assert "100%" in text


def test_lines_say_what_is_known() -> None:
    assert line(Progress("x", 5 * MB, None, "")) == "  5 MB"
    assert line(Progress("x", 5 * MB, 10 * MB, "")) == (
        "  [###############               ]  50%  5 of 10 MB"
    )
    assert "2.0 MB/s  2 s left" in line(Progress("x", 6 * MB, 10 * MB, ""), 2.0 * MB)
