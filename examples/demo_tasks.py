"""The three tasks of the demo: what is run, the feedback on it, and how it is scored."""

# ruff: noqa: ANN001, ANN201, ANN202, ANN204, ARG002, D102, D205, D415, RET504
# The functions to be trained stand here as the README has them.

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opto import trace
from opto.errors import CannotIsolate

RUN_SECONDS = 120.0  # for one run, what the model is asked in it included


@dataclass(frozen=True)
class Task:
    """Something to train.

    Attributes:
        title: what is trained.
        by: from what.
        groups: the parameters, those together that are to change together.
        run: runs it once; the output, and the feedback on it in words.
        score: how well it does on what `run` may show, 1.0 being all.
        hidden_score: how well it does on cases that no prompt ever shows.
        shows: what it does at present, in a few characters.
    """

    title: str
    by: str
    groups: list[list[Any]]
    run: Callable[[], tuple[Any, str]]
    score: Callable[[], float]
    hidden_score: Callable[[], float]
    shows: Callable[[], str]


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

    return Task(
        "a number",
        "being told 'too low, go higher' or 'too high, go lower'",
        [[heater]],
        run,
        score,
        score,
        lambda: str(heater.data),
    )


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

    shown = [
        ([1, 2, 3, 4], [1, 4, 2, 3]),
        ([9, 1, 8, 2, 7], [1, 9, 2, 8, 7]),
        ([5, 5], [5, 5]),
        ([3, 1, 3, 1, 2, 3], [1, 3, 1, 3, 2, 3]),
        ([], []),
    ]
    hidden = [
        ([4], [4]),
        ([2, 2, 1], [1, 2, 2]),
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
        "strange_sort_list",
        "a failing test at a time; the score counts other tests, never shown",
        [strange_sort_list.parameters()],
        run,
        lambda: mean(right(shown)),
        lambda: mean(right(hidden)),
        lambda: str(outcome(strange_sort_list, [1, 2, 3, 4]).data),
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
        said = str(outcome(agent, query).data)
        return said.startswith(words[lang]) and name in said

    @trace.bundle()
    def both(first: Any, second: Any) -> Any:
        """Collect the greetings of two customers."""
        return [first, second]

    def run() -> tuple[Any, str]:
        wrong_first = sorted(shown, key=lambda customer: right(*customer))
        pair = [next(one for one in wrong_first if one[1] == lang) for lang in words]
        said = [outcome(agent, query) for query, _, _ in pair]
        lines = [
            f"for {query!r} lang should be {lang!r}, "
            f"and the greeting '{words[lang]}, {name}!', not {str(got.data)[:80]!r}"
            for (query, lang, name), got in zip(pair, said, strict=True)
        ]
        return both(*said), "\n".join(lines)

    return Task(
        "a sales agent",
        "two customers at a time, greeted in the wrong language; the score counts others",
        [functions, [agent.instruct1, agent.instruct2]],
        run,
        lambda: mean([right(*customer) for customer in shown]),
        lambda: mean([right(*customer) for customer in hidden]),
        lambda: str(outcome(agent, "Hi, my name is Mary.").data),
    )


# ---- around it -----------------------------------------------------------------------------------


def outcome(program: Callable[..., Any], *args: Any) -> Any:
    """Run a program; what it returned, or what it failed with, as a node."""
    try:
        with time_limit(RUN_SECONDS):
            return program(*args)
    except trace.ExecutionError as error:
        return error.exception_node
    except CannotIsolate as error:
        if error.by_machine:
            raise
        return trace.node(str(error))  # the code wants what may not cross into its process


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Stop what doesn't end, also where code can't run in a process of its own."""

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


TASKS: tuple[Callable[[], Task], ...] = (number, sorting, agent)
