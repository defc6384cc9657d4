"""What a wrapper does, written once for callers that wait and for those that await.

A wrapper's work is a generator. It yields `Ask` to ask the model inside, `Wait` to let time pass
and `Work` to do something else, and returns what it found; `run` and `arun` do what it asks for. A
failure of the model is raised where the generator asked.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

from opto.llm.base import ChatMessage, Completion, completion_of
from opto.llm.loop import OWN_LOOP

T = TypeVar("T")
Model: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Request:
    """One call: what it says and with which options."""

    messages: Sequence[ChatMessage]
    options: Mapping[str, Any]

    def having(self, **options: Any) -> Request:
        """The same with other options."""
        return Request(self.messages, {**self.options, **options})

    def without(self, *names: str) -> Request:
        """The same without some options."""
        kept = {name: value for name, value in self.options.items() if name not in names}
        return Request(self.messages, kept)


class Ask(NamedTuple):
    """Ask the model; the generator is sent its `Completion`."""

    llm: Model
    request: Request


class Wait(NamedTuple):
    """Go on after so many seconds, or when `until` is done if that is sooner."""

    seconds: float
    until: concurrent.futures.Future[None] | None = None


class Work(NamedTuple):
    """Do something that may take a while; the generator is sent what comes of it.

    It runs here, or in a thread where a loop must not wait; what can be awaited is.
    """

    do: Callable[[], Any]


Steps: TypeAlias = Generator[Ask | Wait | Work, Any, T]


def done(do: Callable[[], Any]) -> Steps[Any]:
    """The step that does it."""
    return (yield Work(do))


def asked(llm: Model, request: Request) -> Steps[Completion]:
    """The step that asks `llm`, with the type of what comes back."""
    reply: Completion = yield Ask(llm, request)
    return reply


def run(steps: Steps[T]) -> T:
    """Do `steps` in this thread."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = steps.send(value) if error is None else steps.throw(error)
        except StopIteration as end:
            result: T = end.value
            return result
        value, error = None, None
        try:
            if isinstance(step, Ask):
                value = call(*step)
            elif isinstance(step, Work):
                value = _waited(step.do())
            else:
                _pause(step)
        except BaseException as raised:  # noqa: BLE001 - raised again in the generator
            error = raised


async def arun(steps: Steps[T]) -> T:
    """Do `steps` in this task; cancelling it is raised in the generator, too."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = steps.send(value) if error is None else steps.throw(error)
        except StopIteration as end:
            result: T = end.value
            return result
        value, error = None, None
        try:
            if isinstance(step, Ask):
                value = await acall(*step)
            elif isinstance(step, Work):
                value = await asyncio.to_thread(step.do)
                value = await value if inspect.isawaitable(value) else value
            else:
                await _apause(step)
        except BaseException as raised:  # noqa: BLE001 - raised again in the generator
            error = raised


def call(llm: Model, request: Request) -> Completion:
    """Ask `llm` and wait; an asynchronous one runs on a loop in another thread."""
    reply = llm(messages=request.messages, **request.options)
    return completion_of(_waited(reply))


async def acall(llm: Model, request: Request) -> Completion:
    """Ask `llm` without keeping the loop from other work: a synchronous one runs in a thread."""
    own = getattr(llm, "acall", None)
    if own is None and not is_async(llm):
        return completion_of(
            await asyncio.to_thread(call, llm, Request(request.messages, request.options))
        )
    return completion_of(await (own or llm)(messages=request.messages, **request.options))


def is_async(llm: Model) -> bool:
    """Whether calling `llm` gives something to be awaited."""
    return inspect.iscoroutinefunction(llm) or inspect.iscoroutinefunction(
        getattr(llm, "__call__", None)  # noqa: B004 - an object's own, not whether it has one
    )


def _waited(value: Any) -> Any:
    return OWN_LOOP.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(reply: Any) -> Any:
    return await reply


def _pause(step: Wait) -> None:
    if step.until is None:
        time.sleep(step.seconds)
    else:
        concurrent.futures.wait([step.until], step.seconds)


async def _apause(step: Wait) -> None:
    if step.until is None:
        await asyncio.sleep(step.seconds)
        return
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not over.done():
            over.set_result(None)

    def end_from_anywhere(_: object) -> None:
        if threading.get_ident() == here:
            end()
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end)

    here = threading.get_ident()
    timer = loop.call_later(step.seconds, end)
    step.until.add_done_callback(end_from_anywhere)
    try:
        await over
    finally:
        timer.cancel()
