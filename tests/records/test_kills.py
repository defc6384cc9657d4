"""Processes that save and are killed, or save at the same time: a reader sees whole files only."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.records.helpers import names, one

# Saves value after value, each of many lines, and says so after each.
SAVING = """
import os, sys
from opto.trace import Module, node
path, number = sys.argv[1], int(sys.argv[2])
m = Module()
m.x = node("", trainable=True)
while True:
    m.x._data = f"{number}\\n" * 3_000
    m.save(path)
    os.write(1, b"%d\\n" % number)
    number += 1
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="has no kill -9")


def start(path: Path, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SAVING, str(path), str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def number_in(path: Path) -> int:
    """The number in the file, which is whole."""
    module = one("")
    module.load(path)
    (value,) = [parameter._data for parameter in module.parameters()]
    numbers = value.split()
    assert numbers == numbers[:1] * 3_000
    return int(numbers[0])


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    path, dice = tmp_path / "x.txt", random.Random(5)
    kills, found, number = 0, 0, 1
    while kills < 200:
        # One import for several kills: a fork of the started interpreter saves and is killed.
        with subprocess.Popen(
            [sys.executable, "-c", FORKING, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as parent:
            assert parent.stdin is not None
            assert parent.stdout is not None
            for _ in range(50):
                parent.stdin.write(b"%f\n" % dice.uniform(0, 0.03))
                parent.stdin.flush()
                acknowledged = int(parent.stdout.readline())
                found = number_in(path) if path.exists() else 0
                assert found >= acknowledged  # what was said to be saved is there
                kills += 1
            parent.stdin.close()
        number = found + 1
    one("").save(path)

    assert number > 20  # some were done before they were killed
    assert names(tmp_path) == ["x.txt"]  # nothing is left of 200 killed processes


# For each line read: forks a child that saves on and on, kills it after that time, and says what
# the child last said to have saved.
FORKING = """
import os, signal, sys, time
from opto.trace import Module, node
path, number = sys.argv[1], int(sys.argv[2])
m = Module()
m.x = node("", trainable=True)
m.save(path + ".first")  # whatever is imported late is imported
os.unlink(path + ".first")
acknowledged = 0
for line in sys.stdin:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        while True:
            m.x._data = f"{number}\\n" * 3_000
            m.save(path)
            os.write(writing, b"%d\\n" % number)
            number += 1
    os.close(writing)
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said = os.read(reading, 1 << 20).split()
    os.close(reading)
    acknowledged = int(said[-1]) if said else acknowledged
    number = acknowledged + 2
    print(acknowledged, flush=True)
"""


def test_two_processes_may_save_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    writers = [start(path, 1), start(path, 1_000_000)]
    try:
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        seen: set[bool] = set()
        deadline = time.monotonic() + 60
        while len(seen) < 2 and time.monotonic() < deadline:
            seen.add(number_in(path) >= 1_000_000)
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()

    assert seen == {True, False}
