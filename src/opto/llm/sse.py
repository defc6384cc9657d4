"""Server-sent events, read from bytes as they come (the format of streamed answers)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_MARK = b"\xef\xbb\xbf"
_END = re.compile(rb"\r\n|\n|\r")
_RETURN = ord("\r")


class Event(NamedTuple):
    """One event; `name` is "" if the server gave it none."""

    name: str
    data: str


class EventReader:
    """Events out of bytes, however those are cut into chunks."""

    def __init__(self) -> None:
        self._left = bytearray()
        self._searched = 0
        self._name, self._data = "", list[str]()
        self._begun = False

    def take(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes."""
        self._left += chunk
        while (line := self._line()) is not None:
            event = self._read(line)
            if event is not None:
                yield event

    def rest(self) -> Event | None:
        """The event that wasn't ended by an empty line when the bytes ended, if there is one."""
        self._read(bytes(self._left).rstrip(b"\r") or b":")
        self._left.clear()
        return self._read(b"")

    def _line(self) -> bytes | None:
        found = _END.search(self._left, self._searched)
        at, end = found.span() if found else (len(self._left), 0)
        if not found or (end == len(self._left) == at + 1 and self._left[at] == _RETURN):
            self._searched = at  # after a carriage return a line feed may follow
            return None
        line = bytes(self._left[:at])
        del self._left[:end]
        self._searched = 0
        if not self._begun:
            line, self._begun = line.removeprefix(_MARK), True
        return line

    def _read(self, line: bytes) -> Event | None:
        if not line:
            event = Event(self._name, "\n".join(self._data)) if self._data else None
            self._name, self._data = "", []
            return event
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        return None
