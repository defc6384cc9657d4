from __future__ import annotations

from pathlib import Path

import pytest

from opto.errors import WeightsError
from opto.llm.weights import fetch
from opto.llm.weights.hub import Hub
from opto.llm.weights.partial import Partial
from opto.llm.weights.store import place_of
from tests.llm.weights.places import DATA, SHA256, SMALL, FileServer

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


def test_the_checksum_that_the_hub_tells_is_compared() -> None:
    with FileServer() as server:
        server.headers = {"x-linked-etag": f'"{"0" * 64}"'}
        with pytest.raises(WeightsError, match="isn't what it should be"):
            fetch("me/mine:b.gguf", sources=(Hub(server.url),))
        server.headers = {"x-linked-etag": f'"{SHA256}"'}
        assert fetch("me/mine:b.gguf", sources=(Hub(server.url),)).read_bytes() == DATA


def test_a_redirection_to_a_place_without_tls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with FileServer() as server:
        hub = Hub(server.url)
        partial = Partial(SMALL, place_of(SMALL), print)
        monkeypatch.setattr(Hub, "_endpoint_is_safe", True)
        with pytest.raises(WeightsError, match="without TLS"):
            hub.deliver(SMALL, partial)


def test_what_has_no_checksum_must_come_over_tls() -> None:
    with pytest.raises(WeightsError, match="must come over https"):
        fetch("me/mine:b.gguf", sources=(Hub("http://mirror.example.org"),))


def test_an_unreachable_hub_is_said() -> None:
    with FileServer() as server:
        url = server.url
    with pytest.raises(WeightsError, match="ConnectError"):
        fetch("small", sources=(Hub(url),))


def test_the_endpoint_can_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Hub().endpoint == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example.org")
    assert Hub().name == "hub.example.org"
