from __future__ import annotations

from pathlib import Path

import pytest

from opto.errors import WeightsError
from opto.llm.weights import fetch
from opto.llm.weights.hub import Hub
from tests.llm.weights.places import DATA, FileServer

PATH = "/org/repo/resolve/main/small.gguf"


def test_the_publishers_file_is_fetched() -> None:
    with FileServer() as server:
        assert fetch("small", sources=(Hub(server.url),)).read_bytes() == DATA
        assert server.asked == [(PATH, None)]


def test_a_broken_download_is_resumed_by_range(cache: Path) -> None:
    with FileServer(stop_after=600) as server:
        with pytest.raises(WeightsError):
            fetch("small", sources=(Hub(server.url),))
        kept = (cache / "small.gguf.part").stat().st_size
        assert kept == 600
        server.stop_after = None
        assert fetch("small", sources=(Hub(server.url),)).read_bytes() == DATA
        assert server.asked[-1] == (PATH, "bytes=600-")


def test_a_server_without_ranges_begins_anew(cache: Path) -> None:
    (cache / "small.gguf.part").write_bytes(DATA[:100])
    with FileServer(ranges=False) as server:
        assert fetch("small", sources=(Hub(server.url),)).read_bytes() == DATA


def test_redirects_are_followed() -> None:
    with FileServer() as server:
        server.redirect = lambda path: f"{server.url}/elsewhere{path}"
        assert fetch("small", sources=(Hub(server.url),)).read_bytes() == DATA
        assert [path for path, _ in server.asked] == [PATH, f"/elsewhere{PATH}"]


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [(DATA, 404, "HTTP 404"), (b"<html>", 0, "offers 6 bytes"), (b"", 416, "HTTP 416")],
)
def test_what_it_doesnt_have_is_said(data: bytes, status: int, reason: str) -> None:
    with FileServer(data) as server:
        server.status = status
        with pytest.raises(WeightsError, match=reason):
            fetch("small", sources=(Hub(server.url),))


def test_an_unreachable_hub_is_said() -> None:
    with FileServer() as server:
        url = server.url
    with pytest.raises(WeightsError, match="ConnectError"):
        fetch("small", sources=(Hub(url),))


def test_the_endpoint_can_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Hub().endpoint == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example.org")
    assert Hub().name == "hub.example.org"
