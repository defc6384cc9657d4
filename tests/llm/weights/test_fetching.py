from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from opto.errors import UnknownName, WeightsError
from opto.llm.weights import Progress, Weights, fetch, is_present, weights_path
from opto.llm.weights.fetching import Source
from opto.llm.weights.hub import Hub
from opto.llm.weights.partial import Partial
from tests.llm.weights.places import DATA, SMALL, FileServer


class Given:
    """A source that delivers what it is given, and fails then if it is to."""

    def __init__(self, data: bytes = DATA, *, fails: str = "", name: str = "given") -> None:
        self.data, self.fails, self.name = data, fails, name
        self.asked_at: list[int] = []

    def has(self, weights: Weights) -> bool:
        return True

    def deliver(self, weights: Weights, partial: Partial) -> None:
        at = partial.present
        self.asked_at.append(at)
        partial.begin(at)
        partial.write(self.data[at:])
        if self.fails:
            raise WeightsError(self.fails)


def fetched(*sources: Source) -> tuple[Path, list[Progress]]:
    seen: list[Progress] = []
    return fetch("small", progress=seen.append, sources=sources), seen


def notes(seen: Sequence[Progress]) -> list[str]:
    return list(dict.fromkeys(progress.note for progress in seen))


def test_what_is_fetched_is_where_it_belongs(cache: Path) -> None:
    path, seen = fetched(Given())
    assert path == cache / "small.gguf" == weights_path("small")
    assert path.read_bytes() == DATA
    assert seen[-1].done == seen[-1].total == len(DATA)
    assert sorted(file.name for file in cache.iterdir()) == [
        "small.gguf",
        "small.gguf.checked",
        "small.gguf.lock",
    ]


def test_the_size_is_said_first() -> None:
    _, seen = fetched(Given())
    assert "0 MB" in seen[0].note
    assert seen[0].done == 0


def test_what_is_here_is_not_fetched_again() -> None:
    fetched(Given())
    again = Given()
    assert fetched(again)[1] == []
    assert again.asked_at == []


def test_the_next_source_goes_on_where_the_first_stopped() -> None:
    first, second = Given(DATA[:500], fails="gone"), Given()
    _, seen = fetched(first, second)
    assert (first.asked_at, second.asked_at) == ([0], [500])
    assert any("gone" in note for note in notes(seen))


def test_a_later_fetch_goes_on_too(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"What arrived .* is kept"):
        fetched(Given(DATA[:500], fails="gone"))
    assert (cache / "small.gguf.part").read_bytes() == DATA[:500]
    second = Given()
    fetched(second)
    assert second.asked_at == [500]


def test_a_wrong_checksum_is_deleted_and_the_next_source_begins_anew(cache: Path) -> None:
    wrong = Given(DATA[:-1] + b"x", name="wrong")
    with pytest.raises(WeightsError, match="isn't what it should be"):
        fetched(wrong)
    assert not is_present("small")
    assert not (cache / "small.gguf.part").exists()
    second = Given()
    fetched(wrong, second)
    assert second.asked_at == [0]


def test_more_than_there_should_be_is_refused() -> None:
    with pytest.raises(WeightsError, match="more than the"):
        fetched(Given(DATA * 2))


def test_less_than_there_should_be_is_kept_but_not_used() -> None:
    with pytest.raises(WeightsError, match=f"only 500 of {len(DATA)}"):
        fetched(Given(DATA[:500]))
    assert not is_present("small")


def test_what_is_whole_needs_no_source(cache: Path) -> None:
    (cache / "small.gguf.part").write_bytes(DATA)
    assert fetched()[0].read_bytes() == DATA


def test_what_is_whole_but_wrong_is_fetched_anew(cache: Path) -> None:
    (cache / "small.gguf.part").write_bytes(DATA[:-1] + b"x")
    assert fetched(Given())[0].read_bytes() == DATA


def test_what_is_too_long_begins_anew(cache: Path) -> None:
    (cache / "small.gguf.part").write_bytes(DATA * 2)
    source = Given()
    fetched(source)
    assert source.asked_at == [0]


def test_all_reasons_are_told() -> None:
    with pytest.raises(WeightsError) as caught:
        fetched(Given(b"", fails="no way", name="one"), Given(b"", fails="no luck", name="two"))
    assert "one: no way" in str(caught.value)
    assert "two: no luck" in str(caught.value)


def test_no_source_at_all() -> None:
    with pytest.raises(WeightsError, match="no source has it"):
        fetched()


def test_a_full_disk_is_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def nearly_full(path: Path) -> SimpleNamespace:
        return SimpleNamespace(free=1 << 20)

    monkeypatch.setattr("shutil.disk_usage", nearly_full)
    with pytest.raises(WeightsError, match="MB free"):
        fetched(Given())


def test_several_at_once_fetch_it_once() -> None:
    started, go = threading.Event(), threading.Event()

    class Slow(Given):
        def deliver(self, weights: Weights, partial: Partial) -> None:
            started.set()
            assert go.wait(20)
            super().deliver(weights, partial)

    source = Slow()
    seen: list[Progress] = []
    paths: list[Path] = []

    def one() -> None:
        paths.append(fetch("small", progress=seen.append, sources=(source,)))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert started.wait(20)
    for _ in range(2000):
        if sum("another process" in progress.note for progress in seen) == 3:
            break
        threading.Event().wait(0.01)
    go.set()
    for thread in threads:
        thread.join()
    assert len(paths) == 4
    assert source.asked_at == [0]


def test_a_file_of_ones_own_needs_no_fetching(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"GGUF")
    assert fetch(str(mine), sources=()) == mine


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="org/repository:file"):
        fetch("no-such-model", sources=())


def test_a_file_of_the_hub_by_name_is_trusted_and_that_is_said() -> None:
    with FileServer() as server:
        seen: list[Progress] = []
        path = fetch("me/mine:a/b.gguf", progress=seen.append, sources=(Hub(server.url),))
        assert path.read_bytes() == DATA
        assert path.name == "me--mine--a--b.gguf"
        assert server.asked[0][0] == "/me/mine/resolve/main/a/b.gguf"
        assert "no checksum" in seen[0].note
        assert is_present("me/mine:a/b.gguf")


def test_what_is_no_weights_file_is_refused() -> None:
    with (
        FileServer(b"<html>log in</html>") as server,
        pytest.raises(WeightsError, match="isn't what it should be"),
    ):
        fetch("me/mine:b.gguf", sources=(Hub(server.url),))


def test_the_small_weights_are_in_the_catalogue() -> None:
    assert SMALL.size == len(DATA)
