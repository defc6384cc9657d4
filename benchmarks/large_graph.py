"""How long it takes to make a problem of 8,000 tokens from a run of 100,000 operations.

``python -m benchmarks.large_graph`` prints CPU seconds and tokens for runs of several shapes.
"""

from __future__ import annotations

import argparse
import statistics
import time

from opto.optimizers import OptoPrime
from opto.testing import ScriptedModel
from opto.trace import new_scope
from tests.optimizers.test_large_graphs import SHAPES, parameters_of

TOKENS = 8_000
CHARACTERS_PER_TOKEN = 3  # as the optimizer counts without a tokenizer; English has more


def measured(shape: int, size: int) -> tuple[float, int, int]:
    """CPU seconds from the feedback to the text, its tokens, and the operations of the run."""
    with new_scope():
        given = parameters_of(SHAPES[shape])
        optimizer = OptoPrime(list(given.values()), llm=ScriptedModel([]), problem_tokens=TOKENS)
        optimizer.backward(SHAPES[shape](given, size), "The result is wrong.")
        started = time.process_time()
        problem = optimizer.summarize()
        folded, limit = optimizer.folded(problem)
        text = str(optimizer.problem_instance(folded, limit=limit))
        seconds = time.process_time() - started
        return seconds, len(text) // CHARACTERS_PER_TOKEN, len(problem.steps)


def table(size: int, rounds: int) -> str:
    """A row for each shape: the median of the CPU seconds, and the most tokens."""
    rows = ["| run | operations | CPU seconds | tokens |", "|---|---|---|---|"]
    for shape, make in enumerate(SHAPES):
        runs = [measured(shape, size) for _ in range(rounds)]
        seconds = statistics.median(run[0] for run in runs)
        said = (make.__doc__ or make.__name__).rstrip(".")
        rows.append(f"| {said} | {runs[0][2]:,} | {seconds:.2f} | {runs[0][1]:,} |")
    return "\n".join(rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(table(given.size, given.rounds))


if __name__ == "__main__":
    main()
