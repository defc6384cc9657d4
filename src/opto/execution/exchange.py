"""What one call of code elsewhere may ask of this process, and the answers."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, Protocol

from opto.errors import ExecutionError, MalformedMessage, NotPlainData
from opto.execution.capabilities import Granted, Space, call, is_function
from opto.execution.parts import Shape, built, parts_of
from opto.execution.wire import encode
from opto.trace.core import Node

_MOST_TEXT = 2_000
DEEPEST = 16
_numbers = itertools.count(
    1
)  # never the same twice: what is kept from an earlier call means nothing
DEPTH: ContextVar[int] = ContextVar("opto_calls_inside_calls", default=0)


class Classes(Protocol):
    """The classes that both ends know by number."""

    def number_of(self, kind: type) -> int | None:
        """Return the number of a class; None if its instances can't cross."""
        ...

    def known(self, number: int) -> tuple[type, Shape]:
        """Return the class of a number."""
        ...


class Desk:
    """Things of this process that have numbers as long as the code's data hold them."""

    def __init__(self, classes: Classes) -> None:
        self.classes = classes
        self.things: dict[int, Any] = {}
        self.last = 0
        self._used: set[int] = set()

    def number_of(self, thing: Any) -> int:
        """Return the number of a thing; below zero."""
        for number, known in self.things.items():
            if known is thing or (type(known) is Granted and known == thing):
                self._used.add(number)
                return number
        self.last -= 1
        self.things[self.last] = thing
        self._used.add(self.last)
        return self.last

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Forget, after the block, what got no number in it: a graph must not live by this."""
        self._used.clear()
        yield
        self.things = {n: thing for n, thing in self.things.items() if n in self._used}

    def plain(self, value: Any) -> list[Any] | None:
        """Return what stands for `value` where no functions are given."""
        return None if is_function(value) else self.outward(value)

    def outward(self, value: Any) -> list[Any] | None:
        """Return what stands for `value`."""
        return stands_for(value, self.number_of, self.classes)


def stands_for(value: Any, number_of: Callable[[Any], int], classes: Classes) -> list[Any] | None:
    """Return what stands for a value that is no plain data; None if nothing can."""
    kind = type(value)
    if kind is Space:
        return ["space", dict(value.values)]
    if isinstance(value, Node):
        return ["node", number_of(value)]
    if is_function(value):
        plain = value.function if kind is Granted else value
        awaited = inspect.iscoroutinefunction(getattr(plain, "_fun", plain))
        name = str(getattr(plain, "__name__", type(plain).__name__))
        return ["function", number_of(value), name, awaited]
    number = classes.number_of(kind)
    if number is None:
        return None
    return ["made", number, *parts_of(value, classes.known(number)[1])]


def told_of(error: BaseException) -> BaseException:
    """Return what code elsewhere is told of: not that it was traced here, but what happened."""
    cause = error.__cause__ if isinstance(error, ExecutionError) else None
    return cause or error


class Exchange:
    """One call's dealings with this process.

    Args:
        desk: what has numbers in all calls.
        most: how many calls back there may be.
        loop: where coroutines run; None to run them in a thread of their own.
    """

    def __init__(self, desk: Desk, most: int, loop: asyncio.AbstractEventLoop | None) -> None:
        self.desk, self.most, self.loop = desk, most, loop
        self.count = self.pending = 0
        self.things: dict[int, Any] = {}
        self.fixed: dict[int, Any] = {}  # what the code's data refer to in this call
        self.numbers: dict[int, int] = {}
        self.errors: dict[int, BaseException] = {}
        self.done: deque[tuple[int, Future[Any]]] = deque()
        self.running: set[Future[Any]] = set()
        self.pipe: tuple[int, int] | None = None
        self.lock = threading.Lock()  # nobody writes into a descriptor that was closed
        self.depth = DEPTH.get()
        if self.depth >= DEEPEST:
            message = f"calls back to the host nest deeper than {DEEPEST}"
            raise RecursionError(message)

    # ---- values ----

    def _number_of(self, thing: Any) -> int:
        number = self.numbers.get(id(thing))
        if number is None:
            number = self.numbers[id(thing)] = next(_numbers)
            self.things[number] = thing
        return number

    def outward(self, value: Any) -> list[Any] | None:
        """Return what stands for `value` on its way out."""
        return stands_for(value, self._number_of, self.desk.classes)

    def plain(self, value: Any) -> list[Any] | None:
        """Return what stands for `value` where no functions are given."""
        return None if is_function(value) else self.outward(value)

    def inward(self, items: list[Any]) -> Any:
        """Return what the other end means."""
        match items:
            case ["ref", int(number)]:
                found = self._thing(number)
                return found.function if type(found) is Granted else found
            case ["made", int(number), *parts]:
                kind, shape = self.desk.classes.known(number)
                return built(kind, shape, parts)
            case _:
                message = "something that wasn't given"
                raise MalformedMessage(message)

    def _thing(self, number: int) -> Any:
        if number in self.fixed:
            return self.fixed[number]
        if number not in self.things:
            message = "it belongs to an earlier call"
            raise MalformedMessage(message)
        return self.things[number]

    # ---- answers ----

    def answer(self, message: tuple[Any, ...]) -> bytes | None:
        """Do what is asked; return the answer, or None if it comes later.

        Raises:
            MalformedMessage: if it is nothing that can be asked.
        """
        match message:
            case ("read", int(key), int(number)):
                node = self._thing(number)
                if isinstance(node, Node):
                    return self._value(key, node.data)
            case (("call" | "acall") as way, int(key), int(number), tuple(args), dict(kwargs)):
                if all(type(name) is str for name in kwargs):
                    return self._call(way, key, self._thing(number), args, kwargs)
            case _:
                pass
        text = "a request of no known shape"
        raise MalformedMessage(text)

    def _call(
        self, way: str, key: int, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bytes | None:
        if not is_function(thing):
            text = "a call of what is no function"
            raise MalformedMessage(text)
        self.count += 1
        token = DEPTH.set(self.depth + 1)
        try:
            if self.count > self.most:
                text = f"the call made more than {self.most} calls back to the host"
                raise RuntimeError(text)
            made = call(thing, way, args, kwargs)
            if inspect.iscoroutine(made):
                self._begin(key, made)
                return None
        except Exception as error:  # noqa: BLE001 - told to the caller, raised again if it passes it on
            return self._raised(key, error)
        finally:
            DEPTH.reset(token)
        return self._value(key, made)

    def _value(self, key: int, value: Any) -> bytes:
        try:
            return encode((key, "value", value), self.outward)
        except NotPlainData as error:
            text = f"what the host's function returned can't be given to this process: {error}"
            return self._raised(key, TypeError(text))

    def _raised(self, key: int, error: BaseException) -> bytes:
        self.errors[key] = error
        told = told_of(error)
        kind, text = type(told), str(told)[:_MOST_TEXT]
        parts = (key, kind.__name__, kind.__module__, text)
        try:
            return encode((parts[0], "raise", *parts, told.args))
        except NotPlainData:
            return encode((parts[0], "raise", *parts, None))

    # ---- coroutines ----

    @property
    def waker(self) -> int:
        """A descriptor that becomes readable when an answer has come."""
        return self.pipe[0] if self.pipe else -1

    def _begin(self, key: int, work: Coroutine[Any, Any, Any]) -> None:
        """Start a coroutine; its answer is sent when it is done."""
        if self.pipe is None:
            self.pipe = os.pipe()
            for end in self.pipe:
                os.set_blocking(end, False)
        if self.loop is not None:
            future = asyncio.run_coroutine_threadsafe(work, self.loop)
        else:
            pool = ThreadPoolExecutor(1)
            future = pool.submit(copy_context().run, asyncio.run, work)
            pool.shutdown(wait=False)
        self.pending += 1
        self.running.add(future)
        future.add_done_callback(lambda made: self._ended(key, made))

    def _ended(self, key: int, future: Future[Any]) -> None:
        with self.lock:
            self.done.append((key, future))
            if self.pipe is not None:
                try:
                    os.write(self.pipe[1], b"!")
                except BlockingIOError:
                    return  # there is enough in it to be noticed

    def finished(self) -> Iterator[bytes]:
        """Yield the answers that came since the last time."""
        if self.pipe is not None:
            try:
                os.read(self.pipe[0], 4096)
            except BlockingIOError:
                return
        while self.done:
            key, future = self.done.popleft()
            self.pending -= 1
            self.running.discard(future)
            try:
                made = future.result()
            except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - as above
                yield self._raised(key, error)
            else:
                yield self._value(key, made)

    def close(self) -> None:
        """Give up what still runs, and forget everything."""
        for future in self.running:
            future.cancel()
        with self.lock:
            for end in self.pipe or ():
                os.close(end)
            self.pipe = None
        self.things.clear()
