"""What each policy of `opto.execution` costs, beside plain Python, by turns in one run.

    python -m benchmarks.execution [--write] [--rounds 30]

A call is one of a function that takes a small dict; the plain one is compiled from the same text.
A new version is the loading of a text that differs from all before, with its first call. `--write`
puts the table into docs/reference/execution.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from opto.execution import Command, Policy
from opto.execution.sessions import interpreter
from opto.trace.code import Surroundings, new_filename
from opto.trace.origin import UNKNOWN

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "execution.md"
SOURCE = str(Path(__file__).resolve().parents[1] / "src")
SMALL = {"name": "spider", "legs": 8, "tags": ["a", "b"]}
CALLS = 100
_numbers = iter(range(10**9))
_PLACE = re.compile(r"(?<=<!-- figures -->\n\n).*?(?=\n\n<!-- end of figures -->)", re.DOTALL)


def author(x: Any) -> Any:
    """The function that is replaced."""
    return x


def text() -> str:
    """Return code that was never there before."""
    return f'def author(x):\n    return x["legs"] + {next(_numbers)}'


WAYS: dict[str, Policy] = {
    "`inprocess`": Policy("inprocess"),
    "`isolated`": Policy("isolated"),
    "`isolated`, no namespaces": Policy("isolated", namespaces=False),
    "`portable`": Policy("portable"),
    "a transport (a plain process)": Policy(
        "isolated",
        transport=Command(
            (sys.executable, "-m", "opto.execution.stdio"), environment={"PYTHONPATH": SOURCE}
        ),
    ),
}


def plain() -> Callable[[Any], Any]:
    """Compile a text as anybody would."""
    space: dict[str, Any] = {}
    exec(compile(text(), "<plain>", "exec"), space)  # noqa: S102 - our own text
    return space["author"]  # type: ignore[no-any-return]  # what the text defines


def loaded(policy: Policy) -> Callable[[Any], Any]:
    """Load a text under a policy."""
    surroundings = Surroundings(author, {}, "")
    return policy(text(), surroundings, new_filename("author"), UNKNOWN).function


def timed(run: Callable[[], object]) -> float:
    """Return how many microseconds it takes."""
    begun = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - begun) / 1e3


def first(make: Callable[[], Callable[[Any], Any]]) -> object:
    """Load a new version and call it."""
    return make()(SMALL)


def many(function: Callable[[Any], Any]) -> Callable[[], object]:
    """Return what makes a hundred calls, for those that are too short for a clock."""

    def run() -> None:
        for _ in range(CALLS):
            function(SMALL)

    return run


def measured(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return microseconds by way: of warm calls, and of new versions with their first call."""
    ways: dict[str, Callable[[], Callable[[Any], Any]]] = {"plain Python": plain}
    for name, policy in WAYS.items():
        if policy.name != "portable" or interpreter():
            ways[name] = partial(loaded, policy)
    results: dict[str, dict[str, list[float]]] = {n: {"warm": [], "new": []} for n in ways}
    functions = {name: make() for name, make in ways.items()}
    for function in functions.values():
        many(function)()
    for _ in range(rounds):
        for name, function in functions.items():
            if name in {"plain Python", "`inprocess`"}:
                results[name]["warm"] += [timed(many(function)) / CALLS for _ in range(20)]
            else:
                once = partial(function, SMALL)
                results[name]["warm"] += [timed(once) for _ in range(CALLS)]
        for name, make in ways.items():
            results[name]["new"].append(timed(partial(first, make)))
    return results


def shown(microseconds: float) -> str:
    """Return a duration in the unit that suits it."""
    if microseconds >= 1000:
        return f"{microseconds / 1000:.1f} ms"
    return f"{microseconds:.2f} µs" if microseconds < 10 else f"{microseconds:.0f} µs"


def high(values: list[float]) -> float:
    """Return the value that a hundredth are above."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def table(results: dict[str, dict[str, list[float]]], rounds: int) -> str:
    """Return the results as a table with what it was measured on."""
    head = "| | a call: median | 99 % below | a new version: median | 99 % below |"
    rows = [
        f"| {name} | "
        + " | ".join(
            shown(figure(values[kind]))
            for kind in ("warm", "new")
            for figure in (statistics.median, high)
        )
        + " |"
        for name, values in results.items()
    ]
    kernel, python = platform.release().partition("-")[0], platform.python_version()
    where = (
        f"Measured by `python -m benchmarks.execution --rounds {rounds}`, all by turns in one "
        f"run, with a small dict as argument: Linux {kernel}, Python {python}, "
        f"{os.cpu_count()} shared cores with a load of {os.getloadavg()[0]:.1f} at the end."
    )
    return "\n".join([where, "", head, "|---|---|---|---|---|", *rows])


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    made = table(measured(options.rounds), options.rounds)
    print(made)
    if options.write:
        PAGE.write_text(_PLACE.sub(lambda _: made, PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
