from __future__ import annotations

import asyncio
import pickle
import threading

import pytest

from opto.errors import BadResponse, ServerError
from opto.llm import Metered, Usage
from opto.testing import ScriptedModel

MESSAGES = [{"role": "user", "content": "12345678"}]


def test_calls_and_tokens_are_counted() -> None:
    llm = Metered(ScriptedModel("abcd"))
    llm(messages=MESSAGES)
    asyncio.run(llm.acall(messages=MESSAGES))
    assert (llm.calls, llm.failures, llm.usage) == (2, 0, Usage(4, 2, 6))
    assert llm.abilities.json_schema


def test_a_call_that_fails_counts_with_unknown_usage() -> None:
    llm = Metered(ScriptedModel([ServerError("x"), ServerError("y")]))
    with pytest.raises(ServerError):
        llm(messages=MESSAGES)
    with pytest.raises(ServerError):
        asyncio.run(llm.acall(messages=MESSAGES))
    assert (llm.calls, llm.failures, llm.usage.known) == (2, 2, False)


def test_a_reply_that_is_none_is_a_failure() -> None:
    llm = Metered(dict)
    with pytest.raises(BadResponse):
        llm(messages=MESSAGES)
    assert llm.failures == 1


def test_counting_is_exact_under_threads() -> None:
    llm = Metered(ScriptedModel("abcd"))

    def many() -> None:
        for _ in range(100):
            llm(messages=MESSAGES)

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (llm.calls, llm.usage) == (800, Usage(1600, 800, 2400))


def test_it_can_be_pickled() -> None:
    llm = Metered(ScriptedModel("abcd"))
    llm(messages=MESSAGES)
    again = pickle.loads(pickle.dumps(llm))
    again(messages=MESSAGES)
    assert (llm.calls, again.calls) == (1, 2)
