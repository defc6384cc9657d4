"""A candidate's process as the host sees it: ask it, wait no longer than allowed, end it."""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from opto.errors import MalformedMessage
from opto.execution.callers import Returned
from opto.execution.wire import decode, encode, frame, length_of

ASKING = frozenset({("call",), ("acall",), ("read",)})
_CHUNK = 1 << 16
_GRACE_MS = 200
_PLACE = re.compile(r'^  File "(<code of [^"]*>)", line (\d+) in (.*)$', re.MULTILINE)
_DUMP = re.compile(
    r"^(?:Fatal Python error: .*\n+)?(?:Current thread|Stack) .*\n(?:  .*\n)*"
    r"(?:\n?Extension modules.*\n?)?",
    re.MULTILINE,
)


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


class Process:
    """One locked process.

    Args:
        pid: its number as the fork server knows it.
        handle: a pidfd.
        channel: the connection that frames go over.
        output: what it prints comes out of here.
        status: tells how a process of that number ended.
    """

    def __init__(
        self,
        pid: int,
        handle: int,
        channel: int,
        output: int,
        status: Callable[[int], int | None],
    ) -> None:
        self.pid, self.handle, self.channel, self.output = pid, handle, channel, output
        self.status = status
        self.host = os.getpid()
        self.ended = False
        self.seconds = 0.0
        self.rest = b""
        for end in (channel, output):
            os.set_blocking(end, False)
        self.threads = _threads_of(handle)
        self.waiting = select.poll()
        self.waiting.register(channel, select.POLLIN)

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

    def _attend(self, clock: Clock, exchange: Exchange) -> None:
        """Send answers as they come, until the process says something or none is due."""
        waiting = select.poll()
        waiting.register(self.channel, select.POLLIN)
        waiting.register(exchange.waker, select.POLLIN)
        while exchange.pending and not self.rest:
            with clock.stopped():
                ready = {source for source, _ in waiting.poll()}
                answers = list(exchange.finished())
            for answer in answers:
                self._send(frame(answer), clock)
            if self.channel in ready:
                return

    def refusal(self, seconds: float) -> str:
        """Return why the process can't be confined; empty if it can. It runs nothing."""
        answer = self.ask(encode({"text": ""}), seconds)
        return answer.reason if isinstance(answer, Refused) else ""

    def is_ours(self) -> bool:
        """Whether this process started it, rather than one that this was forked from."""
        return self.host == os.getpid()

    def has_threads(self) -> bool:
        """Whether threads that the code started are still there."""
        # The link count of the folder is two and one for each thread.
        return self.threads is not None and os.fstat(self.threads).st_nlink > 3

    def _send(self, data: bytes, clock: Clock) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self.channel, rest) :]
            except BlockingIOError:
                waiting = select.poll()
                waiting.register(self.channel, select.POLLOUT)
                waiting.poll(clock.left() * 1000)

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

    def _read(self, clock: Clock) -> bytes:
        if not self.waiting.poll(clock.left() * 1000):
            raise TimeoutError
        part = os.read(self.channel, _CHUNK)
        if not part:
            raise EOFError
        return part

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

    def printed(self) -> str:
        """Return what was printed since the last time, without control sequences."""
        parts: list[bytes] = []
        with suppress(OSError):
            while len(parts) < 2 and (part := os.read(self.output, _CHUNK)):
                parts.append(part)
        return b"".join(parts)[:_CHUNK].decode("utf-8", "replace")

    # ---- ends ----

    def _stopped(self, seconds: float) -> Failure:
        """End a process that took too long; find out where it was."""
        printed = self.printed()
        with suppress(OSError):
            signal.pidfd_send_signal(self.handle, signal.SIGUSR1)
        waiting = select.poll()
        waiting.register(self.output, select.POLLIN)
        waiting.poll(_GRACE_MS)
        time.sleep(0.002)
        line, function = _place(self.printed())
        self.kill()
        text = f"the call took longer than {seconds:g} s and was stopped"
        return Failure("TimeoutError", "builtins", text, None, line, function, 0, printed)

    def _ended(self, why: str) -> Failure:
        """Say how the process ended by itself, or end it."""
        waiting = select.poll()
        waiting.register(self.handle, select.POLLIN)
        status = None
        if not why and waiting.poll(_GRACE_MS):
            status = self.status(self.pid)
        said = self.printed()
        self.kill()
        line, function = _place(said)
        text = why or f"the process ended: {_how(status)}"
        return Failure("ProcessEnded", "", text, None, line, function, 0, _DUMP.sub("", said))

    def stop(self) -> None:
        """End the process from another thread than the one that uses it, which will notice."""
        if not self.ended:
            with suppress(OSError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def kill(self) -> None:
        """End the process, whatever it does; safe to call again, and in a fork of this process."""
        if self.ended or not self.is_ours():
            return
        self.stop()
        self.ended = True
        for descriptor in (self.handle, self.channel, self.output, self.threads):
            if descriptor is not None:
                os.close(descriptor)


def _threads_of(handle: int) -> int | None:
    """Open the folder that lists the process's threads, if it can be found."""
    try:
        facts = Path(f"/proc/self/fdinfo/{handle}").read_text("ascii")
        pid = int(facts.partition("Pid:")[2].split()[0])
        return os.open(f"/proc/{pid}/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError, IndexError):
        return None


def _place(said: str) -> tuple[int, str]:
    """Return line and function of the code in a dump of its stack."""
    found = _PLACE.search(said)
    return (int(found[2]), found[3]) if found else (0, "")


def _how(status: int | None) -> str:
    if status is None:
        return "it closed its connection"
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return _SIGNALS.get(name, f"killed by {name}")
    return f"the code left it with exit status {os.WEXITSTATUS(status)}"


_SIGNALS = {
    "SIGSEGV": "it crashed (SIGSEGV: a bad memory access, or a recursion without end)",
    "SIGXCPU": "it used more processor time than allowed (SIGXCPU)",
    "SIGKILL": "it was killed (SIGKILL: too much processor time or memory)",
    "SIGXFSZ": "it wrote a larger file than allowed (SIGXFSZ)",
}
