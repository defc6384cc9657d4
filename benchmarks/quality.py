"""How many of twenty small tasks each optimizer solves with a small local model.

    python -m benchmarks.quality                    # adds what is missing to quality.jsonl
    python -m benchmarks.quality --seeds 0 --minutes 60 --only "original OptoPrime"
    python -m benchmarks.quality --plan             # what is missing, and how long it may take
    python -m benchmarks.quality --table --write    # docs/benchmarks/quality.md

Ours and the original ask the same model through the same server. Each (optimizer, task, seed) is a
process of its own and a line of the file as soon as it is done; what is there isn't run again, so
the work can be stopped and taken up at any time.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.quality_table import Row, page, rows_of, spent
from benchmarks.quality_tasks import TASKS, Task
from benchmarks.quality_worker import CALLS, PATIENCE
from benchmarks.step_cost import ORIGINAL_NEEDS
from benchmarks.subjects import ORIGINAL, PASSED_ON, environment
from opto.errors import ModelError
from opto.llm import LocalModel
from opto.testing import Fault, ModelServer, Request

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "benchmarks" / "quality.jsonl"
PAGE = ROOT / "docs" / "benchmarks" / "quality.md"
SEEDS = 5
PROTOCOL = 1  # of rows that may be compared; raise it when tasks, limits or settings change
TEMPERATURE = 0.7
MAX_TOKENS = 512
MOST_TOKENS = 1024
CPU_SECONDS = 120  # of a worker; code that a model wrote may never end
MEMORY = 8 * 1024**3  # bytes, of a worker
ROW_SECONDS = 3600
_PASSED = ("temperature", "response_format", "stop", "top_p")
_SHORT = {"max_tokens": MAX_TOKENS}
_REMEMBERING = {**_SHORT, "memory_size": 5}


@dataclass(frozen=True)
class Subject:
    """An optimizer of a library, with the arguments that it gets."""

    library: str
    optimizer: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    kinds: tuple[str, ...] = ()
    extra: str = ""

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"{self.library} {self.optimizer}{self.extra}"


SUBJECTS = (
    Subject("ours", "OptoPrime", _REMEMBERING),
    Subject("original", "OptoPrime", _REMEMBERING),
    Subject("ours", "OptoPrimeV2", _REMEMBERING),
    Subject("ours", "OptoPrimeMulti", _REMEMBERING),
    Subject("ours", "OPRO", _SHORT),
    Subject("ours", "OPROv2", _SHORT),
    Subject("ours", "TextGrad", _SHORT),
    Subject("ours", "HybridOptimizer", _REMEMBERING, ("numbers", "mixed")),
    Subject("ours", "OptunaOptimizer", {}, ("numbers",)),
)
MORE = (  # only if asked for by name
    Subject("original", "OptoPrime", _SHORT, extra=", no memory"),
    Subject("ours", "OptoPrime", {**_REMEMBERING, "form": "json"}, extra=", JSON form"),
)


@dataclass(frozen=True)
class Job:
    """One line of the file that is to be."""

    subject: Subject
    task: Task
    seed: int

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What makes two lines the same."""
        return self.subject.name, self.task.name, self.seed, PROTOCOL


def jobs(subjects: Sequence[Subject], tasks: Sequence[Task], seeds: Sequence[int]) -> list[Job]:
    """Return all that is to do: seed by seed, and in a seed task by task with every optimizer."""
    return [
        Job(subject, task, seed)
        for seed in seeds
        for task in tasks
        for subject in subjects
        if not subject.kinds or task.kind in subject.kinds
    ]


def missing(wanted: Iterable[Job], rows: Iterable[Row]) -> list[Job]:
    """Return the jobs that have no row yet."""
    done = {(row["subject"], row["task"], row["seed"], row["protocol"]) for row in rows}
    return [job for job in wanted if job.key not in done]


# ---- the model -----------------------------------------------------------------------------------


class Served:
    """Answers requests of one job by a model, and counts what that takes."""

    def __init__(self, model: Callable[..., Any], job: Job) -> None:
        self.model, self.job = model, job
        self.prompt_tokens = self.completion_tokens = self.asked = self.cut = 0
        self.seconds = 0.0

    def __call__(self, request: Request) -> Mapping[str, Any] | Fault:
        """Answer as a server of OpenAI's kind."""
        body = request.body
        options = {name: body[name] for name in _PASSED if body.get(name) is not None}
        options.setdefault("temperature", TEMPERATURE)
        options["max_tokens"] = min(int(body.get("max_tokens") or MAX_TOKENS), MOST_TOKENS)
        self.asked += 1
        seed = random.Random(f"{self.job.key} {self.asked}").getrandbits(31)
        started = time.monotonic()
        try:
            # The prompt cache saves reading the same instructions again; it costs that replies
            # aren't the same to the last digit of a probability if this is run twice.
            said = self.model(
                messages=body["messages"],
                seed=seed,
                cache_prompt=True,
                timeout=PATIENCE,
                **options,
            )
        except ModelError as error:
            return Fault(status=400, body={"error": {"message": str(error)}})
        finally:
            self.seconds += time.monotonic() - started
        self.prompt_tokens += said.usage.prompt_tokens or 0
        self.completion_tokens += said.usage.completion_tokens or 0
        choice = said.choices[0]
        self.cut += choice.finish_reason == "length"
        message = {"role": "assistant", "content": choice.message.content}
        made = {"index": 0, "message": message, "finish_reason": choice.finish_reason}
        return {"id": "1", "object": "chat.completion", "model": "served", "choices": [made]}


