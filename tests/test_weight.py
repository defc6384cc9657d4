from __future__ import annotations

from pathlib import Path

import pytest

from tools import weight


def distribution(site: Path, name: str, *, size: int) -> None:
    """Put a distribution with one file of `size` bytes into a site-packages folder."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    with (site / f"{name}.py").open("wb") as file:
        file.truncate(size)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    (info / "RECORD").write_text(f"{name}.py,,\n{name}-1.0.dist-info/absent,,\n", "utf-8")


def test_it_counts_files_and_leaves_out_what_every_environment_has(tmp_path: Path) -> None:
    for name, size in [("pip", 5_000_000), ("setuptools", 5_000_000), ("b", 1_500_000), ("a", 10)]:
        distribution(tmp_path, name, size=size)

    assert weight.weigh(tmp_path) == (["a", "b"], 1.50001)


@pytest.mark.parametrize(
    ("count", "size", "extras", "status"),
    [(20, 1, [], 0), (21, 1, [], 1), (2, 15_000_001, [], 1), (21, 1, ["local"], 0)],
)
def test_only_the_base_install_has_a_budget(
    count: int,
    size: int,
    extras: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def install(folder: Path, *wanted: str) -> Path:
        assert list(wanted) == extras
        for number in range(count):
            distribution(folder, f"d{number}", size=size)
        return folder

    monkeypatch.setattr(weight, "install", install)

    assert weight.main(extras) == status
    printed = capsys.readouterr().out
    assert f"{count} distributions" in printed
    assert ("Over the budget" in printed) == bool(status)
