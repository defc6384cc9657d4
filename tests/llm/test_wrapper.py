"""What all wrappers have in common, and the steps that they are made of."""

from __future__ import annotations

import asyncio
import pickle
import time
from concurrent.futures import Future
from typing import Any

import pytest

from opto.errors import ServerError
from opto.llm import Budget, Budgeted, Completion, Limited, Metered, Rate, Retrying
from opto.llm.steps import Request, Steps, Wait, arun, asked, run
from opto.llm.wrapper import Wrapper
from opto.testing import ScriptedModel

MESSAGES = [{"role": "user", "content": "hi"}]


def wrappers(llm: Any) -> list[Wrapper]:
    return [Metered(llm), Retrying(llm), Limited(llm, Rate(in_flight=2)), Budgeted(llm, Budget())]


@pytest.mark.parametrize("at", range(4))
def test_a_wrapper_is_a_model_like_the_one_inside(at: int) -> None:
    model = ScriptedModel("fine")
    wrapper = wrappers(model)[at]
    assert wrapper.abilities == model.abilities
    assert (wrapper.model_name, wrapper.provider) == ("scripted", "scripted")
    assert wrapper(messages=MESSAGES, seed=1).text == "fine"
    assert asyncio.run(wrapper.acall(messages=MESSAGES, seed=1)).text == "fine"
    assert [call.options for call in model.calls] == [{"seed": 1}] * 2
    assert type(wrapper).__name__ in repr(wrapper)


def test_wrappers_compose_in_any_order() -> None:
    model = ScriptedModel([ServerError("x"), "fine"])
    llm = Metered(Budgeted(Retrying(Limited(model, Rate(in_flight=1))), Budget(calls=2)))
    assert llm(messages=MESSAGES).text == "fine"
    assert (llm.calls, len(model.calls)) == (1, 2)
    again = pickle.loads(pickle.dumps(Metered(Retrying(ScriptedModel("x")))))
    assert again(messages=MESSAGES).text == "x"


def test_a_plain_function_can_be_wrapped() -> None:
    llm = Metered(lambda messages: "fine")
    assert llm.model_name == "function"
    assert asyncio.run(llm.acall(messages=MESSAGES)).text == "fine"


class Waits(Wrapper):
    def steps(self, request: Request) -> Steps[Completion]:
        done: Future[None] = Future()
        done.set_result(None)
        yield Wait(60.0, done)
        yield Wait(0.01, Future())
        yield Wait(0.0)
        return (yield from asked(self.llm, request.without("drop").having(keep=1)))


@pytest.mark.parametrize("how", ["sync", "async"])
def test_steps(how: str) -> None:
    model = ScriptedModel("fine")
    started = time.monotonic()
    steps = Waits(model).steps(Request(MESSAGES, {"drop": 1}))
    reply = run(steps) if how == "sync" else asyncio.run(arun(steps))
    assert reply.text == "fine"
    assert model.calls[0].options == {"keep": 1}
    assert time.monotonic() - started < 30


def test_cancelling_reaches_the_wrapper() -> None:
    seen: list[type[BaseException]] = []

    class Watches(Wrapper):
        def steps(self, request: Request) -> Steps[Completion]:
            try:
                yield Wait(60.0)
            except BaseException as error:
                seen.append(type(error))
                raise
            return (yield from asked(self.llm, request))

    async def cancelled() -> None:
        task = asyncio.create_task(Watches(ScriptedModel("x")).acall(messages=MESSAGES))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert seen == [asyncio.CancelledError]
