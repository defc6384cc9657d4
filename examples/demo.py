"""Train a number, a function and an agent with a small language model on this machine.

Run it with ``make demo``; ``MODEL=135m|0.5b|1.5b`` chooses the model. Every task is trained by
`train`, below: run, give feedback, let OptoPrime propose, keep what scores better.
"""

# ruff: noqa: ANN001, ANN201, ANN202, ANN204, ARG002, D102, D205, D415, RET504
# The functions to be trained stand here as the README has them.

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from opto import trace
from opto.cli.progress import Bar
from opto.errors import OptoError
from opto.llm import LocalModel, Metered
from opto.llm.weights import CATALOGUE, DEFAULT, fetch, is_present
from opto.optimizers import OptoPrime

CANDIDATES = 4  # proposals a round, of which the best is tried
SECONDS = 180.0  # for each task
CODE_SECONDS = 2.0  # for one run of code that the model wrote


@dataclass(frozen=True)
class Task:
    """Something to train.

    Attributes:
        title: what it is.
        groups: the parameters, those together that are to change together.
        run: runs it once; the output, and the feedback on it in words.
        score: how well it does on what `run` may show, 1.0 being all.
        hidden_score: how well it does on cases that no prompt ever shows.
        value: the present values of the parameters, in short.
    """

    title: str
    groups: list[list[Any]]
    run: Callable[[], tuple[Any, str]]
    score: Callable[[], float]
    hidden_score: Callable[[], float]
    value: Callable[[], str]


@dataclass(frozen=True)
class Result:
    """What training did."""

    task: Task
    before: tuple[str, float]
    after: tuple[str, float]
    calls: int
    tokens: int
    seconds: float


def train(task: Task, llm: Any, seconds: float = SECONDS) -> None:
    """Train until all that is shown is right or the time is over."""
    optimizers = [optimizer_of(task, group, llm) for group in task.groups]
    best, start = task.score(), time.monotonic()
    print(f"  at the start {best:.0%}", flush=True)
    for optimizer in cycle(optimizers):
        if best == 1 or time.monotonic() - start > seconds:
            break
        output, feedback = task.run()
        optimizer.zero_feedback()
        optimizer.backward(output, feedback)
        print("  proposals:", end="", flush=True)
        update = optimizer.step(bypassing=True)
        with optimizer.applied(update):
            found = task.score()
        if found > best:
            optimizer.update(update)
        kept = "kept the best" if found > best else "none is better"
        best = max(best, found)
        print(f"; {kept} ({time.monotonic() - start:.0f} s)", flush=True)


def optimizer_of(task: Task, parameters: list[Any], llm: Any) -> OptoPrime:
    """Make an optimizer that tries several proposals and returns the one that scores best."""

    def score(update: Any) -> float:
        with optimizer.applied(update):
            result = task.score()
        print(f" {result:.0%}", end="", flush=True)
        return result

    optimizer = OptoPrime(
        parameters,
        llm,
        candidates=CANDIDATES,
        select=score,
        memory_size=8,
        max_tokens=320,
        # Without a seed the model reads the prompt once for all proposals.
        options={"temperature": 1.0, "seed": None},
    )
    return optimizer


# ---- a number, by "lower" and "higher" -----------------------------------------------------------


def number() -> Task:
    """Find the setting of a heater that makes a room comfortable."""
    heater = trace.node(5, name="heater", trainable=True)

    @trace.bundle()
    def room(heater: int) -> str:
        """Say how the room feels with the heater at this setting."""
        return "just right" if 20 <= heater <= 22 else "too cold" if heater < 20 else "too hot"

    def run() -> tuple[Any, str]:
        felt = room(heater)
        hint = {"too cold": "too low, go higher", "too hot": "too high, go lower"}
        return felt, hint.get(felt.data, "right")

    def score() -> float:
        return max(0.0, 1 - max(20 - heater.data, heater.data - 22, 0) / 20)

    return Task("a number", [[heater]], run, score, score, lambda: str(heater.data))


# ---- code, by failing tests ----------------------------------------------------------------------


