from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from opto.errors import InvalidArgument, NotRecorded, ServerError, StoreUnusable
from opto.llm import OpenAICompatible, Recorded, usage
from opto.testing import Fault, ModelServer, ScriptedModel

MESSAGES = [{"role": "user", "content": "hi"}]
KEY = "sk-canary-record-0123456789"


def test_equal_calls_get_the_answers_that_they_had_in_order(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    llm = Recorded(ScriptedModel(["a", "b"]), path)
    assert [llm(messages=MESSAGES).text for _ in range(2)] == ["a", "b"]
    again = Recorded(ScriptedModel(["c"]), path)
    with usage() as spent:
        assert [again(messages=MESSAGES).text for _ in range(2)] == ["a", "b"]
        assert asyncio.run(again.acall(messages=MESSAGES)).text == "c"
    assert (spent.calls, spent.total.hits) == (1, 2)


def test_a_replay_never_asks(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Recorded(ScriptedModel("a"), path)(messages=MESSAGES)
    model = ScriptedModel("b")
    llm = Recorded(model, path, "replay")
    assert llm(messages=MESSAGES).text == "a"
    with pytest.raises(NotRecorded, match="answer number 2"):
        llm(messages=MESSAGES)
    with pytest.raises(NotRecorded, match="ends 'other'"):
        llm(messages=[{"role": "user", "content": "other"}])
    assert not model.calls


def test_a_recording_can_be_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Recorded(ScriptedModel("a"), path)(messages=MESSAGES)
    assert Recorded(ScriptedModel("b"), path, "record")(messages=MESSAGES).text == "b"
    assert len(path.read_text().splitlines()) == 1


def test_failures_are_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    llm = Recorded(ScriptedModel([ServerError("x"), "fine"]), path)
    with pytest.raises(ServerError):
        llm(messages=MESSAGES)
    assert llm(messages=MESSAGES).text == "fine"
    assert json.loads(path.read_text())["number"] == 0


RUN = """
import sys
from opto.llm import OpenAICompatible, Recorded
llm = Recorded(OpenAICompatible("m", sys.argv[1]), sys.argv[2])
for at in range(40):
    print(at, llm(messages=[{"role": "user", "content": str(at % 20)}]).text, flush=True)
"""


def test_a_killed_run_repeats_no_answered_call(tmp_path: Path) -> None:
    number = iter(range(1000))

    def answer(_: Any) -> str:
        time.sleep(0.005)
        return f"answer {next(number)}"

    path = tmp_path / "run.jsonl"
    with ModelServer(answer) as server:
        # Replayed calls are told apart from others by the server, so its URL must be the same.
        command = [sys.executable, "-c", RUN, server.url, str(path)]
        said: dict[str, str] = {}
        for stop in (3, 11, 25, 40):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            for line in process.stdout:
                at, _, text = line.strip().partition(" ")
                assert said.setdefault(at, text) == text
                if int(at) >= stop - 1 and stop < 40:
                    process.kill()
                    break
            process.stdout.close()
            process.wait()
        assert len(said) == 40
        # A call that was under way when the process was killed has no answer yet.
        assert 40 <= len(server.requests) <= 40 + 3
        recorded = [json.loads(line) for line in path.read_text().splitlines()]
        assert len({(line["key"], line["number"]) for line in recorded}) == len(recorded) == 40


KILLS = """
import os, random, signal, sys, time
from opto.llm import Recorded
path, log = sys.argv[1:]
chance = random.Random(7)

def note(*words):
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, (" ".join(map(str, words)) + "\\n").encode())
    os.close(handle)

def model(messages):
    note("asked", messages[0]["content"])
    time.sleep(0.0005)
    return "answer " * 300

def run():
    llm = Recorded(model, path)
    for at in range(400):
        text = llm(messages=[{"role": "user", "content": str(at)}]).text
        assert text == "answer " * 300
        note("answered", at)
    note("done")

for kill in range(101):
    child = os.fork()
    if not child:
        try:
            run()
        finally:
            os._exit(1)
    if kill < 100:
        time.sleep(chance.uniform(0.0, 0.06))
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_hundred_kills_at_random_moments_repeat_no_answered_call(tmp_path: Path) -> None:
    path, log = tmp_path / "run.jsonl", tmp_path / "log"
    subprocess.run([sys.executable, "-c", KILLS, str(path), str(log)], check=True)
    asked, answered = list[str](), set[str]()
    for line in log.read_text().splitlines():
        what, _, number = line.partition(" ")
        if what == "asked":
            assert number not in answered
            asked.append(number)
        else:
            answered.add(number)
    assert answered >= {str(number) for number in range(400)}
    assert len(asked) <= 400 + 100  # at most the one that was under way is asked again
    recorded = [json.loads(line) for line in path.read_text().splitlines() if line[-2:] == "}}"]
    assert len({line["key"] for line in recorded}) == len(recorded) == 400


def test_a_line_that_was_cut_off_is_left_out_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    llm = Recorded(ScriptedModel(["a", "b"]), path)
    llm(messages=MESSAGES)
    whole = path.read_bytes()
    llm(messages=MESSAGES)
    both = path.read_bytes()
    for end in range(len(whole), len(both) - 1, 7):
        path.write_bytes(both[:end])
        again = Recorded(ScriptedModel(["B"]), path)
        assert [again(messages=MESSAGES).text for _ in range(2)] == ["a", "B"]
        replay = Recorded(ScriptedModel(), path, "replay")
        assert [replay(messages=MESSAGES).text for _ in range(2)] == ["a", "B"]


def test_keys_are_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with ModelServer(f"you said {KEY}") as server:
        llm = Recorded(OpenAICompatible("m", server.url, api_key=KEY), path)
        llm(messages=[{"role": "user", "content": f"my key is {KEY}"}])
        llm(messages=[{"role": "user", "content": '"api_key": "another-one"'}])
        assert KEY.encode() not in pickle.dumps(llm)
    assert KEY not in path.read_text()
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"version": 99}\n')
    with pytest.raises(StoreUnusable, match="newer"):
        Recorded(ScriptedModel("a"), path)(messages=MESSAGES)
    assert path.read_text() == '{"version": 99}\n'


def test_what_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="can't be read"):
        Recorded(ScriptedModel("a"), tmp_path)(messages=MESSAGES)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="can't be re"):
        Recorded(ScriptedModel("a"), tmp_path / "file" / "run.jsonl")(messages=MESSAGES)


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="resume, replay, record"):
        Recorded(ScriptedModel("a"), tmp_path / "x", "again")  # type: ignore[arg-type] # on purpose


def test_the_server_is_not_asked_in_a_replay_of_faults(tmp_path: Path) -> None:
    with ModelServer([Fault(503), "fine"]) as server:
        llm = Recorded(OpenAICompatible("m", server.url, max_attempts=2), tmp_path / "x")
        assert llm(messages=MESSAGES).text == "fine"
        assert Recorded(llm.llm, tmp_path / "x", "replay")(messages=MESSAGES).text == "fine"
        assert len(server.requests) == 2
