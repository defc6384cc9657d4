from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plain_workloads, report, workloads
from benchmarks.micro import Micro, sample
from benchmarks.plan import FULL, MICRO_NAMES, PLAIN_NAMES, QUICK, jobs

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results.json"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "benchmarks/run.py", "--quick", "--no-original", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    result["printed"] = done.stdout
    return result


def test_a_quick_run_measures_every_job_of_ours(quick: dict[str, Any]) -> None:
    asked = {job.key for job in jobs(QUICK) if "ours" in job.subjects}
    measured = {key for key, subjects in quick["samples"].items() if subjects.get("ours")}
    assert measured == asked
    assert report.failures(quick) == []


def test_a_quick_run_prints_every_table(quick: dict[str, Any]) -> None:
    for text in report.tables(quick).values():
        assert text in quick["printed"]


def test_every_statement_has_a_row_and_every_row_a_statement() -> None:
    assert {name for name, _label, _reach in report.ROWS} == set(MICRO_NAMES)


def test_statements_of_the_plan_exist() -> None:
    assert set(workloads.MICRO) == set(MICRO_NAMES)
    assert set(plain_workloads.MICRO) == set(PLAIN_NAMES)


def test_keys_are_unique_for_each_subject() -> None:
    taken = [(job.key, subject) for job in jobs(FULL) for subject in job.subjects]
    assert len(taken) == len(set(taken))


def test_the_page_shows_the_committed_results() -> None:
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert report.fill(page, report.tables(result)) == page


def test_fill_replaces_what_stands_between_the_markers() -> None:
    page = "a\n<!-- bench:loop -->\nold\n<!-- /bench -->\nb\n"
    filled = "a\n<!-- bench:loop -->\nnew \\1\n<!-- /bench -->\nb\n"
    assert report.fill(page, {"loop": "new \\1"}) == filled
    with pytest.raises(ValueError, match="0 places for the table 'imports'"):
        report.fill(page, {"imports": ""})


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.2e-7, "420 ns"), (0.0, "0 ns")],
)
def test_times_have_the_unit_that_suits(value: float | None, text: str) -> None:
    assert report.seconds(value) == text


def test_a_failed_sample_leaves_no_figure_and_is_told() -> None:
    samples = {"import/opto": {"ours": [{"import": 1.0}, {"error": "gone"}]}}
    result = {"samples": samples, "circumstances": {}}
    assert report.Figures(result).median("import/opto", "ours", "import") is None
    assert report.failures(result) == ["import/opto: gone"]


def test_verdicts() -> None:
    assert report.verdict(60.0, 50) == "≥ 50: yes"
    assert report.verdict(40.0, 50) == "≥ 50: **no**"
    assert report.verdict(12.0, 13, at_most=True) == "< 13: yes"
    assert report.verdict(None, 13) == "≥ 13: not measured"
    assert report.verdict(1.0, None) == ""


def test_a_sample_counts_operations_and_makes_names_anew_where_asked() -> None:
    made: list[int] = []

    def namespace() -> dict[str, Any]:
        made.append(1)
        return {"made": made}

    once = Micro("sum(range(1000))", namespace, per=1000, once=True)
    spent = sample(once, min_time=0.0, gc_on=False, reset=made.clear)
    assert 0 < spent < 1e-3
    assert made == [1]


@pytest.mark.parametrize("gc_on", [True, False])
def test_the_collector_is_as_asked(gc_on: bool) -> None:
    seen: set[bool] = set()
    micro = Micro("seen.add(gc.isenabled())", lambda: {"seen": seen, "gc": __import__("gc")})
    sample(micro, min_time=0.0, gc_on=gc_on, reset=lambda: None)
    assert seen == {gc_on}
