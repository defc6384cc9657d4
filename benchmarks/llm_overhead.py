"""What the model layer adds to a call: microseconds without HTTP, and time for many calls with it.

    python benchmarks/llm_overhead.py [--litellm /path/to/python/that/has/litellm]

Both figures of the first part are taken in one run, by turns: our layer around a function that
answers at once, and ``litellm.completion(mock_response=...)``, which makes no request either.
The second part sends 200 calls, each of which takes the server 200 ms, with 50 in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from opto.llm import LLM, Budget, OpenAICompatible, Rate, text_completion, usage

MESSAGES = [{"role": "user", "content": "How many legs has a spider?"}]
ROUNDS, CALLS = 7, 300
LITELLM = """
import json, os, sys, time
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
from importlib.metadata import version
messages = json.loads(sys.argv[1])
def one():
    litellm.completion(model="gpt-4o", messages=messages, mock_response="eight")
for _ in range(50): one()
print(version("litellm"), flush=True)
for line in sys.stdin:
    count = int(line)
    begun = time.perf_counter()
    for _ in range(count): one()
    print((time.perf_counter() - begun) / count * 1e6, flush=True)
"""
SERVER = """
import sys
from opto.testing import Fault, ModelServer, completion_json
with ModelServer(Fault(body=completion_json("eight"), delay=0.2)) as server:
    print(server.url, flush=True)
    sys.stdin.readline()
    print(len(server.requests), server.most_in_flight, flush=True)
"""


class Other:
    """A process that is told lines and answers with lines."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, line: str) -> None:
        """Send a line."""
        stream = self._process.stdin
        if stream is not None:
            stream.write(line)
            stream.flush()

    def said(self) -> str:
        """Read a line."""
        stream = self._process.stdout
        return stream.readline().strip() if stream is not None else ""

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def microseconds(call: Callable[[], Any]) -> float:
    """Time of one call, in a round of many."""
    begun = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begun) / CALLS * 1e6


def ours() -> dict[str, Callable[[], Any]]:
    """Ways to call a model that answers at once."""
    answer = text_completion("eight", model="m")
    llm = LLM(lambda **_: answer)

    def counted() -> Any:
        return llm(messages=MESSAGES)

    def budgeted() -> Any:
        with usage(Budget(calls=10**9, tokens=10**12)):
            return llm(messages=MESSAGES)

    return {"opto": counted, "opto with usage() and a budget": budgeted}


def overhead(litellm: str | None) -> None:
    """Print the cost of a call, ours and LiteLLM's by turns."""
    ways = ours()
    found: dict[str, list[float]] = {name: [] for name in ways}
    with contextlib.ExitStack() as stack:
        if litellm:
            other = stack.enter_context(Other([litellm, "-c", LITELLM, json.dumps(MESSAGES)]))
            name = f"litellm.completion {other.said()}"
            found[name] = []
        for _ in range(ROUNDS):
            for way, call in ways.items():
                found[way].append(microseconds(call))
            if litellm:
                other.tell(f"{CALLS}\n")
                found[name].append(float(other.said()))
    for way, times in found.items():
        middle = statistics.median(times)
        print(f"{way:34} {middle:9.1f} µs a call (least {min(times):.1f}, most {max(times):.1f})")


def many() -> None:
    """Print the time of 200 calls of 200 ms with 50 in flight, by tasks and by threads."""
    with Other([sys.executable, "-c", SERVER]) as server:
        llm = OpenAICompatible("m", server.said(), rate=Rate(in_flight=50))
        llm(messages=MESSAGES)

        async def together() -> None:
            await asyncio.gather(*(llm.acall(messages=MESSAGES) for _ in range(200)))

        for _ in range(5):
            with usage() as spent:
                begun = time.perf_counter()
                asyncio.run(together())
                seconds = time.perf_counter() - begun
            counted = f"counted {spent.calls} calls, {spent.usage.total_tokens} tokens"
            print(f"200 calls of 200 ms, 50 in flight: {seconds:.2f} s of 0.80 s; {counted}")
        llm.close()
        server.tell("end\n")
        requests, most = server.said().split()
    print(f"the server saw {requests} requests, at most {most} at a time")


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm", help="a Python that has LiteLLM installed")
    arguments = parser.parse_args()
    overhead(arguments.litellm)
    many()


if __name__ == "__main__":
    main()
