"""What the model layer adds to a call: microseconds without HTTP, and time for many calls with it.

    python benchmarks/llm_overhead.py [--litellm /path/to/python/that/has/litellm]

Both figures of the first part are taken in one run, by turns: our layer around a function that
answers at once, and ``litellm.completion(mock_response=...)``, which makes no request either.
The second part sends 200 calls, each of which takes the server 200 ms, with 50 in flight. The third
calls a server from 32 threads that refuses the ninth request of any second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opto.llm import LLM, Budget, OpenAICompatible, Rate, text_completion, usage
from opto.testing import Fault, ModelServer, Request, completion_json

MESSAGES = [{"role": "user", "content": "How many legs has a spider?"}]
ROUNDS, CALLS, MOST = 7, 300, 1.3
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

        def in_threads() -> None:
            with ThreadPoolExecutor(64) as pool:
                list(pool.map(lambda _: llm(messages=MESSAGES), range(200)))

        for name, work in {"tasks": lambda: asyncio.run(together()), "threads": in_threads}.items():
            found: list[float] = []
            for _ in range(ROUNDS):
                with usage() as spent:
                    begun, used = time.perf_counter(), time.process_time()
                    work()
                    seconds, used = time.perf_counter() - begun, time.process_time() - used
                found.append(seconds / 0.8)
                exact = f"{spent.calls} calls, {spent.usage.total_tokens} tokens counted"
                print(
                    f"200 calls of 200 ms in {name}, 50 in flight: {seconds:.2f} s of 0.80 s,"
                    f" {used / 200 * 1e3:.2f} ms of processor a call; {exact}"
                )
            kept = sum(times <= MOST for times in found)
            middle = statistics.median(found)
            print(f"{name}: {middle:.2f} times the ideal; {kept} of {ROUNDS} rounds within {MOST}")
        llm.close()
        server.tell("end\n")
        requests, most = server.said().split()
    print(f"the server saw {requests} requests, at most {most} at a time")


class EightASecond:
    """A server's rule: the ninth request of any second is refused."""

    def __init__(self, **headers: str) -> None:
        self.refused, self._headers = 0, headers
        self._let_through: deque[float] = deque()
        self._lock = threading.Lock()

    def __call__(self, _: Request) -> Fault:
        """Answer, or refuse."""
        now = time.monotonic()
        with self._lock:
            while self._let_through and self._let_through[0] <= now - 1.0:
                self._let_through.popleft()
            if len(self._let_through) < 8:
                self._let_through.append(now)
                return Fault(body=completion_json("eight"))
            self.refused += 1
            return Fault(429, self._headers)


def limited(calls: int = 96) -> None:
    """Print the time of calls from 32 threads to a server that allows eight a second."""
    ideal = (calls - 8) / 8
    for advice in ({}, {"Retry-After": "1"}):
        rule = EightASecond(**advice)
        with ModelServer(rule) as server, ThreadPoolExecutor(32) as pool:
            llm = OpenAICompatible("m", server.url, max_attempts=8)
            begun = time.perf_counter()
            texts = list(pool.map(lambda _, llm=llm: llm(messages=MESSAGES).text, range(calls)))
            seconds = time.perf_counter() - begun
            llm.close()
        print(
            f"{calls} calls in 32 threads, 8 a second allowed, {'advised' if advice else 'silent'}:"
            f" {seconds:.1f} s, {seconds / ideal:.2f} times the ideal;"
            f" {len(texts)} answered, {rule.refused} refused"
        )


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm", help="a Python that has LiteLLM installed")
    arguments = parser.parse_args()
    overhead(arguments.litellm)
    many()
    limited()


if __name__ == "__main__":
    main()
