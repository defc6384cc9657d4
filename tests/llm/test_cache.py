from __future__ import annotations

import asyncio
import copy
import multiprocessing
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opto.errors import InvalidArgument, ServerError, StoreUnusable
from opto.llm import Cache, Cached, Choice, Completion, Message, Usage, text_completion, usage
from opto.llm.cache import default_path
from opto.llm.steps import Request
from opto.llm.stored import as_data, from_data, key_of
from opto.testing import ModelServer, ScriptedModel

MESSAGES = [{"role": "user", "content": "hi"}]
KEY = "sk-canary-cache-0123456789"


def counting() -> ScriptedModel:
    return ScriptedModel([f"answer {number}" for number in range(50)])


def test_an_equal_call_is_answered_from_the_cache(tmp_path: Path) -> None:
    model = counting()
    llm = Cached(model, tmp_path / "c.sqlite3")
    with usage() as spent:
        assert llm(messages=MESSAGES, seed=1).text == "answer 0"
        assert asyncio.run(llm.acall(messages=MESSAGES, seed=1, timeout=5)).text == "answer 0"
    assert (len(model.calls), spent.calls, spent.total.hits) == (1, 1, 1)
    assert spent.usage == Usage(0, 2, 2)


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{"role": "system", "content": "hi"}]},
        {"seed": 2},
        {"temperature": 0.5},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}},
        {"n": 2},
        {"sample": 1},
    ],
)
def test_everything_that_matters_is_in_the_key(other: dict[str, Any], tmp_path: Path) -> None:
    model = counting()
    llm = Cached(model, tmp_path / "c.sqlite3")
    first: dict[str, Any] = {"messages": MESSAGES, "seed": 1}
    llm(**first)
    assert llm(**{**first, **other}).text != "answer 0"
    assert llm(**first).text == "answer 0"


def test_the_model_and_its_own_options_are_in_the_key() -> None:
    from opto.llm import OpenAICompatible  # noqa: PLC0415 - only here

    request = Request(MESSAGES, {})
    models = [
        OpenAICompatible("a", "http://127.0.0.1:1"),
        OpenAICompatible("b", "http://127.0.0.1:1"),
        OpenAICompatible("a", "http://127.0.0.1:2"),
        OpenAICompatible("a", "http://127.0.0.1:1", temperature=0.5),
    ]
    assert len({key_of(model, request) for model in models}) == 4


def test_samples_stay_samples(tmp_path: Path) -> None:
    llm = Cached(counting(), tmp_path / "c.sqlite3")
    for again in (llm, Cached(counting(), llm.cache)):
        texts = [again(messages=MESSAGES, sample=at).text for at in range(3)]
        assert texts == ["answer 0", "answer 1", "answer 2"]
    assert [choice.message.content for choice in llm(messages=MESSAGES, n=2).choices] == [
        "answer 3",
        "answer 4",
    ]


def test_a_call_can_go_past_the_cache(tmp_path: Path) -> None:
    model = counting()
    llm = Cached(model, tmp_path / "c.sqlite3")
    llm(messages=MESSAGES)
    assert llm(messages=MESSAGES, cache=False).text == "answer 1"
    assert llm(messages=MESSAGES).text == "answer 0"
    assert [call.options for call in model.calls] == [{}, {}]


def test_failures_are_not_kept(tmp_path: Path) -> None:
    llm = Cached(ScriptedModel([ServerError("x"), "fine"]), tmp_path / "c.sqlite3")
    with pytest.raises(ServerError):
        llm(messages=MESSAGES)
    assert llm(messages=MESSAGES).text == "fine"


def test_all_of_a_reply_is_kept() -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
    message = Message("assistant", "\u2028 ü \U0001f600", (call,), repaired=True)
    reply = Completion((Choice(message, "tool_calls", 3),), Usage(1, 2, 3, cost=0.5), "m", "id")
    assert from_data(as_data(reply)) == reply


