"""A candidate's process as the host sees it: ask it, wait no longer than allowed, end it."""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from opto.execution.conversation import Clock, Conversation, Exchange, Failure
from opto.execution.wire import frame

_CHUNK = 1 << 16
_GRACE_MS = 200
_PLACE = re.compile(r'^  File "(<code of [^"]*>)", line (\d+) in (.*)$', re.MULTILINE)
_DUMP = re.compile(
    r"^(?:Fatal Python error: .*\n+)?(?:Current thread|Stack) .*\n(?:  .*\n)*"
    r"(?:\n?Extension modules.*\n?)?",
    re.MULTILINE,
)


class Process(Conversation):
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
        super().__init__()
        self.status = status
        for end in (channel, output):
            os.set_blocking(end, False)
        self.threads = _threads_of(handle)
        self.waiting = select.poll()
        self.waiting.register(channel, select.POLLIN)

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

    def _read(self, clock: Clock) -> bytes:
        if not self.waiting.poll(clock.left() * 1000):
            raise TimeoutError
        part = os.read(self.channel, _CHUNK)
        if not part:
            raise EOFError
        return part

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
