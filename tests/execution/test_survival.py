"""What must be left after hostile calls, kills and forks: nothing, and a host that goes on."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from opto.errors import ExecutionError
from opto.execution import Limits, Policy
from opto.execution.idle import MOST_IDLE
from opto.execution.server import Setting, server
from opto.trace import bundle
from opto.trace.function import FunModule

pytestmark = pytest.mark.usefixtures("isolation")

ROOT = Path(__file__).resolve().parents[2]
QUICK = Policy(limits=Limits(seconds=5), imports=frozenset("*"))
HOSTILE = [
    "import os; os._exit(1)",
    "import os; os.close(3); os.abort()",
    "raise KeyboardInterrupt",
    "return 'x' * (1 << 25)",
    "import os; return [os.write(n, b'forged') for n in range(1, 5)]",
    "import ctypes; ctypes.string_at(0)",
    "open('left', 'w').write('behind'); return object()",
    "import threading; threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()",
]


def proposed(text: str, policy: Policy = QUICK) -> FunModule[Any]:
    """A function whose code was replaced by `text`."""

    @bundle(trainable=True, execution=policy)
    def f(x: Any) -> Any:
        return x

    assert f.parameter is not None
    f.parameter._set(text)
    return f


def descendants(pid: int) -> set[int]:
    """The processes that descend from `pid`, zombies included."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text("utf-8", "replace")
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found, added = {pid}, True
    while added:
        more = {child for child, parent in parents.items() if parent in found} - found
        found, added = found | more, bool(more)
    return found - {pid}


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes to hold; there is no other way to wait for the kernel."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def resident() -> int:
    """Kilobytes of memory of this process."""
    text = Path("/proc/self/status").read_text("ascii")
    return int(text.partition("VmRSS:")[2].split()[0])


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the folder lists itself


@pytest.mark.slow
def test_a_thousand_hostile_calls_leave_nothing() -> None:
    def attack(count: int) -> None:
        for number in range(count):
            text = f"def f(x):\n    {HOSTILE[number % len(HOSTILE)]}"
            with suppress(ExecutionError):
                proposed(text)(number)

    attack(50)
    gc.collect()
    processes, files, memory = len(descendants(os.getpid())), open_files(), resident()
    attack(1000)
    gc.collect()

    assert proposed("def f(x):\n    return x")(1).data == 1
    gc.collect()
    assert within(5, lambda: len(descendants(os.getpid())) <= processes)
    assert open_files() <= files + 4
    assert resident() <= memory + 8_000


def test_a_version_that_nobody_needs_loses_its_process() -> None:
    function = proposed("def f(x):\n    return x")
    before = descendants(os.getpid())
    assert function(1).data == 1
    (made,) = descendants(os.getpid()) - before
    del function
    gc.collect()

    assert within(5, lambda: made not in descendants(os.getpid()))


def test_idle_processes_are_bounded_and_come_back() -> None:
    before = descendants(os.getpid())
    functions = [proposed(f"def f(x):\n    return {number}") for number in range(MOST_IDLE + 8)]
    found = [function(0).data for function in functions]

    assert found == list(range(MOST_IDLE + 8))
    server = 1  # which may have had to start
    assert within(5, lambda: len(descendants(os.getpid()) - before) <= MOST_IDLE + server)
    assert [function(0).data for function in functions] == found


def test_threads_left_behind_end_with_their_process() -> None:
    text = """
    import threading
    def f(x):
        threading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True).start()
        return threading.active_count()
    """
    before = set(descendants(os.getpid()))  # interpreters of other tests have threads of their own
    function = proposed(textwrap.dedent(text))

    assert [function(0).data, function(0).data] == [2, 2]
    assert within(5, lambda: not any(map(spins, set(descendants(os.getpid())) - before)))


def spins(pid: int) -> bool:
    """Whether a process has more than one thread."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def test_a_fork_of_the_host_has_processes_of_its_own() -> None:
    function = proposed("n = []\ndef f(x):\n    n.append(x)\n    return len(n)")
    assert function(0).data == 1
    child = os.fork()
    if child == 0:
        right = function(0).data == 1
        server(Setting()).close()
        os._exit(0 if right else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert function(0).data == 2


def test_the_fork_server_may_be_killed() -> None:
    function = proposed("def f(x):\n    return x")
    assert function(1).data == 1
    made = server(Setting())
    assert made.process is not None
    made.process.kill()
    made.process.wait()

    assert proposed("def f(x):\n    return x + 1")(1).data == 2


# ---- hosts that die, and machines that lack something --------------------------------------------

SCRIPT = """
import os, sys, threading, time
sys.path.insert(0, {source!r})
from opto.execution import Limits, Policy
from opto.trace import bundle

policy = Policy(limits=Limits(seconds=60), imports=frozenset("*"))
@bundle(trainable=True, execution=policy)
def f(x):
    return x
{body}
"""
ORPHANS = """
f.parameter._set("def f(x):\\n    while True:\\n        pass")
for _ in range(3):
    threading.Thread(target=f, args=(0,), daemon=True).start()
time.sleep(1)
print("ready", flush=True)
time.sleep(60)
"""
MASKED = """
from opto.execution import kernel
from opto.execution.seccomp import ALLOW, ENOSYS, JUMP_EQUAL, LOAD, RETURN
from opto.execution.seccomp import Instruction, as_bytes, refuse
steps = [
    Instruction(LOAD, 0, 0, 0),
    Instruction(JUMP_EQUAL, 0, 1, {number}),
    Instruction(RETURN, 0, 0, refuse(ENOSYS)),
    Instruction(RETURN, 0, 0, ALLOW),
]
kernel.no_new_privileges()
kernel.install_filter(as_bytes(steps))
f.parameter._set("print('ran')\\ndef f(x):\\n    return 'ran'")
try:
    print(f(0).data)
except Exception as error:
    print(type(error).__name__, getattr(error, "by_machine", None), error)
"""


def script(folder: Path, body: str) -> subprocess.Popen[str]:
    """A host of its own; what trains code must stand in a file."""
    path = folder / "host.py"
    path.write_text(SCRIPT.format(source=str(ROOT / "src"), body=body), "utf-8")
    command = [sys.executable, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_killed_host_leaves_no_orphan(tmp_path: Path) -> None:
    with script(tmp_path, ORPHANS) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
        started = descendants(host.pid)
        host.send_signal(signal.SIGKILL)
        host.wait()

    assert len(started) >= 4
    assert within(5, lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


LANDLOCK, PRCTL = 444, {"x86_64": 157, "aarch64": 167}


@pytest.mark.parametrize("missing", ["Landlock", "the filter"])
def test_what_the_machine_lacks_is_said_and_nothing_runs(missing: str, tmp_path: Path) -> None:
    number = LANDLOCK if missing == "Landlock" else PRCTL[os.uname().machine]
    with script(tmp_path, MASKED.format(number=number)) as host:
        said, _ = host.communicate(timeout=60)

    assert said.startswith("CannotIsolate True this machine can't isolate code: "), said
    assert "ran" not in said.split()
    assert ("landlock" if missing == "Landlock" else "Function not implemented") in said
