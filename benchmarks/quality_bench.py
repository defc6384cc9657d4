"""One job of the quality benchmark: a served model, a process that asks it, and a row."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.quality_jobs import MAX_TOKENS, PROTOCOL, Job
from benchmarks.quality_table import Row
from benchmarks.quality_worker import CALLS, PATIENCE
from benchmarks.subjects import PASSED_ON
from opto.errors import ModelError
from opto.testing import Fault, ModelServer, Request

TEMPERATURE = 0.7
MOST_TOKENS = 1024
ROW_SECONDS = 3600
_PASSED = ("temperature", "response_format", "stop", "top_p")
_TAKEN_DOWN = (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


class TakenDownError(Exception):
    """Somebody ended a worker: that says nothing about its optimizer."""


class Served:
    """Answers requests of one job by a model, and counts what that takes."""

    def __init__(self, model: Callable[..., Any], job: Job) -> None:
        self.model, self.job = model, job
        self.said: list[dict[str, Any]] = []
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
        self.said.append({**options, "messages": body["messages"], "reply": choice.message.content})
        self.cut += choice.finish_reason == "length"
        message = {"role": "assistant", "content": choice.message.content}
        made = {"index": 0, "message": message, "finish_reason": choice.finish_reason}
        return {"id": "1", "object": "chat.completion", "model": "served", "choices": [made]}


@dataclass(frozen=True)
class Bench:
    """Where jobs run: a copy of the code as it was when the run began, and the interpreters.

    Attributes:
        root: of the copy.
        commit: that was copied.
        model: its name.
        slots: jobs at the same time.
        original: the interpreter that has the original.
        engine: what runs the model, as the rows say it.
        kept: a folder for what was asked and answered, a file for each job.
    """

    root: Path
    commit: str
    model: str
    slots: int
    original: Path | None = None
    engine: str = "xllamacpp"
    kept: Path | None = None

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
    if bench.kept is not None:
        path = bench.kept / f"{job.subject.name}-{job.task.name}-{job.seed}.json"
        path.write_text(json.dumps({**result, "said": served.said}, indent=1), encoding="utf-8")
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
            "engine": bench.engine,
            "slots": bench.slots,
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
            start_new_session=True,  # Ctrl-C is for the run, which ends what it has begun
            capture_output=True,
            text=True,
            env=environ,
            cwd=folder,
            timeout=ROW_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"ended: {ROW_SECONDS} s were over"}
    if done.returncode in _TAKEN_DOWN:
        message = f"a worker was ended by signal {-done.returncode}"
        raise TakenDownError(message)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {"error": f"ended with {done.returncode}: {last[:200]}"}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))
