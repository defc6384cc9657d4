"""Code runs wherever frames can be sent; here in a plain process, as `docker run -i` would do."""

from __future__ import annotations

import asyncio
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from opto.errors import CannotIsolate, CodeFailed, ExecutionError
from opto.execution import Command, Connection, Limits, Policy, Transport
from opto.execution.idle import MOST_IDLE
from opto.execution.transport import fleet
from opto.execution.wire import encode, frame
from opto.trace import bundle
from tests.execution.proposing import drawn, proposed
from tests.execution.things import Pair, Point

SOURCE = str(Path(__file__).resolve().parents[2] / "src")
PLAIN = Command(
    (sys.executable, "-m", "opto.execution.stdio"),
    environment={"PYTHONPATH": SOURCE, "WORKER": "yes"},
)
THERE = Policy("isolated", transport=PLAIN, limits=Limits(seconds=20))
OFFSET = 10


@bundle()
def double(x: Any) -> Any:
    """Twice, here."""
    return [x * 2, os.getpid()]


@bundle()
async def later(x: Any) -> Any:
    """Returns later."""
    await asyncio.sleep(0.01)
    return x


def same(x: Any) -> Any:
    """Name what may be called."""
    return double(x), later(x)


def run(body: str, x: Any = 1, policy: Policy = THERE) -> Any:
    """What another body returns."""
    return proposed(same, f"def same(x):\n    {body}", policy)(x).data


# ---- a command -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, "text", [Pair(1, Point(2))], {1: {2.5}}, b"x" * 300_000])
def test_values_cross_both_ways(value: Any) -> None:
    assert run("return x", value) == value


def test_it_runs_elsewhere_and_stays_there() -> None:
    function = proposed(
        same,
        "import os\nn = []\ndef same(x):\n    n.append(x)\n    return os.getpid(), len(n)",
        THERE,
    )
    first, second = function(1).data, function(1).data
    assert first[0] == second[0] != os.getpid()
    assert [first[1], second[1]] == [1, 2]


def test_nothing_of_the_environment_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTO_SECRET", "canary")
    names = run("import os\n    return sorted(os.environ)")
    assert "WORKER" in names
    assert "OPTO_SECRET" not in names


def test_calls_back_are_traced_here() -> None:
    here, there = [
        proposed(same, "def same(x):\n    return double(double(x).data[0])", way)(1)
        for way in (Policy("inprocess"), THERE)
    ]
    assert drawn(there) == drawn(here)
    assert there.data[1] == os.getpid()


def test_coroutines_are_awaited_side_by_side() -> None:
    async def f(x: Any) -> Any:
        return await later(x)

    text = (
        "import asyncio\n"
        "async def f(x):\n"
        "    return [m.data for m in await asyncio.gather(*(later(i) for i in range(x)))]"
    )
    function: Any = proposed(f, text, THERE)
    assert asyncio.run(function(3)).data == [0, 1, 2]


def test_feedback_has_line_arguments_and_output() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run("print('seen', x)\n    return x / 0")
    assert isinstance(caught.value, ExecutionError)
    told = caught.value.exception_node.create_feedback("full")
    assert "return x / 0 <--- (ZeroDivisionError)" in told
    assert "Printed:\nseen 1" in told


def test_what_takes_too_long_is_ended_with_all_its_processes() -> None:
    hurried = Policy("isolated", transport=PLAIN, limits=Limits(seconds=2))
    function = proposed(same, "def same(x):\n    while x: pass\n    return 'next'", hurried)
    with pytest.raises(TimeoutError, match="longer than 2 s"):
        function(1)
    assert function(0).data == "next"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("import os\n    os._exit(3)", "closed its connection"),
        ("import os\n    os.write(4, b'\\0' * 9)", "no message"),
    ],
)
def test_a_worker_that_ends_or_babbles_is_an_error(body: str, why: str) -> None:
    with pytest.raises(CodeFailed, match=why):
        run(body)


def test_a_cancelled_task_ends_the_worker() -> None:
    async def f(x: Any) -> Any:
        return x

    function: Any = proposed(f, "async def f(x):\n    while x: pass\n    return 'next'", THERE)

    async def late() -> Any:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(function(1), 1.0)
        return (await function(0)).data

    assert asyncio.run(late()) == "next"


def test_a_command_that_is_not_there_is_said() -> None:
    nowhere = Policy("isolated", transport=Command(("/no/such/program",)))
    with pytest.raises(CannotIsolate, match="starts no worker"):
        run("return x", policy=nowhere)


