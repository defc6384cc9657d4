"""Inside a candidate's process: load its code once, then answer calls.

By the time this runs, the process is locked. Whatever the code does to this module it does to its
own process alone; the host trusts nothing that comes out.
"""

from __future__ import annotations

import faulthandler
import io
import os
import signal
import struct
import sys
from typing import Any

from opto.errors import NotPlainData
from opto.execution.candidate import Candidate
from opto.execution.standins import Customs, Post
from opto.execution.wire import decode, encode, frame

CHANNEL = 3
OUTPUT = 1
_MOST_TEXT = 2_000
_MOST_PRINTED = 1 << 16


class Printed(io.TextIOBase):
    """Standard output that stops taking more than the host would keep."""

    def __init__(self) -> None:
        self.left = _MOST_PRINTED

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, text: str, /) -> int:
        """Pass text on until there is enough of it."""
        raw = str(text)[: self.left].encode("utf-8", "replace")[: self.left]
        self.left -= len(raw)
        if raw:
            try:
                os.write(OUTPUT, raw)
            except BlockingIOError:
                self.left = 0
        return len(text)


# ---- answering -----------------------------------------------------------------------------------


class Wire:
    """Frames over descriptors.

    Args:
        source: to read from.
        sink: to write to.
    """

    def __init__(self, source: int = CHANNEL, sink: int = CHANNEL) -> None:
        self.source, self.sink = source, sink
        self.customs = Customs(Post(self))

    def fileno(self) -> int:
        """Return the descriptor to read from."""
        return self.source

    def send(self, value: object) -> None:
        """Send a message.

        Raises:
            NotPlainData: if it can't cross.
        """
        rest = memoryview(frame(encode(value, self.customs.outward)))
        while rest:
            rest = rest[os.write(self.sink, rest) :]

    def receive(self) -> Any:
        """Wait for a message."""
        (length,) = struct.unpack(">I", self._read(4))
        return decode(self._read(length), self.customs.inward)

    def _read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = os.read(self.source, count - len(parts))
            if not part:
                os._exit(0)
            parts += part
        return bytes(parts)


def serve(wire: Wire | None = None) -> None:
    """Answer the host until it is gone."""
    wire = wire or Wire()
    faulthandler.enable(OUTPUT, all_threads=False)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, OUTPUT, all_threads=False)
    candidate: list[Candidate] = []
    while True:
        message = wire.receive()
        if type(message) is tuple and type(message[0]) is int:
            continue  # an answer that nobody waits for any more
        printed = Printed()
        sys.stdout = sys.stderr = printed
        filename = message["filename"] if type(message) is dict else None
        try:
            result = _answered(message, candidate, wire.customs)
            try:
                wire.send(("ok", *result))
            except NotPlainData as error:
                text = f"the function returned what can't leave its process: {error}"
                raise TypeError(text) from None
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is reported
            wire.send(("error", *_described(error, filename, candidate)))


def _answered(message: Any, candidate: list[Candidate], customs: Customs) -> tuple[Any, bool]:
    if type(message) is dict:
        _reseed()
        candidate.append(Candidate(message, customs))
        return None, False
    arguments, instance, data, lessons = message
    if lessons or data:
        candidate[0].learn(lessons or (), data or {})
    return candidate[0].call(arguments, instance)


def complain(reason: str) -> None:
    """Tell the host, at its first message, that this process can't be confined."""
    wire = Wire()
    wire.receive()
    wire.send(("refused", reason))


def _reseed() -> None:
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # numpy's; `random` itself is done by fork


def _described(
    error: BaseException, filename: str | None, candidate: list[Candidate]
) -> tuple[Any, ...]:
    """Return what `opto.execution.conversation.Failure` holds, without what was printed."""
    kind = type(error)
    own = candidate[0].filename if candidate else filename
    line, function, entry = 0, "", error.__traceback__
    while entry is not None:
        if entry.tb_frame.f_code.co_filename == own:
            line, function = entry.tb_lineno, entry.tb_frame.f_code.co_name
        entry = entry.tb_next
    if isinstance(error, SyntaxError) and not line:
        line = error.lineno or 0
    name, module = str(kind.__name__)[:200], str(kind.__module__)[:200]
    return name, module, _text(error), _arguments(error), line, function, _host_error(error)


def _host_error(error: BaseException) -> int:
    """Return the number of the exception of the host that this one tells of, 0 for none."""
    try:
        key = error.__dict__.get("_host_error", 0)
    except BaseException:  # noqa: BLE001 - whatever it is, it is reported
        return 0
    return key if type(key) is int else 0


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException as other:  # noqa: BLE001 - whatever it is, it is reported
        return f"<unprintable: {type(other).__name__} in __str__>"
    return text[:_MOST_TEXT] if type(text) is str else "<unprintable>"


def _arguments(error: BaseException) -> tuple[Any, ...] | None:
    """Return the arguments of the exception if they are plain and small."""
    try:
        arguments = tuple(error.args)
        small = len(encode(arguments)) <= 2 * _MOST_TEXT
    except Exception:  # noqa: BLE001 - whatever it is, it is reported
        return None
    return arguments if small else None
