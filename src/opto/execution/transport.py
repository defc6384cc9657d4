"""The seam for containers, micro-VMs and remote sandboxes: code runs wherever frames can be sent.

On the other side runs `python -m opto.execution.stdio`, which reads frames from its standard input
and writes frames to its standard output; what the code prints goes to standard error. It locks
nothing: that is the business of what it is started in.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, Protocol

from opto.errors import CannotIsolate
from opto.execution.conversation import Clock, Conversation, Exchange, Failure
from opto.execution.idle import Idle
from opto.execution.limits import Limits
from opto.execution.wire import frame

_CHUNK = 1 << 16
_PAUSE = 0.01


class Connection(Protocol):
    """A worker somewhere, of which each runs the code of one version and no other."""

    def send(self, data: bytes, seconds: float) -> None:
        """Send all of `data`.

        Raises:
            TimeoutError: if that takes longer than `seconds`.
            OSError: if the worker is gone.
        """
        ...

    def receive(self, seconds: float) -> bytes:
        """Return the next bytes, at least one; none if no more will come.

        Raises:
            TimeoutError: if none come within `seconds`.
            OSError: if the worker is gone.
        """
        ...

    def printed(self) -> bytes:
        """Return what the code printed since the last time, at most 64 KiB, without waiting."""
        ...

    def kill(self) -> None:
        """End the worker and all that it started, whatever it does.

        It is safe to call again, and from another thread, whose `receive` then ends.
        """
        ...

    def close(self) -> None:
        """Let go of what is held here; nothing else is called after it."""
        ...


class Transport(Protocol):
    """Starts workers; hand one to ``Policy("isolated", transport=...)``."""

    def start(self, limits: Limits) -> Connection:
        """Start a worker.

        Args:
            limits: what it may use: those of memory and files are for the transport to enforce;
                that of time is enforced by killing it.

        Raises:
            OSError: if none can be had.
        """
        ...


class Remote(Conversation):
    """A worker behind a transport.

    Args:
        connection: to the worker.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection

    def _send(self, data: bytes, clock: Clock) -> None:
        self.connection.send(data, clock.left())

    def _read(self, clock: Clock) -> bytes:
        part = self.connection.receive(clock.left())
        if not part:
            raise EOFError
        return part

    def _attend(self, clock: Clock, exchange: Exchange) -> None:
        while exchange.pending and not self.rest:
            with clock.stopped():
                answers = list(exchange.finished())
            for answer in answers:
                self._send(frame(answer), clock)
            with clock.stopped(), suppress(TimeoutError):
                self.rest = self.connection.receive(_PAUSE)
                if not self.rest:
                    raise EOFError

    def _stopped(self, seconds: float) -> Failure:
        printed = self.printed()
        self.kill()
        text = f"the call took longer than {seconds:g} s and was stopped"
        return Failure("TimeoutError", "builtins", text, None, 0, "", 0, printed)

    def _ended(self, why: str) -> Failure:
        printed = self.printed()
        self.kill()
        text = why or "the process ended: it closed its connection"
        return Failure("ProcessEnded", "", text, None, 0, "", 0, printed)

    def printed(self) -> str:
        """Return what was printed since the last time."""
        return self.connection.printed()[:_CHUNK].decode("utf-8", "replace")

    def has_threads(self) -> bool:
        """Say no: one can't tell from here."""
        return False

    def stop(self) -> None:
        """End the worker from another thread than the one that uses it, which will notice."""
        self.connection.kill()

    def kill(self) -> None:
        """End the worker."""
        if not self.ended and self.is_ours():
            self.ended = True
            self.connection.kill()
            self.connection.close()


# ---- a program ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """Workers that a command starts, such as ``docker run``; for systems with `select.poll`.

    Attributes:
        command: with its arguments; ``{id}`` stands for a name that no other worker has.
        cleanup: a command that ends what killing the first one leaves, with the same ``{id}``.
        environment: of both; nothing of this process's environment is handed on but ``PATH``.
    """

    command: tuple[str, ...]
    cleanup: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    def start(self, limits: Limits) -> Connection:
        """Start a worker; its limits are for the command to set."""
        del limits
        name = f"opto-{uuid.uuid4().hex}"
        environment = {"PATH": os.environ.get("PATH", os.defpath), **self.environment}
        end = _named(self.cleanup, name)
        return _Program(_named(self.command, name), end, environment)


def _named(command: Sequence[str], name: str) -> list[str]:
    return [part.replace("{id}", name) for part in command]


class _Program:
    def __init__(self, start: list[str], end: list[str], environment: Mapping[str, str]) -> None:
        self.end, self.environment = end, environment
        self.process = subprocess.Popen(  # noqa: S603 - the user's command
            start,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
        )
        self.ended = False
        self.lock = threading.Lock()
        for file in self._files():
            os.set_blocking(file.fileno(), False)

    def _files(self) -> list[IO[bytes]]:
        files = (self.process.stdin, self.process.stdout, self.process.stderr)
        return [file for file in files if file is not None]

    def send(self, data: bytes, seconds: float) -> None:
        clock, rest = Clock(seconds), memoryview(data)
        sink = self._files()[0].fileno()
        while rest:
            try:
                rest = rest[os.write(sink, rest) :]
            except BlockingIOError:
                _wait(sink, select.POLLOUT, clock.left())

    def receive(self, seconds: float) -> bytes:
        source = self._files()[1].fileno()
        if not _wait(source, select.POLLIN, seconds):
            raise TimeoutError
        return os.read(source, _CHUNK)

    def printed(self) -> bytes:
        try:
            return os.read(self._files()[2].fileno(), _CHUNK)
        except (OSError, ValueError):  # nothing there, or closed
            return b""

    def kill(self) -> None:
        with self.lock:
            if self.ended:
                return
            self.ended = True
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            if self.end:
                subprocess.run(  # noqa: S603 - the user's command
                    self.end, env=dict(self.environment), capture_output=True, check=False
                )

    def close(self) -> None:
        for file in self._files():
            with suppress(OSError):
                file.close()


def _wait(descriptor: int, event: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, event)
    return bool(waiting.poll(max(seconds, 0.0) * 1000))


class Fleet(Idle):
    """The workers of one transport.

    Args:
        transport: starts them.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self.transport = transport
        atexit.register(self.end_all)

    def spawn(self, limits: Limits, preload: Iterable[str] = ()) -> Remote:
        """Return a new worker.

        Raises:
            CannotIsolate: if the transport has none.
        """
        del preload  # a worker imports what its code needs
        try:
            return Remote(self.transport.start(limits))
        except OSError as error:
            message = f"the transport of the policy starts no worker: {error}"
            raise CannotIsolate(message, by_machine=True) from error


@lru_cache(maxsize=8)
def _fleet(transport: Transport, host: int) -> Fleet:
    del host  # a fork of this process must not speak through its connections
    return Fleet(transport)


def fleet(transport: Transport) -> Fleet:
    """Return this process's workers of a transport, which has to be hashable."""
    return _fleet(transport, os.getpid())  # type: ignore[arg-type]  # as said
