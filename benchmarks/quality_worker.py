"""One task with one optimizer, in a process of its own: ``quality_worker '{"task": ...}'``.

The same loop for ours and the original, as their users write it. A step that raises counts as one
that changed nothing, so that a reply that can't be read costs a call and no more.
"""

from __future__ import annotations

import http.client
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from benchmarks.quality_tasks import TASKS, Outcome, Program, Task
from opto import optimizers
from opto.trace import node

CALLS = 8
ROUNDS = 8
CPU_SECONDS = 120  # code that a model wrote may never end
MEMORY = 8 * 1024**3  # bytes
PATIENCE = 900.0  # seconds for a call; other work may have the machine
_ERROR = 200


@dataclass(frozen=True)
class Result:
    """What became of a task.

    Attributes:
        solved: whether it was solved.
        calls: calls of the model, until it was solved or they were used up.
        rounds: steps that were made.
        score: of the last run; 1 if it is solved.
        seconds: wall time, without imports.
        failed_steps: steps that raised.
        error: the last error of a step, or what ended the task early.
    """

    solved: bool
    calls: int
    rounds: int
    score: float
    seconds: float
    failed_steps: int
    error: str


class SpentError(Exception):
    """All calls are used up."""


class Counted:
    """A model that may be asked a number of times."""

    def __init__(self, model: Callable[..., Any], calls: int = CALLS) -> None:
        self.model, self.left, self.calls = model, calls, 0
        if hasattr(model, "abilities"):
            self.abilities = model.abilities

    def __call__(self, messages: Any = None, **options: Any) -> Any:
        """Ask, if there is a call left."""
        if self.left <= 0:
            message = "all calls of the model are used up"
            raise SpentError(message)
        self.left -= 1
        self.calls += 1
        return self.model(messages=messages, **options)


class HttpModel:
    """The served model by the standard library, as a callable that any library takes."""

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)

    def __call__(self, messages: Any = None, **options: Any) -> Any:
        """Ask the server; what it says has the shape of OpenAI's objects."""
        connection = http.client.HTTPConnection(self.url.netloc, timeout=PATIENCE)
        body = json.dumps({"messages": messages, "model": "served", **options}, default=str)
        path = f"{self.url.path}/chat/completions"
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        reply = json.loads(answer.read())
        connection.close()
        if answer.status != 200:
            raise ConnectionError(str(reply))
        choice = reply["choices"][0]
        message = SimpleNamespace(content=choice["message"]["content"], role="assistant")
        made = SimpleNamespace(message=message, finish_reason=choice["finish_reason"])
        return SimpleNamespace(choices=[made])


def model_of(library: str, url: str) -> Callable[..., Any]:
    """Return the served model as users of the library have it."""
    if library != "ours":
        return HttpModel(url)
    from opto.llm import OpenAICompatible  # noqa: PLC0415 - the original has none
    from opto.llm.base import Abilities  # noqa: PLC0415 - likewise

    known = Abilities(8192, json_schema=True, size="small")
    return OpenAICompatible("served", url, timeout=PATIENCE, max_attempts=1, abilities=known)


def optimizer_of(
    name: str, task: Task, program: Program, llm: Counted, seed: int, settings: Mapping[str, Any]
) -> Any:
    """Make the optimizer, as users of the library do."""
    parameters = list(program.parameters.values())
    kind = getattr(optimizers, name)
    last = Score(program)
    bounds = {program.parameters[key]: pair for key, pair in task.bounds.items()}
    if name == "OptunaOptimizer":
        return kind(parameters, bounds=bounds, seed=seed, score=last), last
    if name == "HybridOptimizer":
        numbers = {"seed": seed, "score": last}

        def by_model(others: Any, llm: Any) -> Any:
            return optimizers.OptoPrime(others, llm, **settings)

        made = kind(parameters, llm, bounds=bounds, numbers=numbers, text_optimizer=by_model)
        return made, last
    return kind(parameters, llm=llm, **settings), last


class Score:
    """Runs a program, and remembers the score for those optimizers that want one."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.value = 0.0

    def run(self) -> Outcome:
        """Run once."""
        found = self.program.run()
        self.value = found.score
        return found

    def __call__(self, _feedback: object) -> float:
        """Return the score of the last run."""
        return self.value


def train(optimizer: Any, program: Score, llm: Counted) -> Result:
    """Run, step, run again, until the task is solved or all calls are used up."""
    started = time.perf_counter()
    rounds = failed = 0
    error = ""
    found = program.run()
    try:
        while not found.solved and rounds < ROUNDS and llm.left > 0:
            rounds += 1
            optimizer.zero_feedback()
            optimizer.backward(found.output, found.feedback)
            try:
                optimizer.step()
            except Exception as problem:  # noqa: BLE001 - whatever a step raises is counted
                failed, error = failed + 1, f"step: {said(problem)}"
            found = program.run()
    except Exception as problem:  # noqa: BLE001 - a run that can't go on isn't solved
        error = f"run: {said(problem)}"
    seconds = round(time.perf_counter() - started, 2)
    return Result(found.solved, llm.calls, rounds, found.score, seconds, failed, error)


def said(error: BaseException) -> str:
    """Write an error in a line."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:_ERROR]


def solve(job: Mapping[str, Any], model: Callable[..., Any]) -> Result:
    """Work on one task: ``{"optimizer", "task", "seed", "settings"}``."""
    task = TASKS[job["task"]]
    program = task.make()
    llm = Counted(model)
    optimizer, run = optimizer_of(
        job["optimizer"], task, program, llm, job["seed"], job["settings"]
    )
    return train(optimizer, run, llm)


def main() -> None:
    """Print the result as JSON, in the last line."""
    job = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    node(0)  # what a library does at its first node isn't measured
    print(json.dumps(asdict(solve(job, model_of(job["library"], job["url"])))))


if __name__ == "__main__":
    main()