# ---- one job -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """Where jobs run: a copy of the code as it was when the run began, and the interpreters."""

    root: Path
    commit: str
    model: str
    original: Path | None

    def command(self, job: Job, url: str) -> list[str]:
        """Return what to run for a job."""
        ours = job.subject.library == "ours"
        python = Path(sys.executable) if ours else self.original
        given = {
            "library": job.subject.library,
            "optimizer": job.subject.optimizer,
            "task": job.task.name,
            "seed": job.seed,
            "settings": dict(job.subject.settings),
            "url": url,
        }
        return [str(python), "-m", "benchmarks.quality_worker", json.dumps(given)]

    def environ(self, job: Job) -> dict[str, str]:
        """Return the environment of a job: no keys, and our library only where it is ours."""
        kept = {key: value for key, value in os.environ.items() if key in PASSED_ON}
        paths = [self.root] + ([self.root / "src"] if job.subject.library == "ours" else [])
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "OPENAI_API_KEY": "none",
        }


def copied(root: Path, revision: str) -> tuple[Path, str]:
    """Unpack a revision, so that what runs doesn't change; return where, and its short name."""
    made = root / ".bench" / "quality"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    git = ["git", "-C", str(root)]
    packed = subprocess.run(
        [*git, "archive", revision, "src", "benchmarks"], check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(made, filter="data")
    name = subprocess.run(
        [*git, "rev-parse", "--short", revision], check=True, capture_output=True, text=True
    )
    return made, name.stdout.strip()


def work(job: Job, bench: Bench, model: Callable[..., Any]) -> Row:
    """Run a job and return its row."""
    served = Served(model, job)
    started = time.monotonic()
    with ModelServer(served) as server, tempfile.TemporaryDirectory() as folder:
        result = _finished(bench.command(job, server.url), bench.environ(job), folder)
    return {
        "subject": job.subject.name,
        "task": job.task.name,
        "kind": job.task.kind,
        "seed": job.seed,
        "protocol": PROTOCOL,
        "solved": False,
        "calls": served.asked,
        **result,
        "prompt_tokens": served.prompt_tokens,
        "completion_tokens": served.completion_tokens,
        "cut": served.cut,
        "model_seconds": round(served.seconds, 1),
        "wall_seconds": round(time.monotonic() - started, 1),
        "load": round(os.getloadavg()[0], 1),
        "settings": {
            **job.subject.settings,
            "model": bench.model,
            "temperature": TEMPERATURE,
            "calls": CALLS,
        },
        "commit": bench.commit,
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _finished(command: Sequence[str], environ: Mapping[str, str], folder: str) -> dict[str, Any]:
    """Run a worker to its end; what it printed last, or how it ended."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environ,
            cwd=folder,
            timeout=ROW_SECONDS,
            preexec_fn=_limited,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"ended: {ROW_SECONDS} s were over"}
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {"error": f"ended with {done.returncode}: {last[:200]}"}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


# ---- the run -------------------------------------------------------------------------------------


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


def run(
    todo: Sequence[Job],
    results: Path,
    model_name: str,
    *,
    revision: str = "HEAD",
    minutes: float = math.inf,
) -> None:
    """Do the jobs, in order, until they are done or the time is over."""
    until = time.monotonic() + 60 * minutes
    original = None
    if any(job.subject.library == "original" for job in todo):
        folder = ROOT / ".bench" / "venv-original-llm"
        original = environment(folder, whole=ORIGINAL_NEEDS, bare=ORIGINAL)
    bench = Bench(*copied(ROOT, revision), model_name, original)
    model = LocalModel(model_name)
    for number, job in enumerate(todo, start=1):
        if time.monotonic() > until:
            print(f"time is over; {len(todo) - number + 1} are left")
            return
        row = work(job, bench, model)
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        word = "solved" if row["solved"] else "not solved"
        print(
            f"{number}/{len(todo)} seed {job.seed} {job.task.name}, {job.subject.name}: {word}, "
            f"{row['calls']} calls, {row['wall_seconds']:.0f} s {row.get('error', '')}",
            flush=True,
        )


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
    parser.add_argument("--revision", default="HEAD", help="of the code that is measured")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no further one after that"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plan", action="store_true", help="say what is missing, run nothing")
    parser.add_argument("--table", action="store_true", help="print the page, run nothing")
    parser.add_argument("--write", action="store_true", help="with --table: write the page")
    return parser.parse_args()


def chosen(names: Sequence[str] | None) -> list[Subject]:
    """Return subjects by name; raises `SystemExit` for one that isn't there."""
    known = {subject.name: subject for subject in (*SUBJECTS, *MORE)}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise SystemExit(f"no subject {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in names] if names else list(SUBJECTS)


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
        run(
            todo,
            given.results,
            given.model,
            revision=given.revision,
            minutes=given.minutes,
        )


if __name__ == "__main__":
    main()
