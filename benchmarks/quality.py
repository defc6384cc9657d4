"""How many of twenty small tasks each optimizer solves with a small local model.

    python -m benchmarks.quality                    # adds what is missing to quality.jsonl
    python -m benchmarks.quality --seeds 0 --minutes 60 --only "original OptoPrime"
    python -m benchmarks.quality --plan             # what is missing, and how long it may take
    python -m benchmarks.quality --table --write    # docs/benchmarks/quality.md
    python -m benchmarks.quality --url http://127.0.0.1:8080/v1 --engine "llama.cpp, native build"

Ours and the original ask the same model through the same server. The package of llama.cpp that
``[local]`` installs has to run on any processor; a server that was built for the one at hand, with
the same weights, may be several times faster: start it and give its `--url`.

Each (optimizer, task, seed) is a process of its own and a line of the file as soon as it is done;
what is there isn't run again, so the work can be stopped and taken up at any time.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.quality_bench import Bench, TakenDownError, copied, work
from benchmarks.quality_jobs import PROTOCOL, SEEDS, Job, chosen, jobs, missing
from benchmarks.quality_table import Row, page, rows_of, spent
from benchmarks.quality_tasks import TASKS
from benchmarks.quality_worker import PATIENCE
from benchmarks.step_cost import ORIGINAL_NEEDS
from benchmarks.subjects import ORIGINAL, environment
from opto.llm import LocalModel, OpenAICompatible

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "benchmarks" / "quality.jsonl"
PAGE = ROOT / "docs" / "benchmarks" / "quality.md"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of the benchmark; raises `SystemExit` if another run has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "quality.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit("another run of this benchmark is going on") from None
        yield


class Run:
    """Does jobs in order, several at the same time, and writes a row for each as it is done."""

    def __init__(self, todo: Sequence[Job], results: Path, minutes: float = math.inf) -> None:
        self.todo, self.results = todo, results
        self._waiting: Iterator[Job] = iter(todo)
        self._until = time.monotonic() + 60 * minutes
        self._lock = threading.Lock()
        self._done = 0
        self.stopped = False

    def keep_on(self, bench: Bench, model: Callable[..., Any]) -> None:
        """Do one job after the other, until there are no more or the time is over."""
        while (job := self._next()) is not None:
            try:
                row = work(job, bench, model)
            except BaseException:
                self.stopped = True
                raise
            self._write(job, row)

    def _next(self) -> Job | None:
        with self._lock:
            over = self.stopped or time.monotonic() > self._until
            return None if over else next(self._waiting, None)

    def _write(self, job: Job, row: Row) -> None:
        with self._lock:
            with self.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            self._done += 1
            word = "solved" if row["solved"] else "not solved"
            print(
                f"{self._done}/{len(self.todo)} seed {job.seed} {job.task.name}, "
                f"{job.subject.name}: {word}, {row['calls']} calls, {row['wall_seconds']:.0f} s "
                f"{row['error']}",
                flush=True,
            )


def model_of(given: argparse.Namespace) -> Callable[..., Any]:
    """Return the model that is served: loaded here, or behind a URL.

    Raises:
        ModelError: the server doesn't answer, or still loads; rows of such calls would say nothing.
    """
    if given.url is None:
        return LocalModel(given.model, slots=given.slots)
    model = OpenAICompatible(given.model, given.url, timeout=PATIENCE)
    model(messages=[{"role": "user", "content": "Say yes."}], max_tokens=1)
    return model


def run(current: Run, given: argparse.Namespace) -> None:
    """Do the jobs; Ctrl-C lets those end that have begun."""
    original = None
    if any(job.subject.library == "original" for job in current.todo):
        folder = ROOT / ".bench" / "venv-original-llm"
        original = environment(folder, whole=ORIGINAL_NEEDS, bare=ORIGINAL)
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    copy = copied(ROOT, given.revision)
    bench = Bench(*copy, given.model, given.slots, original, given.engine, given.keep)
    model = model_of(given)
    with ThreadPoolExecutor(given.slots) as pool:
        running = [pool.submit(current.keep_on, bench, model) for _ in range(given.slots)]
        try:
            for thread in running:
                thread.result()
        except TakenDownError as error:
            print(f"{error}; it has no row, and nothing further is begun")
        except KeyboardInterrupt:
            print("what has begun is finished; once more ends it at once")
        finally:
            current.stopped = True


def plan(todo: Sequence[Job], rows: Sequence[Row]) -> str:
    """Say how much is missing and how long it may take, by what the rows that are there took."""
    mean = spent(rows)
    lines = ["subject | missing | minutes each seed | minutes left", "-" * 60]
    total = 0.0
    for name in dict.fromkeys(job.subject.name for job in todo):
        mine = [job for job in todo if job.subject.name == name]
        seeds = len({job.seed for job in mine})
        minutes = mean.get(name, 0.0) * len(mine) / 60
        total += minutes
        shown = f"{minutes / seeds:.0f} | {minutes:.0f}" if name in mean else "not known yet |"
        lines.append(f"{name} | {len(mine)} | {shown}")
    return "\n".join([*lines, f"all: {len(todo)} missing, about {total / 60:.1f} hours"])


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="quality of the optimizers with a local model")
    parser.add_argument("--model", default="1.5b")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(SEEDS)))
    parser.add_argument("--only", nargs="*", help="names of subjects, as in the table")
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--kinds", nargs="*")
    parser.add_argument("--slots", type=int, default=1, help="jobs at the same time")
    parser.add_argument("--url", help="of a server that has the model; if none, it is loaded here")
    parser.add_argument("--engine", default="xllamacpp", help="what runs the model, for the rows")
    parser.add_argument("--keep", type=Path, help="a folder for what was asked and answered")
    parser.add_argument("--revision", default="HEAD", help="of the code that is measured")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no further one after that"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plan", action="store_true", help="say what is missing, run nothing")
    parser.add_argument("--table", action="store_true", help="print the page, run nothing")
    parser.add_argument("--write", action="store_true", help="with --table: write the page")
    return parser.parse_args()


def main() -> None:
    """Run what is missing, or show what there is."""
    given = arguments()
    rows = rows_of(given.results, PROTOCOL)
    if given.table:
        text = page(rows)
        print(text)
        if given.write:
            PAGE.write_text(text, encoding="utf-8")
        return
    tasks = [TASKS[name] for name in given.tasks]
    tasks = [task for task in tasks if not given.kinds or task.kind in given.kinds]
    wanted = jobs(chosen(given.only), tasks, given.seeds)
    if given.plan:
        print(plan(missing(wanted, rows), rows))
        return
    with alone(ROOT / ".bench"):
        todo = missing(wanted, rows_of(given.results, PROTOCOL))
        run(Run(todo, given.results, given.minutes), given)


if __name__ == "__main__":
    main()