def sorting() -> Task:
    """Write the function of the README, from a few failing tests."""

    @trace.bundle(trainable=True)
    def strange_sort_list(lst):
        """Given list of integers, return list in strange order.
        Strange sorting, is when you start with the minimum value,
        then maximum of the remaining integers, then minimum and so on.
        """
        lst = sorted(lst)
        return lst

    shown = [([1, 2, 3, 4], [1, 4, 2, 3]), ([9, 1, 8, 2, 7], [1, 9, 2, 8, 7]), ([5, 5], [5, 5])]
    hidden = [
        ([], []),
        ([4], [4]),
        ([5, 6, 7, 8, 9], [5, 9, 6, 8, 7]),
        ([0, 2, 2, 2, 5, 5, -5, -5], [-5, 5, -5, 5, 0, 2, 2, 2]),
        ([3, -1, 10], [-1, 10, 3]),
        ([6, 5, 4, 3, 2, 1], [1, 6, 2, 5, 3, 4]),
    ]

    def right(cases: Sequence[tuple[list[int], list[int]]]) -> list[bool]:
        return [outcome(strange_sort_list, list(case)).data == wanted for case, wanted in cases]

    def run() -> tuple[Any, str]:
        marks = right(shown)
        case, wanted = shown[marks.index(False)] if False in marks else shown[0]
        result = outcome(strange_sort_list, list(case))
        return result, f"strange_sort_list({case}) should return {wanted}, not {result.data}"

    return Task(
        "the code of strange_sort_list",
        [strange_sort_list.parameters()],
        run,
        lambda: mean(right(shown)),
        lambda: mean(right(hidden)),
        lambda: strange_sort_list.parameter.data,
    )


# ---- an agent, by its greetings ------------------------------------------------------------------


@trace.model
class Agent:
    """The sales agent of the README."""

    def __init__(self, system_prompt):
        self.system_prompt = system_prompt
        self.instruct1 = trace.node("Decide the language", trainable=True)
        self.instruct2 = trace.node("Extract name if it's there", trainable=True)

    def __call__(self, user_query):
        response = trace.operators.call_llm(self.system_prompt, self.instruct1, user_query)
        en_or_es = self.decide_lang(response)
        user_name = trace.operators.call_llm(self.system_prompt, self.instruct2, user_query)
        return self.greet(en_or_es, user_name)

    @trace.bundle(trainable=True)
    def decide_lang(self, response):
        """Map the language into a variable"""
        return

    @trace.bundle(trainable=True)
    def greet(self, lang, user_name):
        """Produce a greeting based on the language"""
        greeting = "Hola"
        return f"{greeting}, {user_name}!"


def agent() -> Task:
    """Let the agent greet customers in their language."""
    agent = Agent("You are a sales assistant.")
    functions = [parameter for parameter in agent.parameters() if parameter.is_code]
    words = {"en": "Hello", "es": "Hola"}
    shown = [
        ("Hola, soy Juan.", "es", "Juan"),
        ("Hi, my name is Mary.", "en", "Mary"),
        ("Buenos días, me llamo Lucía.", "es", "Lucía"),
        ("Good morning, I'm Peter.", "en", "Peter"),
    ]
    hidden = [
        ("Buenas tardes, mi nombre es Carlos.", "es", "Carlos"),
        ("Hello, this is Susan speaking.", "en", "Susan"),
        ("Hola, me llamo Elena y busco un coche.", "es", "Elena"),
        ("Hi, I am Tom and I need a bicycle.", "en", "Tom"),
    ]

    def right(query: str, lang: str, name: str) -> bool:
        said = str(outcome(agent, query, seconds=120).data)
        return said.startswith(words[lang]) and name in said

    @trace.bundle()
    def both(first: Any, second: Any) -> Any:
        """Collect the greetings of two customers."""
        return [first, second]

    def run() -> tuple[Any, str]:
        wrong_first = sorted(shown, key=lambda customer: right(*customer))
        pair = [next(one for one in wrong_first if one[1] == lang) for lang in words]
        said = [outcome(agent, query, seconds=120) for query, _, _ in pair]
        lines = [
            f"{query!r} is in language {lang!r}: "
            f"expected '{words[lang]}, {name}!', got {str(got.data)[:80]!r}"
            for (query, lang, name), got in zip(pair, said, strict=True)
        ]
        return both(*said), "\n".join(lines)

    return Task(
        "an agent that greets in the customer's language",
        [functions, [agent.instruct1, agent.instruct2]],
        run,
        lambda: mean([right(*customer) for customer in shown]),
        lambda: mean([right(*customer) for customer in hidden]),
        lambda: "\n".join(str(p.data) for p in agent.parameters()),
    )


