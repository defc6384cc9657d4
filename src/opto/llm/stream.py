"""Answers that are read while they are written.

A stream is an ordinary call with a `Sink` in a context variable: the back end gives pieces to it
and still returns the whole completion, so that accounts, limits, caches, fall-backs and spans see
one call. What a model doesn't give piece by piece (a cached answer, say) comes as one at the end.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeAlias

from opto.errors import BadResponse, UsageError
from opto.llm.base import ChatMessage, Completion
from opto.llm.loop import OWN_LOOP

_CLOSING_SECONDS = 5.0


@dataclass(frozen=True)
class Piece:
    """Some of the text of an answer; `index` tells which answer, if several were asked for."""

    text: str
    index: int = 0

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _End:
    """What follows the last piece."""

    outcome: Completion | BaseException


_Item: TypeAlias = "Piece | _End"
_Call: TypeAlias = Callable[[], Coroutine[Any, Any, Completion]]


class Sink:
    """Takes the pieces of one answer, from whatever thread."""

    def __init__(self, put: Callable[[_Item], object]) -> None:
        self._put = put
        self._said: dict[int, list[str]] = {}

    @property
    def given(self) -> bool:
        """Whether there is a piece already, so that nobody else may be asked instead."""
        return bool(self._said)

    def give(self, text: str, index: int = 0) -> None:
        """Hand on a piece."""
        if text:
            self._said.setdefault(index, []).append(text)
            self._put(Piece(text, index))

    def end(self, outcome: Completion | BaseException) -> None:
        """Hand on what is left of the answer, and the end."""
        if isinstance(outcome, Completion):
            outcome = self._rest(outcome)
        self._put(_End(outcome))

    def _rest(self, reply: Completion) -> Completion | BaseException:
        for choice in reply.choices:
            said, whole = "".join(self._said.get(choice.index, ())), choice.message.content
            if not whole.startswith(said):
                message = (
                    "the model was asked again after some of its first answer had been read; what "
                    f"came was {said[:80]!r}…, the answer is {whole[:80]!r}…"
                )
                return BadResponse(message, model=reply.model)
            self.give(whole[len(said) :], choice.index)
        return reply


_SINK: ContextVar[Sink | None] = ContextVar("sink", default=None)


def sink() -> Sink | None:
    """Where a back end that is called now gives its pieces; None if nobody reads them."""
    return _SINK.get()


def pieces_given() -> bool:
    """Whether someone has read a piece of the answer already."""
    found = _SINK.get()
    return found is not None and found.given


@contextmanager
def unstreamed() -> Iterator[None]:
    """Keep the pieces of what is called inside to itself."""
    token = _SINK.set(None)
    try:
        yield
    finally:
        _SINK.reset(token)


class Stream(Iterator[Piece]):
    """The pieces of an answer; made by ``llm.stream(messages=[...])``.

    Errors are raised where the next piece is asked for. Leaving the stream (`close`, the end of a
    ``with`` block, or dropping it) ends the request.
    """

    def __init__(self, call: _Call) -> None:
        self._items: SimpleQueue[_Item] = SimpleQueue()
        self._ended = threading.Event()
        self._outcome: Completion | BaseException | None = None
        self._task = OWN_LOOP.run(_begun(call, Sink(self._items.put), self._ended.set))
        weakref.finalize(self, _cancel, self._task).atexit = False

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Piece:
        if self._outcome is not None:
            raise StopIteration
        try:
            item = self._items.get()
        except BaseException:
            self.close()
            raise
        if isinstance(item, Piece):
            return item
        self._outcome = item.outcome
        if isinstance(item.outcome, BaseException):
            raise item.outcome
        raise StopIteration

    def completion(self) -> Completion:
        """The whole answer, when the rest of it has come; the error if there is none."""
        for _ in self:
            pass
        return _completion(self._outcome)

    def close(self) -> None:
        """End the request and wait until it has ended, so that the accounts hold it."""
        if self._outcome is None:
            self._outcome = _left()
            _cancel(self._task)
            self._ended.wait(_CLOSING_SECONDS)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncStream(AsyncIterator[Piece]):
    """The pieces of an answer; made by ``llm.astream(messages=[...])`` in a task.

    As `Stream`, with ``async for``, ``async with`` and `aclose`. Cancelling the task that waits for
    a piece ends the request.
    """

    def __init__(self, call: _Call) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            message = "astream() needs a running event loop; use stream() where there is none"
            raise UsageError(message) from None
        items: asyncio.Queue[_Item] = asyncio.Queue()

        def put(item: _Item) -> None:
            with suppress(RuntimeError):  # the loop is closed, and with it all who might read
                loop.call_soon_threadsafe(items.put_nowait, item)

        self._items = items
        self._outcome: Completion | BaseException | None = None
        self._task = _start(call, Sink(put))
        weakref.finalize(self, _cancel, self._task).atexit = False

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> Piece:
        if self._outcome is not None:
            raise StopAsyncIteration
        try:
            item = await self._items.get()
        except BaseException:
            self._outcome = _left()
            self._task.cancel()
            raise
        if isinstance(item, Piece):
            return item
        self._outcome = item.outcome
        if isinstance(item.outcome, BaseException):
            raise item.outcome
        raise StopAsyncIteration

    async def completion(self) -> Completion:
        """The whole answer, when the rest of it has come; the error if there is none."""
        async for _ in self:
            pass
        return _completion(self._outcome)

    async def aclose(self) -> None:
        """End the request and wait until it has ended, so that the accounts hold it."""
        if self._outcome is None:
            self._outcome = _left()
            self._task.cancel()
            await asyncio.wait([self._task])

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Streaming:
    """Models whose answers can be read while they are written."""

    async def acall(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """Answer `messages`."""
        raise NotImplementedError

    def stream(self, messages: Sequence[ChatMessage], **options: Any) -> Stream:
        """Ask, and read the answer piece by piece.

        Args:
            messages: the conversation, system message first.
            options: those of the call.

        Example:
            >>> from opto.testing import ScriptedModel
            >>> pieces = ScriptedModel("eight legs").stream(messages=[])
            >>> [str(piece) for piece in pieces], pieces.completion().text
            (['eight ', 'legs'], 'eight legs')
        """
        return Stream(lambda: self.acall(messages, **options))

    def astream(self, messages: Sequence[ChatMessage], **options: Any) -> AsyncStream:
        """As `stream`, to be read with ``async for``; the request begins at once."""
        return AsyncStream(lambda: self.acall(messages, **options))


def _start(
    call: _Call, into: Sink, then: Callable[[], object] = lambda: None
) -> asyncio.Task[Completion]:
    token = _SINK.set(into)
    try:
        task = asyncio.get_running_loop().create_task(call())
    finally:
        _SINK.reset(token)

    def ended(done: asyncio.Task[Completion]) -> None:
        failed = asyncio.CancelledError() if done.cancelled() else done.exception()
        into.end(done.result() if failed is None else failed)
        then()

    task.add_done_callback(ended)
    return task


async def _begun(call: _Call, into: Sink, then: Callable[[], object]) -> asyncio.Task[Completion]:
    return _start(call, into, then)


def _cancel(task: asyncio.Task[Any]) -> None:
    with suppress(RuntimeError):  # its loop is closed, and it has ended with it
        task.get_loop().call_soon_threadsafe(task.cancel)


def _left() -> UsageError:
    return UsageError("the stream was left before the answer's end, so there is no completion")


def _completion(outcome: Completion | BaseException | None) -> Completion:
    if isinstance(outcome, Completion):
        return outcome
    raise _left() if outcome is None else outcome
