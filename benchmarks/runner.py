"""One run of the benchmarks: interleaved rounds, medians, results as JSON and as tables."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.plan import FULL, QUICK, Effort, Job, jobs
from benchmarks.subjects import MAKERS, Subject, Worker

Samples = dict[str, dict[str, list[dict[str, Any]]]]


def say(text: str) -> None:
    """Tell whoever watches how far the run is."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Round:
    """The workers of one round: one shared process per subject, others for fresh jobs."""

    def __init__(self, subjects: Mapping[str, Subject], root: Path, limit: float) -> None:
        """Start nothing yet."""
        self._subjects = subjects
        self._root = root
        self._limit = limit
        self._shared: dict[str, Worker] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Round:
        """The round itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self._stack.close()

    def take(self, job: Job, name: str) -> dict[str, Any]:
        """One sample of one subject."""
        request = {"module": self._subjects[name].workloads, **job.request}
        if job.fresh:
            with Worker(self._subjects[name], self._root, self._limit) as worker:
                return worker.ask(request)
        if name not in self._shared or not self._shared[name].alive:
            worker = Worker(self._subjects[name], self._root, self._limit)
            self._shared[name] = self._stack.enter_context(worker)
        return self._shared[name].ask(request)


def measure(
    subjects: Mapping[str, Subject], plan: Sequence[Job], root: Path, rounds: int, limit: float
) -> Samples:
    """Samples by job and subject; who begins changes from round to round.

    A subject that failed at a job is not asked for it again.
    """
    samples: Samples = {}
    for number in range(rounds):
        started = time.monotonic()
        with Round(subjects, root, limit) as this:
            for job in plan:
                taking = [name for name in job.subjects if name in subjects]
                for name in taking[::-1] if number % 2 else taking:
                    seen = samples.setdefault(job.key, {}).setdefault(name, [])
                    if not any("error" in sample for sample in seen):
                        seen.append(this.take(job, name))
        say(f"round {number + 1} of {rounds}: {time.monotonic() - started:.0f} s")
    return samples


def circumstances(
    root: Path, subjects: Iterable[str], rounds: int, effort: Effort
) -> dict[str, Any]:
    """What a reader must know to judge the figures."""
    git = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "commit": commit,
        "subjects": list(subjects),
        "rounds": rounds,
        "quick": effort is QUICK,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of seconds, no page")
    parser.add_argument("--rounds", type=int, help="rounds to take (default 5; quick 1)")
    parser.add_argument("--no-original", action="store_true", help="leave the original out")
    parser.add_argument("--torch", action="store_true", help="measure torch too (downloads it)")
    parser.add_argument("--only", default="", help="only jobs whose key contains this; no page")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds a sample may take")
    parser.add_argument("--out", type=Path, help="folder of results.json and tables.md")
    return parser.parse_args(argv)


def main(root: Path, argv: Sequence[str] | None = None) -> int:
    """Measure, write the results, and regenerate the page when the run was a whole one."""
    options = arguments(argv)
    effort = QUICK if options.quick else FULL
    rounds = options.rounds or (1 if options.quick else 5)
    names = ["original"] * (not options.no_original) + ["ours", "plain"] + ["torch"] * options.torch
    cache = root / ".bench"
    cache.mkdir(exist_ok=True)
    (cache / ".gitignore").write_text("*\n", encoding="ascii")
    subjects = {name: MAKERS[name](root) for name in names}
    plan = [job for job in jobs(effort) if options.only in job.key]
    result = {"circumstances": circumstances(root, names, rounds, effort)}
    result["samples"] = measure(subjects, plan, root, rounds, options.limit)
    whole = not options.quick and not options.only and not options.no_original
    out = options.out or (root / "benchmarks" if whole else cache)
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    tables = report.tables(result)
    sys.stdout.write("\n\n".join(tables.values()) + "\n")
    if whole and options.out is None:
        page = root / "docs" / "explanation" / "performance.md"
        page.write_text(report.fill(page.read_text(encoding="utf-8"), tables), encoding="utf-8")
        say(f"wrote {out / 'results.json'} and {page}")
    failed = report.failures(result)
    for failure in failed:
        say(f"ours failed at {failure}")
    return 1 if failed else 0
