from __future__ import annotations

from pathlib import Path

import pytest

from tools import budgets

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("src/opto", "tests/data"):
        (tmp_path / folder).mkdir(parents=True)
    write(tmp_path / "tests/test_all.py", lines=1_000)
    return tmp_path


def write(path: Path, *, lines: int, text: str = "x = 1") -> None:
    path.write_text(f"{text}\n" * lines, "utf-8")


def function_of(lines: int) -> str:
    return "async def long():\n" + "    x = 1\n" * (lines - 1)


def test_a_small_checkout_is_within_budget(checkout: Path) -> None:
    write(checkout / "src/opto/small.py", lines=150)
    (checkout / "src/opto/tall.py").write_text(function_of(60), "utf-8")

    assert budgets.overruns(checkout) == []


def test_a_long_module_is_named(checkout: Path) -> None:
    write(checkout / "src/opto/long.py", lines=401)
    write(checkout / "src/opto/a.py", lines=1)
    write(checkout / "src/opto/b.py", lines=1)

    assert budgets.overruns(checkout) == [
        "src/opto/long.py: 401 lines, over 400; split it by purpose"
    ]


def test_a_module_at_the_limit_passes(checkout: Path) -> None:
    write(checkout / "src/opto/long.py", lines=400)
    write(checkout / "src/opto/a.py", lines=1)
    write(checkout / "src/opto/b.py", lines=1)

    assert budgets.overruns(checkout) == []


def test_a_long_function_is_named_with_its_line(checkout: Path) -> None:
    (checkout / "src/opto/tall.py").write_text("\n" + function_of(61), "utf-8")

    assert budgets.overruns(checkout) == ["src/opto/tall.py:2: long has 61 lines, over 60"]


def test_the_median_counts(checkout: Path) -> None:
    write(checkout / "src/opto/a.py", lines=151)

    assert budgets.overruns(checkout) == ["src: the median module has 151 lines, over 150"]


def test_tests_must_be_as_long_as_the_code_and_data_is_no_test(checkout: Path) -> None:
    write(checkout / "src/opto/a.py", lines=20)
    write(checkout / "tests/test_all.py", lines=19)
    write(checkout / "tests/data/snippet.py", lines=100)

    assert budgets.overruns(checkout) == [
        "tests: 19 lines for 20 lines of code; at least as many are due"
    ]


def test_the_command_says_that_all_is_well_or_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    looked_at: list[Path] = []

    def overruns(root: Path) -> list[str]:
        looked_at.append(root)
        return found

    monkeypatch.setattr(budgets, "overruns", overruns)
    assert budgets.main() == 0
    found.append("a.py: too long")
    assert budgets.main() == 1

    assert looked_at == [ROOT, ROOT]
    assert capsys.readouterr().out == "All budgets hold.\na.py: too long\n"
