"""A streamed answer of a provider: bytes to events, events to pieces, pieces to a completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Protocol

from opto.errors import BadResponse, Disconnected, ModelError
from opto.llm.base import Completion
from opto.llm.sse import Event, EventReader
from opto.llm.stream import Piece, Sink
from opto.llm.wire import Answer


class Assembly(Protocol):
    """Puts one answer together; each protocol has its own."""

    @property
    def ended(self) -> bool:
        """Whether the event that ends an answer has come."""
        ...

    def take(self, event: str, data: str) -> Iterable[Piece]:
        """The pieces in an event of that name (mostly "") and data; raises `ModelError`."""
        ...

    def completion(self) -> Completion | ModelError:
        """The whole, when no more will come; `Disconnected` if it isn't whole."""
        ...


class Reader:
    """Hears an answer and gives its pieces to a sink.

    Args:
        sink: where the pieces go.
        silence: seconds without a byte after which the answer is given up.
        assembly: makes the protocol's assembly for an answer with that head.
    """

    def __init__(self, sink: Sink, silence: float, assembly: Callable[[Answer], Assembly]) -> None:
        self.silence = silence
        self._sink, self._make = sink, assembly
        self._events = EventReader()
        self._assembly: Assembly | None = None

    def begin(self, head: Answer) -> bool:
        """Whether what follows `head` is a stream of events."""
        kind = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        if head.status != HTTPStatus.OK or kind != "text/event-stream":
            return False
        self._assembly = self._make(head)
        return True

    def take(self, chunk: bytes) -> bool:
        """Read on; False at the answer's end."""
        return not any(self._one(event) for event in self._events.take(chunk))

    def outcome(self, answer: Answer) -> Completion | ModelError | None:
        """The completion or the error, when no more will come; None if it wasn't streamed."""
        assembly = self._assembly
        if assembly is None or answer.cut:
            return None
        event = None if assembly.ended else self._events.rest()
        try:
            if event is not None:
                self._one(event)
        except BadResponse:
            return Disconnected("the stream ended in the middle of an event", status=answer.status)
        except ModelError as error:
            return error
        return assembly.completion()

    def _one(self, event: Event) -> bool:
        assembly = self._assembly
        if assembly is None:
            return True
        for piece in assembly.take(*event):
            self._sink.give(piece.text, piece.index)
        return assembly.ended
