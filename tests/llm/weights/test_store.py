from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from opto.errors import UnknownName, WeightsError
from opto.llm.weights import cache_folder, checked_path, is_present, weights_path
from opto.llm.weights.store import sha256_of
from tests.llm.weights.places import DATA, SHA256


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, ".cache/opto"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/opto"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "Library/Caches/opto"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/opto"),
        ("win32", {}, "AppData/Local/opto"),
        ("linux", {"OPTO_CACHE": "/mine", "XDG_CACHE_HOME": "/xdg"}, "/mine"),
    ],
)
def test_the_cache_is_where_the_platform_has_it(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPTO_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path.home() / expected


def test_missing_weights_say_how_to_get_them() -> None:
    with pytest.raises(WeightsError, match="run: opto model fetch small"):
        weights_path("small")
    assert not is_present("small")


def test_weights_of_another_size_are_not_here(cache: Path) -> None:
    (cache / "small.gguf").write_bytes(DATA[:-1])
    with pytest.raises(WeightsError, match=f"has {len(DATA) - 1} bytes"):
        weights_path("small")


@pytest.mark.parametrize("name", ["small", "SMALL", " small-instruct ", "small.gguf"])
def test_names_are_forgiving(name: str, cache: Path) -> None:
    (cache / "small.gguf").write_bytes(DATA)
    assert weights_path(name) == cache / "small.gguf"


@pytest.mark.parametrize("name", ["", "other", "a/b", "../x:y.gguf", "a/b:../c.gguf", "a:b.gguf"])
def test_other_names_are_unknown(name: str) -> None:
    with pytest.raises(UnknownName):
        weights_path(name)
    assert not is_present(name)


def test_the_checksum_is_compared_once_and_again_after_a_change(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[Path] = []

    def counted(path: Path) -> str:
        compared.append(path)
        return sha256_of(path)

    monkeypatch.setattr("opto.llm.weights.store.sha256_of", counted)
    path = cache / "small.gguf"
    path.write_bytes(DATA)
    assert checked_path("small") == checked_path("small") == path
    assert len(compared) == 1
    os.utime(path, (1, 1))
    checked_path("small")
    assert len(compared) == 2


def test_a_damaged_file_is_deleted_and_never_used(cache: Path) -> None:
    path = cache / "small.gguf"
    path.write_bytes(DATA[:-1] + b"!")
    with pytest.raises(WeightsError, match="It was deleted"):
        checked_path("small")
    assert not path.exists()


def test_a_damaged_stamp_is_no_stamp(cache: Path) -> None:
    (cache / "small.gguf").write_bytes(DATA)
    (cache / "small.gguf.checked").write_text("{", encoding="utf-8")
    assert sha256_of(checked_path("small")) == SHA256


def test_a_file_of_ones_own_is_not_compared(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"x")
    assert checked_path(str(mine)) == mine
