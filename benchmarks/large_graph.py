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
from tests.optimizers.test_large_graphs import SHAPES, parameters

TOKENS = 8_000
CHARACTERS_PER_TOKEN = 4


def measured(shape: int, size: int) -> tuple[float, int, int]:
    """CPU seconds from the feedback to the text, its tokens, and the operations of the run."""
    with new_scope():
        given = parameters()
        optimizer = OptoPrime(list(given.values()), llm=ScriptedModel([]), problem_tokens=TOKENS)
        optimizer.backward(SHAPES[shape](given, size), "The result is wrong.")
        started = time.process_time()
        problem = optimizer.summarize()
        folded, limit = optimizer.folded(problem)
        text = str(optimizer.problem_instance(folded, limit=limit))
        seconds = time.process_time() - started
        return seconds, len(text) // CHARACTERS_PER_TOKEN, len(problem.steps)


def main() -> None:
    """Print a row for each shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print("| run | operations | CPU seconds | tokens |\n|---|---|---|---|")
    for shape, make in enumerate(SHAPES):
        runs = [measured(shape, given.size) for _ in range(given.rounds)]
        seconds = statistics.median(run[0] for run in runs)
        print(f"| {make.__name__} | {runs[0][2]:,} | {seconds:.2f} | {runs[0][1]:,} |")


if __name__ == "__main__":
    main()
