"""What a step costs: calls, prompt tokens and seconds, ours beside the original and `textgrad`.

``python -m benchmarks.step_cost --write`` writes docs/benchmarks/optimizers.md. The agent has three
model calls, two code functions and five parameters, the batch eight examples, the model 200 ms a
call.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import large_graph
from benchmarks.subjects import PASSED_ON, environment
from opto.testing import Fault, ModelServer, Request, completion_json
from tests.optimizers.helpful import helpful

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "benchmarks" / "step_worker.py"
PAGE = ROOT / "docs" / "benchmarks" / "optimizers.md"
LATENCY = 0.2
CHARACTERS_PER_TOKEN = 4
OURS = ("OptoPrime", "OptoPrimeV2", "OptoPrimeMulti", "OPRO", "OPROv2", "TextGrad")
ORIGINALS = ("OptoPrime", "OPRO", "TextGrad")
# What the original needs to import its optimizers, without the libraries that they don't use.
ORIGINAL_NEEDS = ("graphviz==0.21", "litellm==1.75.0", "black")
PREFACE = """\
# What a step costs

<!-- Written by `python -m benchmarks.step_cost --write`; don't edit. -->

One optimisation step (`backward` and `step`) of an agent of three model calls and two code
functions with five parameters, on a batch of eight examples, each with its own feedback. The model
is a server on the loopback interface that takes 200 ms for an answer. Tokens are a quarter of the
characters of all messages. The original gets the batch as one output with the feedbacks as lines,
as it takes one feedback in a step. Each library runs in its own virtual environment; medians.
"""


@dataclass(frozen=True)
class Cost:
    """What one step cost, or why that isn't known."""

    library: str
    optimizer: str
    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    most_in_flight: int = 0
    error: str = ""

    @property
    def row(self) -> str:
        """A row of the table."""
        if self.error:
            return f"| {self.library} | {self.optimizer} | {self.error} | | | |"
        return (
            f"| {self.library} | {self.optimizer} | {self.calls} | {self.tokens:,} "
            f"| {self.seconds:.2f} | {self.most_in_flight} |"
        )


def answer(request: Request) -> Fault:
    """What the model says, after its time."""
    return Fault(body=completion_json(helpful(request.body["messages"])), delay=LATENCY)


def measured(python: Path, library: str, optimizer: str, source: Path | None) -> Cost:
    """Run one step in a process of its own."""
    environ = {key: value for key, value in os.environ.items() if key in PASSED_ON}
    environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_KEY": "none"}
    if source is not None:
        environ["PYTHONPATH"] = str(source)
    with ModelServer(answer) as server:
        done = subprocess.run(
            [
                str(python),
                str(WORKER),
                library,
                optimizer,
                server.url,
            ],
            capture_output=True,
            text=True,
            env=environ,
            cwd=python.parent,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            return Cost(library, optimizer, error=f"failed: {last[:100]}")
        characters = sum(
            len(str(message.get("content", "")))
            for request in server.requests
            for message in request.body["messages"]
        )
        return Cost(
            library,
            optimizer,
            len(server.requests),
            characters // CHARACTERS_PER_TOKEN,
            json.loads(done.stdout.strip().splitlines()[-1])["seconds"],
            server.most_in_flight,
        )


def median(runs: Sequence[Cost]) -> Cost:
    """The run with the median time, or one that failed."""
    failed = [run for run in runs if run.error]
    if failed:
        return failed[0]
    middle = statistics.median_low([run.seconds for run in runs])
    return next(run for run in runs if run.seconds == middle)


def subjects(wanted: Sequence[str]) -> list[tuple[Path, str, str, Path | None]]:
    """Interpreter, library, optimizer and source of what is compared."""
    bench = ROOT / ".bench"
    found: list[tuple[Path, str, str, Path | None]] = []
    if "ours" in wanted:
        found += [(Path(sys.executable), "ours", name, ROOT / "src") for name in OURS]
    if "original" in wanted:
        python = environment(
            bench / "venv-original-llm", whole=ORIGINAL_NEEDS, bare=("trace-opt==0.1.3.8",)
        )
        found += [(python, "original", name, None) for name in ORIGINALS]
    if "textgrad" in wanted:
        python = environment(bench / "venv-textgrad", whole=("textgrad==0.1.8",))
        found.append((python, "textgrad", "TGD", None))
    return found


LONG_RUNS = """\
## The problem of a long run

From the feedback on the output of a run of about 100,000 operations to the text of at most 8,000
tokens (of three characters) that `OptoPrime` shows of it: `python -m benchmarks.large_graph`. The
tests ask of such texts how each parameter reaches the output.
"""


def page(costs: Sequence[Cost], rounds: int, long_runs: str) -> str:
    """The page of the documentation."""
    when = datetime.now(timezone.utc).date().isoformat()
    rows = "\n".join(cost.row for cost in costs)
    return (
        f"{PREFACE}\n{when}, CPython {platform.python_version()}, {os.cpu_count()} cores, "
        f"{rounds} runs each.\n\n| library | optimizer | model calls | prompt tokens | seconds "
        f"| most calls at once |\n|---|---|---|---|---|---|\n{rows}\n\n{LONG_RUNS}\n{long_runs}\n"
    )


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["ours", "original", "textgrad"])
    parser.add_argument("--size", type=int, default=100_000, help="operations of the long runs")
    parser.add_argument("--write", action="store_true", help="write the page of the documentation")
    given = parser.parse_args()
    compared = subjects(given.only)
    runs: dict[int, list[Cost]] = {index: [] for index in range(len(compared))}
    for _ in range(given.rounds):
        for index, subject in enumerate(compared):
            runs[index].append(measured(*subject))
    long_runs = large_graph.table(given.size, given.rounds)
    text = page([median(found) for found in runs.values()], given.rounds, long_runs)
    print(text)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
