"""Train a number, a function and an agent with a small language model on this machine.

Run it with ``make demo``; ``MODEL=135m|0.5b|1.5b`` chooses the model. Every task of demo_tasks.py
is trained by `train`, below: run, give feedback, let OptoPrime propose, keep what scores better.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, product
from textwrap import indent, shorten
from typing import Any

from demo_tasks import TASKS, Task

from opto import trace
from opto.cli.progress import Bar
from opto.errors import OptoError
from opto.execution import Limits, Policy, execution, report
from opto.llm import LocalModel, Metered
from opto.llm.weights import CATALOGUE, DEFAULT, fetch, is_present
from opto.optimizers import OptoPrime

CANDIDATES = 4  # proposals a round, of which the best is tried
SECONDS = 540.0  # for all tasks; a round that has begun is finished, within ten minutes
REMEMBERED = 8  # proposals of earlier rounds whose parts are tried with new ones
CODE_SECONDS = 5.0  # for one run of code that the model wrote


@dataclass(frozen=True)
class Result:
    """What training did."""

    task: Task
    before: tuple[str, float]
    after: tuple[str, float]
    calls: int
    tokens: int
    seconds: float


def train(task: Task, llm: Any, seconds: float) -> None:
    """Train until all that is shown is right or the time is over."""
    searches = [Search(task, group, llm) for group in task.groups]
    best, start = task.score(), time.monotonic()
    print(f"  at the start {best:.0%}", flush=True)
    for number in count():
        search = searches[number // 2 % len(searches)]  # two rounds each, in turns
        if best == 1 or time.monotonic() - start > seconds:
            break
        print("  proposals:", end="", flush=True)
        found, update = search.propose()
        if found > best:
            search.optimizer.update(update)
        poor = "none is better" if update else "none can be used"
        kept = f"kept {found:.0%}" if found > best else poor
        best = max(best, found)
        print(f"; {kept} ({time.monotonic() - start:.0f} s)", flush=True)


class Search:
    """Proposals for parameters that are to change together, and the best that they give."""

    def __init__(self, task: Task, parameters: list[Any], llm: Any) -> None:
        self.task = task
        self.optimizer = OptoPrime(
            parameters,
            llm,
            candidates=CANDIDATES,
            select=self.score,
            memory_size=8,
            max_tokens=320,
            # Without a seed the model reads the prompt once for all proposals.
            options={"temperature": 1.0, "seed": None},
        )
        self.scored: list[tuple[float, dict[Any, Any]]] = []
        self.earlier: list[dict[Any, Any]] = []

    def propose(self) -> tuple[float, dict[Any, Any]]:
        """Run, give feedback, and return the best of what is proposed, with its score."""
        output, feedback = self.task.run()
        self.optimizer.zero_feedback()
        self.optimizer.backward(output, feedback)
        self.scored.clear()
        self.optimizer.step(bypassing=True)
        proposed = [update for _, update in self.scored]
        if all(score < 1 for score, _ in self.scored):
            self.recombine(self.earlier + proposed)
        self.earlier = (self.earlier + proposed)[-REMEMBERED:]
        return max(self.scored, key=lambda pair: pair[0], default=(0.0, {}))

    def recombine(self, updates: Sequence[dict[Any, Any]]) -> None:
        """Try a function of one proposal with a function of another."""
        parameters = self.optimizer.parameters
        values = [{update[p]: None for update in updates if p in update} for p in parameters]
        for combination in product(*values):
            update = dict(zip(parameters, combination, strict=True))
            if len(parameters) > 1 and update not in updates:
                self.scored.append((self.measured(update), update))

    def score(self, update: dict[Any, Any]) -> float:
        """Score a proposal for the optimizer, and show it."""
        self.scored.append((self.measured(update), dict(update)))
        print(f" {self.scored[-1][0]:.0%}", end="", flush=True)
        return self.scored[-1][0]

    def measured(self, update: dict[Any, Any]) -> float:
        """Return how well the task does with other values."""
        with self.optimizer.applied(update):
            return self.task.score()


# ---- all three, and the table --------------------------------------------------------------------


class Answering:
    """The model as the agent asks it: a few words, the likeliest; each question is asked once."""

    def __init__(self, llm: Any) -> None:
        self.llm = llm
        self.known: dict[str, Any] = {}

    def __call__(self, messages: Any, **options: Any) -> Any:
        """Answer as `llm` does."""
        key = repr(messages)
        if key not in self.known:
            self.known[key] = self.llm(messages=messages, temperature=0, max_tokens=24, **options)
        return self.known[key]


def run_all(llm: Any, seconds: float = SECONDS, only: str | None = None) -> list[Result]:
    """Train the tasks, one after the other; what one leaves of its share of time, others get."""
    logging.getLogger("opto").setLevel(logging.ERROR)  # proposals that can't be used are normal
    metered = Metered(llm)
    answering = Answering(metered)
    trace.operators.MODELS.add("default", lambda: answering)
    makers = [make for make in TASKS if only in (None, make.__name__)]
    results: list[Result] = []
    with execution(policy()):
        for index, make in enumerate(makers):
            task = make()
            print(f"\n[{index + 1}/{len(makers)}] {task.title}, by {task.by}", flush=True)
            left = seconds - sum(result.seconds for result in results)
            results.append(trained(task, metered, left / (len(makers) - index)))
    return results


def policy() -> Policy:
    """How to run code that the model wrote: in locked processes where that is possible."""
    machine = report()
    if machine.works:
        print("Code that the model writes runs in locked processes of its own.")
        return Policy("isolated", limits=Limits(seconds=CODE_SECONDS))
    print(f"Code that the model writes runs in this process, unconfined: {machine.reason}")
    return Policy("inprocess")


def trained(task: Task, llm: Metered, seconds: float) -> Result:
    """Train one task, show what was learned, and say what that took."""
    calls, tokens, start = llm.calls, llm.usage.total_tokens, time.monotonic()
    before = task.shows(), task.hidden_score()
    values = {parameter: parameter.data for group in task.groups for parameter in group}
    train(task, llm, seconds)
    for parameter, value in values.items():
        if parameter.data != value:
            name = "" if parameter.is_code else f"{parameter.py_name} = "
            print(indent(f"\n{name}{parameter.data}", "    "))
    after = task.shows(), task.hidden_score()
    used = llm.calls - calls, llm.usage.total_tokens - tokens
    return Result(task, before, after, *used, time.monotonic() - start)


def table(results: Sequence[Result]) -> str:
    """Before and after, side by side."""
    rows = [("", "before", "after", "score", "", "calls", "tokens", "seconds")]
    for result in results:
        solved = "solved" if result.after[1] == 1 else "not solved"
        score = f"{result.before[1]:.0%} to {result.after[1]:.0%}"
        cost = f"{result.calls}", f"{result.tokens:,}", f"{result.seconds:.0f}"
        shown = [
            shorten(text, 22, placeholder="...") for text in (result.before[0], result.after[0])
        ]
        rows.append((result.task.title, *shown, score, solved, *cost))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


NEXT = """What to try next:
  make demo MODEL=0.5b     another model (135m, 0.5b, 1.5b); docs/benchmarks/demo.md compares them
  examples/demo.py         change a task, or add one: each is some thirty lines
  README.md                the same loop in your own program, with any model"""


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train three things with a local model.")
    parser.add_argument("--model", default=DEFAULT, help=f"{', '.join(CATALOGUE)} ({DEFAULT})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all tasks")
    parser.add_argument("--task", choices=[make.__name__ for make in TASKS], help="only this one")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, llm: Any = None) -> int:
    """Run the demo; the exit code is 0 also if the model was too small for a task."""
    options = parsed(arguments)
    if llm is None:
        weights = CATALOGUE.get(options.model)
        if weights and not is_present(options.model):
            print(
                f"Fetching {weights.title}: {(weights.size or 0) / 1e6:,.0f} MB, once.", flush=True
            )
        with Bar() as bar:
            fetch(options.model, progress=bar)
        llm = LocalModel(options.model)
    name = getattr(llm, "model_name", type(llm).__name__)
    print(f"Training with {name}, up to {options.seconds / 60:g} minutes")
    results = run_all(llm, options.seconds, only=options.task)
    print(f"\n{table(results)}\n\n{NEXT}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OptoError as error:
        sys.exit(f"The demo failed: {error}")