# ---- around it -----------------------------------------------------------------------------------


def outcome(program: Callable[..., Any], *args: Any, seconds: float | None = None) -> Any:
    """Run a program; what it returned, or what it failed with, as a node."""
    try:
        with time_limit(seconds or CODE_SECONDS):
            return program(*args)
    except trace.ExecutionError as error:
        return error.exception_node


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Stop code that a model wrote if it doesn't end."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"still running after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mean(marks: Sequence[bool]) -> float:
    """Which share of the marks is good."""
    return sum(marks) / len(marks)


# ---- all three, and the table --------------------------------------------------------------------

TASKS: tuple[Callable[[], Task], ...] = (number, sorting, agent)


class Answering:
    """The model as the agent asks it: a few words, the likeliest; each question is asked once."""

    def __init__(self, llm: Any) -> None:
        self.llm = llm
        self.known: dict[str, Any] = {}

    def __call__(self, messages: Any, **options: Any) -> Any:
        key = repr(messages)
        if key not in self.known:
            self.known[key] = self.llm(messages=messages, temperature=0, max_tokens=24, **options)
        return self.known[key]


def run_all(llm: Any, seconds: float = SECONDS, only: str | None = None) -> list[Result]:
    """Train the tasks, one after the other."""
    logging.getLogger("opto").setLevel(logging.ERROR)  # proposals that can't be used are normal
    metered = Metered(llm)
    answering = Answering(metered)
    trace.operators.MODELS.add("default", lambda: answering)
    makers = [make for make in TASKS if only in (None, make.__name__)]
    results = []
    for index, make in enumerate(makers, 1):
        task = make()
        print(f"\n[{index}/{len(makers)}] {task.title}")
        results.append(trained(task, metered, seconds))
    return results


def trained(task: Task, llm: Metered, seconds: float) -> Result:
    """Train one task and say what that took."""
    calls, tokens, start = llm.calls, llm.usage.total_tokens, time.monotonic()
    before = task.value(), task.hidden_score()
    train(task, llm, seconds)
    after = task.value(), task.hidden_score()
    used = llm.calls - calls, llm.usage.total_tokens - tokens
    return Result(task, before, after, *used, time.monotonic() - start)


def table(results: Sequence[Result]) -> str:
    """Before and after, side by side."""
    rows = [("", "before", "after", "score", "", "calls", "tokens", "seconds")]
    for result in results:
        solved = "solved" if result.after[1] == 1 else "not solved"
        score = f"{result.before[1]:.0%} -> {result.after[1]:.0%}"
        cost = f"{result.calls}", f"{result.tokens:,}", f"{result.seconds:.0f}"
        values = (_brief(result.before[0]), _brief(result.after[0]))
        rows.append((result.task.title, *values, score, solved, *cost))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _brief(value: str) -> str:
    lines = value.splitlines()
    return value if len(lines) == 1 else f"{len(lines)} lines"


NEXT = """What to try next:
  MODEL=1.5b make demo     a larger model (135m, 0.5b, 1.5b)
  examples/demo.py         change a task: each is twenty lines
  README.md                the same loop in your own program, with any model"""


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train three things with a local model.")
    parser.add_argument("--model", default=DEFAULT, help=f"{', '.join(CATALOGUE)} ({DEFAULT})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each task")
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
        print(f"Training with {llm.model}, on this machine, without network.")
    results = run_all(llm, options.seconds, only=options.task)
    for result in results:
        if len(result.after[0].splitlines()) > 1:
            print(f"\nAfter training, {result.task.title}:\n{result.after[0]}")
    print(f"\n{table(results)}\n\n{NEXT}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OptoError as error:
        sys.exit(f"The demo failed: {error}")
