"""What is said between the host and a process with a candidate's code, whatever carries it."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from opto.errors import MalformedMessage
from opto.execution.callers import Returned
from opto.execution.wire import decode, encode, frame, length_of

ASKING = frozenset({("call",), ("acall",), ("read",)})


class Failure(NamedTuple):
    """What went wrong inside, in plain words; all of it is text that nobody vouches for.

    Attributes:
        kind: name of the exception's type.
        module: the module of the type.
        text: its text.
        arguments: its arguments if they are plain and small.
        line: the line of the code; 0 if unknown.
        function: the function that the line is in.
        host_error: number of the exception of the host that it passed on, 0 for none.
        printed: what the code printed before.
    """

    kind: str
    module: str
    text: str
    arguments: tuple[Any, ...] | None
    line: int
    function: str
    host_error: int = 0
    printed: str = ""


class Refused(NamedTuple):
    """The process could not be confined; nothing was run."""

    reason: str


class Exchange(Protocol):
    """Does on the host what a process asks for; see `opto.execution.exchange`."""

    @property
    def pending(self) -> int:
        """How many answers come later."""
        ...

    @property
    def waker(self) -> int:
        """A descriptor that becomes readable when one of those has come."""
        ...

    def inward(self, items: list[Any]) -> Any:
        """Return what the process means by what is no plain data."""
        ...

    def answer(self, message: tuple[Any, ...]) -> bytes | None:
        """Do what is asked; return the answer, or None if it comes later."""
        ...

    def finished(self) -> Iterator[bytes]:
        """Yield the answers that have come."""
        ...


class Clock:
    """How much time a call has left; it can be stopped.

    Args:
        seconds: how much it has.
    """

    def __init__(self, seconds: float) -> None:
        self.begun = time.monotonic()
        self.until = self.begun + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: if none are.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def spent(self) -> float:
        """Return the seconds that it ran."""
        return time.monotonic() - self.begun

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop it inside the block."""
        stopped = time.monotonic()
        try:
            yield
        finally:
            passed = time.monotonic() - stopped
            self.until += passed
            self.begun += passed


class Conversation(ABC):
    """One process with a candidate's code in it, as the host sees it."""

    def __init__(self) -> None:
        self.host = os.getpid()
        self.ended = False
        self.seconds = 0.0
        self.rest = b""

    @abstractmethod
    def _send(self, data: bytes, clock: Clock) -> None:
        """Send bytes; raises `TimeoutError`, or `OSError` if nobody takes them."""

    @abstractmethod
    def _read(self, clock: Clock) -> bytes:
        """Wait for bytes; raises `TimeoutError`, or `EOFError` if no more come."""

    @abstractmethod
    def _attend(self, clock: Clock, exchange: Exchange) -> None:
        """Send answers as they come, until the process says something or none is due."""

    @abstractmethod
    def _stopped(self, seconds: float) -> Failure:
        """End a process that took too long; say where it was, if that is known."""

    @abstractmethod
    def _ended(self, why: str) -> Failure:
        """End a process that doesn't answer properly; say why, or how it ended by itself."""

    @abstractmethod
    def printed(self) -> str:
        """Return what was printed since the last time."""

    @abstractmethod
    def has_threads(self) -> bool:
        """Whether threads that the code started are still there, as far as one can tell."""

    @abstractmethod
    def stop(self) -> None:
        """End the process from another thread than the one that uses it, which will notice."""

    @abstractmethod
    def kill(self) -> None:
        """End the process, whatever it does; safe to call again, and in a fork of this process."""

    def ask(
        self, payload: bytes, seconds: float, exchange: Exchange | None = None
    ) -> Returned | Failure | Refused:
        """Send a message and return the answer; end the process unless that is a proper one.

        Args:
            payload: the message.
            seconds: how long it may take, not counting what the host does meanwhile.
            exchange: answers what the process asks of the host.
        """
        clock = Clock(seconds)
        try:
            self._send(frame(payload), clock)
            answer = self._answer(self._message(clock, exchange))
            if self.rest:
                raise MalformedMessage(f"{len(self.rest)} bytes too many")
        except TimeoutError:
            return self._stopped(seconds)
        except MalformedMessage as error:
            return self._ended(f"it answered with what is no message: {error}")
        except (EOFError, OSError):
            return self._ended("")
        self.seconds += clock.spent()
        printed = self.printed()
        return answer._replace(printed=printed) if isinstance(answer, Failure) else answer

    def _message(self, clock: Clock, exchange: Exchange | None) -> Any:
        """Return the answer; do what the process asks for before it."""
        if exchange is None:
            return decode(self._frame(clock))
        while True:
            if exchange.pending:
                self._attend(clock, exchange)
            message = decode(self._frame(clock), exchange.inward)
            if type(message) is not tuple or message[:1] not in ASKING:
                return message
            with clock.stopped():
                answer = exchange.answer(message)
            if answer is not None:
                self._send(frame(answer), clock)

    def refusal(self, seconds: float) -> str:
        """Return why the process can't be confined; empty if it can. It runs nothing."""
        answer = self.ask(encode({"text": ""}), seconds)
        return answer.reason if isinstance(answer, Refused) else ""

    def is_ours(self) -> bool:
        """Whether this process started it, rather than one that this was forked from."""
        return self.host == os.getpid()

    def _frame(self, clock: Clock) -> bytes:
        """Return the payload of the next frame; what was read beyond it is kept."""
        read = self.rest or self._read(clock)
        while len(read) < 4:
            read += self._read(clock)
        end = length_of(read[:4]) + 4
        parts, size = [read], len(read)
        while size < end:
            part = self._read(clock)
            parts.append(part)
            size += len(part)
        whole = b"".join(parts)
        self.rest = whole[end:]
        return whole[4:end]

    def _answer(self, message: Any) -> Returned | Failure | Refused:
        match message:
            case ("ok", value, bool(drained)):
                return Returned(value, drained)
            case ("refused", str(reason)):
                return Refused(reason)
            case (
                "error",
                str(kind),
                str(module),
                str(text),
                (tuple() | None) as arguments,
                int(line),
                str(function),
                int(key),
            ):
                return Failure(kind, module, text, arguments, line, function, key)
            case _:
                message = "an answer of no known shape"
                raise MalformedMessage(message)