def test_a_reply_grows_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "c.sqlite3", ttl=60)
    cache.put("k", text_completion("fine"))
    assert cache.get("k") is not None
    monkeypatch.setattr("opto.llm.cache.time.time", lambda: 4e9)
    assert cache.get("k") is None
    monkeypatch.setattr("opto.llm.cache.time.time", lambda: 0.0)
    assert cache.get("k") is not None  # a clock that was set back makes nothing old


def test_the_size_is_bounded(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.sqlite3", max_bytes=20_000)
    for number in range(200):
        cache.put(f"k{number}", text_completion("x" * 500))
    cache.put("huge", text_completion("x" * 30_000))
    assert cache.get("huge") is None
    assert 10 <= len(cache) <= 70
    assert cache.get("k199") is not None
    cache.clear()
    assert len(cache) == 0


def test_two_processes_share_it(tmp_path: Path) -> None:
    code = (
        "import sys; from opto.llm import Cached, OpenAICompatible, usage\n"
        "llm = Cached(OpenAICompatible('m', sys.argv[1]), sys.argv[2])\n"
        "with usage() as spent:\n"
        "    for at in range(5): llm(messages=[{'role': 'user', 'content': str(at)}])\n"
        "print(spent.calls, spent.total.hits)"
    )
    with ModelServer("fine") as server:
        command = [sys.executable, "-c", code, server.url, str(tmp_path / "c.sqlite3")]
        said = [subprocess.check_output(command, text=True).split() for _ in range(2)]
        assert len(server.requests) == 5
    assert said == [["5", "0"], ["0", "5"]]


def _write(path: str, name: int) -> None:
    cache = Cache(path)
    for number in range(50):
        cache.put(f"{name}-{number}", text_completion(f"{number}"))


def test_processes_write_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=_write, args=(str(path), name)) for name in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert len(Cache(path)) == 150


def _not_a_database(path: Path) -> None:
    path.write_bytes(b"something else entirely" * 100)


def _newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [_not_a_database, _newer, _folder])
def test_a_file_that_is_something_else_is_left_alone(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "c.sqlite3"
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreUnusable, match=r"c\.sqlite3"):
        Cache(path).get("k")
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_cache_that_breaks_later_fails_no_call(tmp_path: Path) -> None:
    llm = Cached(counting(), tmp_path / "c.sqlite3")
    llm(messages=MESSAGES)
    with closing(sqlite3.connect(tmp_path / "c.sqlite3")) as connection, connection:
        connection.execute("UPDATE replies SET reply = '{}'")
    connection.close()
    assert llm(messages=MESSAGES).text == "answer 1"
    with closing(sqlite3.connect(tmp_path / "c.sqlite3")) as connection, connection:
        connection.execute("DROP TABLE replies")
    connection.close()
    assert llm(messages=MESSAGES).text == "answer 2"


def test_no_prompt_and_no_key_is_in_the_file(tmp_path: Path) -> None:
    from opto.llm import OpenAICompatible  # noqa: PLC0415 - only here

    with ModelServer("fine") as server:
        llm = Cached(OpenAICompatible("m", server.url, api_key=KEY), tmp_path / "c.sqlite3")
        llm(messages=[{"role": "user", "content": "a private matter"}])
        assert KEY.encode() not in pickle.dumps(llm)
        assert KEY not in repr(llm)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert KEY.encode() not in kept
    assert b"private" not in kept


def test_it_is_shared_by_copies_and_opened_again_by_pickles(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.sqlite3")
    cache.put("k", text_completion("fine"))
    assert copy.deepcopy(cache) is cache
    again = pickle.loads(pickle.dumps(cache))
    assert again.get("k").text == "fine"
    cache.close()
    assert len(cache) == 1


def test_it_lies_in_the_users_cache_folder(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_path() == empty_home / ".cache" / "opto" / "replies.sqlite3"
    monkeypatch.setenv("OPTO_CACHE", "/elsewhere")
    assert Cache().path == Path("/elsewhere/replies.sqlite3")


@pytest.mark.parametrize("settings", [{"max_bytes": 0}, {"ttl": -1}])
def test_nonsense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="max_bytes"):
        Cache("x", **settings)
