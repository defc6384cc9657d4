"""Inside a candidate's process: what stands for things that stay on the host.

A stand-in holds a number. The host knows what the number means, and does with it what it allows.
"""

from __future__ import annotations

import builtins
import operator
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from opto.errors import MalformedMessage
from opto.execution.parts import Shape, built, parts_of, shape_of

if TYPE_CHECKING:
    import asyncio


class Channel(Protocol):
    """What frames go over."""

    def fileno(self) -> int:
        """Return the descriptor to read from."""
        ...

    def send(self, value: object) -> None:
        """Send a message."""
        ...

    def receive(self) -> Any:
        """Wait for a message."""
        ...


class Post:
    """Calls to the host and their answers, matched by number.

    Threads wait for their own answer one after the other; tasks wait together.

    Args:
        channel: what frames go over.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.reading, self.sending = threading.Lock(), threading.Lock()
        self.last = 0
        self.answers: dict[int, Any] = {}
        self.tasks: dict[int, asyncio.Future[Any]] = {}
        self.unheard: asyncio.AbstractEventLoop | None = None

    def _sent(self, *message: Any) -> int:
        with self.sending:
            self.last += 1
            self.channel.send((message[0], self.last, *message[1:]))
            return self.last

    def ask(self, *message: Any) -> Any:
        """Send a message and wait for its answer."""
        with self.reading:
            key = self._sent(*message)
            while key not in self.answers:
                self._take()
            answer = self.answers.pop(key)
        if self.unheard is not None:
            loop, self.unheard = self.unheard, None
            loop.call_soon_threadsafe(self._listen, loop)
        return _opened(answer)

    async def ask_async(self, *message: Any) -> Any:
        """Send a message and wait for its answer, while other tasks go on."""
        import asyncio  # noqa: PLC0415 - slow to load, and rarely needed

        loop = asyncio.get_running_loop()
        made: asyncio.Future[Any] = loop.create_future()
        with self.sending:
            self.last += 1
            key = self.last
            self.tasks[key] = made
            self.channel.send((message[0], key, *message[1:]))
        self._listen(loop)
        try:
            answer = await made
        finally:
            self.tasks.pop(key, None)
            if not self.tasks:
                loop.remove_reader(self.channel.fileno())
        return _opened(answer)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.tasks:
            loop.add_reader(self.channel.fileno(), self._hear, loop)

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.reading.acquire(blocking=False):
            loop.remove_reader(self.channel.fileno())  # a thread waits for an answer of its own
            self.unheard = loop
            return
        try:
            self._take()
        finally:
            self.reading.release()

    def _take(self) -> None:
        key, *answer = self.channel.receive()
        task = self.tasks.get(key)
        if task is None:
            self.answers[key] = answer
        else:
            task.get_loop().call_soon_threadsafe(_settle, task, answer)


def _settle(task: asyncio.Future[Any], answer: Any) -> None:
    if not task.done():
        task.set_result(answer)


def _opened(answer: Sequence[Any]) -> Any:
    """Return the value of an answer, or raise what it tells of."""
    if answer[0] == "value":
        return answer[1]
    _, key, kind, module, text, arguments = answer
    error = _exception(kind, module, text, arguments)
    error.__dict__["_host_error"] = key
    raise error


def _exception(kind: str, module: str, text: str, arguments: Any) -> BaseException:
    known = getattr(builtins, kind, None) if module == "builtins" else None
    if isinstance(known, type) and issubclass(known, Exception):
        for given in (arguments, (text,)):
            try:
                if given is not None:
                    return known(*given)
            except TypeError:
                continue
    made: type[Exception] = type(kind, (Exception,), {"__module__": module})
    return made(text)


# ---- what the code sees --------------------------------------------------------------------------


class HostFunction:
    """A function of the host: calling it sends the arguments there."""

    def __init__(self, post: Post, number: int, name: str, *, awaited: bool) -> None:
        self._post, self._number, self.__name__, self._awaited = post, number, name, awaited

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it and wait; a coroutine function is to be awaited."""
        message = ("call", self._number, args, kwargs)
        return self._post.ask_async(*message) if self._awaited else self._post.ask(*message)

    def acall(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method of that name, which models have."""
        return self._post.ask_async("acall", self._number, args, kwargs)

    def __repr__(self) -> str:
        return f"<{self.__name__}, which runs on the host>"


class HostNode:
    """A node of the host's graph: `data` is its value; operators work on that."""

    __slots__ = ("_known", "_number", "_post")
    _number: int

    def __init__(self, post: Post, number: int) -> None:
        fill = object.__setattr__
        fill(self, "_post", post)
        fill(self, "_number", number)
        fill(self, "_known", [])

    @property
    def data(self) -> Any:
        """The value, fetched when it is first wanted."""
        if not self._known:
            self._known.append(self._post.ask("read", self._number))
        return self._known[0]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.data, name)

    def __setattr__(self, name: str, _: Any) -> None:
        message = f"a node is read-only here; return what should change ({name!r})"
        raise AttributeError(message)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the value."""
        return self.data(*args, **kwargs)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

    def __hash__(self) -> int:
        return hash(self.data)

    def __format__(self, spec: str) -> str:
        return format(self.data, spec)


def value_of(item: Any) -> Any:
    """Return the value of a node, and anything else as it is."""
    return item.data if type(item) is HostNode else item


_UNARY = "abs neg pos invert len bool str repr int float complex index round reversed bytes"
_BINARY = "add sub mul truediv floordiv mod divmod pow matmul and or xor lshift rshift"
_COMPARING = "eq ne lt le gt ge getitem contains"


def _unary(name: str) -> Callable[..., Any]:
    plain = getattr(builtins, name, None) or getattr(operator, name)

    def act(self: HostNode, *rest: Any) -> Any:
        return plain(self.data, *rest)

    return act


def _binary(name: str) -> Callable[..., Any]:
    plain = getattr(builtins, name, None) or getattr(operator, f"__{name}__")

    def act(self: HostNode, other: Any, *rest: Any) -> Any:
        return plain(self.data, value_of(other), *rest)

    return act


def _reflected(name: str) -> Callable[..., Any]:
    plain = getattr(builtins, name, None) or getattr(operator, f"__{name}__")

    def act(self: HostNode, other: Any) -> Any:
        return plain(value_of(other), self.data)

    return act


for _name in _UNARY.split():
    setattr(HostNode, f"__{_name}__", _unary(_name))
for _name in _BINARY.split():
    setattr(HostNode, f"__{_name}__", _binary(_name))
    setattr(HostNode, f"__r{_name}__", _reflected(_name))
for _name in _COMPARING.split():
    setattr(HostNode, f"__{_name}__", _binary(_name))


# ---- what crosses --------------------------------------------------------------------------------


class Customs:
    """Says what stands for what is no plain data, both ways.

    Args:
        post: what stand-ins speak over.
    """

    def __init__(self, post: Post) -> None:
        self.post = post
        self.classes: dict[int, tuple[type, Shape]] = {}
        self.numbers: dict[type, int] = {}

    def know(self, number: int, kind: type) -> None:
        """Take note of a class that the host knows by that number."""
        self.classes[number] = (kind, shape_of(kind))
        self.numbers[kind] = number

    def outward(self, value: Any) -> list[Any] | None:
        """Return what stands for `value` on its way to the host."""
        kind = type(value)
        if kind is HostNode or kind is HostFunction:
            return ["ref", value._number]
        number = self.numbers.get(kind)
        if number is None:
            return None
        return ["made", number, *parts_of(value, self.classes[number][1])]

    def inward(self, items: list[Any]) -> Any:
        """Return what the host means."""
        match items:
            case ["node", int(number)]:
                return HostNode(self.post, number)
            case ["function", int(number), str(name), bool(awaited)]:
                return HostFunction(self.post, number, name, awaited=awaited)
            case ["space", dict(values)]:
                return types.SimpleNamespace(**values)
            case ["made", int(number), *parts]:
                kind, shape = self.classes[number]
                return built(kind, shape, parts)
            case _:
                message = "something that isn't known here"
                raise MalformedMessage(message)
