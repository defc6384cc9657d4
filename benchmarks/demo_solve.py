"""How often, and at what price, each local model solves the tasks of ``make demo``.

    python benchmarks/demo_solve.py --model 1.5b --runs 10 --out docs/benchmarks/demo.jsonl
    python benchmarks/demo_solve.py --table docs/benchmarks/demo.jsonl

Each run is a process of its own and adds a line for each task to the file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]


def one_run(model: str, seconds: float, out: Path, label: str) -> None:
    """Train all tasks once, in this process, and write a line for each."""
    sys.path.insert(0, str(ROOT / "examples"))
    import demo  # noqa: PLC0415 - an example, found by path

    results = demo.run_all(demo.LocalModel(model), seconds)
    with out.open("a", encoding="utf-8") as file:
        for result in results:
            row = {
                "label": label,
                "model": model,
                "task": result.task.title,
                "limit": seconds,
                "before": result.before[1],
                "after": result.after[1],
                "calls": result.calls,
                "tokens": result.tokens,
                "seconds": round(result.seconds, 1),
                "load": round(os.getloadavg()[1], 1),
            }
            file.write(json.dumps(row) + "\n")


def table(rows: Iterable[Row]) -> str:
    """Write a Markdown table: solved of how many, median and range of the costs."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["label"], row["model"], row["task"]), []).append(row)
    lines = ["| code | model | task | solved | seconds | calls | tokens |", "|---" * 7 + "|"]
    for (label, model, task), found in sorted(groups.items()):
        solved = sum(row["after"] == 1 for row in found)
        costs = " | ".join(
            spread([row[name] for row in found if row[name] is not None]) for name in COSTS
        )
        lines.append(f"| {label} | {model} | {task} | {solved} of {len(found)} | {costs} |")
    return "\n".join(lines)


def runs(rows: Iterable[Row]) -> str:
    """Write a Markdown table of whole runs: how many solved every task, and how many in time."""
    rows = list(rows)
    titles = {row["task"]: None for row in rows}
    tasks: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows:
        by_title: dict[str, list[Row]] = {title: [] for title in titles}
        tasks.setdefault((row["label"], row["model"]), by_title)[row["task"]].append(row)
    lines = ["| code | model | all solved | within ten minutes | seconds |", "|---" * 5 + "|"]
    for (label, model), by_task in sorted(tasks.items()):
        whole = list(zip(*by_task.values(), strict=False))  # rows of a run follow each other
        seconds = [sum(row["seconds"] for row in run) for run in whole]
        solved = [all(row["after"] == 1 for row in run) for run in whole]
        timely = sum(
            good and took <= TEN_MINUTES for good, took in zip(solved, seconds, strict=True)
        )
        count = f"{sum(solved)} of {len(whole)} | {timely} of {len(whole)}"
        lines.append(f"| {label} | {model} | {count} | {spread(seconds)} |")
    return "\n".join(lines)


COSTS = ("seconds", "calls", "tokens")
TEN_MINUTES = 600.0


def spread(values: Sequence[float]) -> str:
    """Write the median, and the range if there is one."""
    if len(set(values)) < 2:
        return f"{values[0]:,.0f}" if values else "not known"
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def main() -> None:
    """Run, or show the table of what was run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="1.5b")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=540.0, help="for all tasks")
    parser.add_argument("--label", default="", help="what was measured, e.g. a commit")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks" / "demo.jsonl")
    parser.add_argument("--table", type=Path, help="print the tables of such a file, run nothing")
    parser.add_argument("--one", action="store_true", help="one run, in this process")
    options = parser.parse_args()
    if options.table:
        rows = [json.loads(line) for line in options.table.read_text("utf-8").splitlines()]
        rows = [row for row in rows if options.label in ("", row["label"])]
        print(runs(rows), table(rows), sep="\n\n")
    elif options.one:
        one_run(options.model, options.seconds, options.out, options.label)
    else:
        given = ["--model", options.model, "--seconds", str(options.seconds)]
        given += ["--label", options.label]
        command = [sys.executable, __file__, "--one", *given, "--out", str(options.out)]
        for _ in range(options.runs):
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