def test_names_are_given_and_the_cleanup_is_run(tmp_path: Path) -> None:
    start = ("sh", "-c", f"echo start >> {tmp_path}/{{id}}; exec {sys.executable} -m {MODULE}")
    end = ("sh", "-c", f"echo end >> {tmp_path}/{{id}}")
    way = Command(start, end, {"PYTHONPATH": SOURCE})
    connection = way.start(Limits())
    connection.kill()
    connection.kill()
    connection.close()
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("opto-")
    assert file.read_text("ascii").splitlines()[-1] == "end"


MODULE = "opto.execution.stdio"


# ---- one's own -----------------------------------------------------------------------------------


class Threads:
    """A transport as a user might write it: a process read by a thread, as a socket would be."""

    def __init__(self) -> None:
        self.started: list[Thread] = []

    def start(self, limits: Limits) -> Connection:
        """Start a worker."""
        del limits
        self.started.append(Thread())
        return self.started[-1]


class Thread:
    """One worker of such a transport."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            PLAIN.command, env=dict(PLAIN.environment), stdin=-1, stdout=-1, stderr=-2
        )
        self.parts: queue.Queue[bytes] = queue.Queue()
        self.killed = 0
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        """Pass on what comes."""
        assert self.process.stdout is not None
        while part := os.read(self.process.stdout.fileno(), 1000):
            self.parts.put(part)
        self.parts.put(b"")

    def send(self, data: bytes, seconds: float) -> None:
        """Send."""
        del seconds
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def receive(self, seconds: float) -> bytes:
        """Receive."""
        try:
            return self.parts.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    def printed(self) -> bytes:
        """Nothing is kept."""
        return b""

    def kill(self) -> None:
        """End it."""
        self.killed += 1
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Let go."""
        self.reader.join()
        for file in (self.process.stdin, self.process.stdout):
            assert file is not None
            file.close()


def test_a_transport_of_ones_own() -> None:
    transport: Transport = Threads()
    way = Policy("isolated", transport=transport, limits=Limits(seconds=20))

    function = proposed(same, "def same(x):\n    return double(x).data[0], [Pair(x)]", way)
    assert function(3).data == (6, [Pair(3)])
    with pytest.raises(TimeoutError):
        run("while True: pass", policy=Policy("isolated", transport=transport, limits=SHORT))
    fleet(transport).end_all()
    assert isinstance(transport, Threads)
    assert [worker.killed for worker in transport.started] == [1, 1]


SHORT = Limits(seconds=2)


class Canned:
    """A worker that says what it is told to say."""

    def __init__(self, said: list[bytes]) -> None:
        self.said = said
        self.killed = False

    def start(self, limits: Limits) -> Connection:
        """Start."""
        del limits
        return self

    def send(self, data: bytes, seconds: float) -> None:
        """Take anything."""

    def receive(self, seconds: float) -> bytes:
        """Say it."""
        return self.said.pop(0) if self.said else b""

    def printed(self) -> bytes:
        """Return more than is read."""
        return b"y" * 200_000

    def kill(self) -> None:
        """End."""
        self.killed = True

    def close(self) -> None:
        """Let go."""


LOADED = frame(encode(("ok", None, False)))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([LOADED, b"\xff" * 8], "no message"),
        ([LOADED, frame(encode("ok"))], "no known shape"),
        ([LOADED, frame(encode(("ok", 1)))], "no known shape"),
        ([LOADED, LOADED + LOADED], "bytes too many"),
        ([LOADED, frame(encode(("call", 1, -5, (), {})))], "no message"),
        ([LOADED, frame(b"\x80\x04cos\nsystem\n.")], "no message"),
        ([LOADED, LOADED[:5]], "closed its connection"),
        ([], "closed its connection"),
    ],
)
def test_nothing_that_a_transport_brings_is_trusted(said: list[bytes], why: str) -> None:
    transport = Canned(list(said))
    with pytest.raises(CodeFailed, match=why) as caught:
        run("return x", policy=Policy("isolated", transport=transport))
    assert transport.killed
    assert len(str(caught.value)) < 10_000


def test_idle_workers_are_few() -> None:
    transports = [Canned([LOADED]) for _ in range(MOST_IDLE + 3)]
    workers: list[Any] = [fleet(transports[0]) for _ in range(2)]
    assert workers[0] is workers[1]
    for transport in transports:
        worker = fleet(transport).spawn(Limits())
        workers[0].park(worker)
    assert sum(transport.killed for transport in transports) == 3
