"""One HTTP exchange: bytes out; back comes an `Answer`, or the `ModelError` that it amounts to."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from opto.errors import BadRequest, Disconnected, ModelError, Timeout, UsageError
from opto.llm.connections import CONNECT_SECONDS, Connections, http_library
from opto.llm.wire import Answer

if TYPE_CHECKING:
    import httpx2

_LAST_WORD_SECONDS = 0.25
_ANY_ZLIB = 47  # zlib's code for "gzip or deflate, whichever it is"


class Events(Protocol):
    """Reads a streamed answer.

    Attributes:
        silence: seconds without a byte after which it is given up.
    """

    silence: float

    def begin(self, head: Answer) -> bool:
        """Whether what follows `head` is a stream."""
        ...

    def take(self, chunk: bytes) -> bool:
        """Read on; False at the answer's end. Raises `ModelError`."""
        ...


class Exchange:
    """Posts below one URL over connections that are kept; the HTTP library is loaded at first use.

    All its coroutines must run on one event loop. A copy or a pickle holds no connection.
    """

    def __init__(self, url: str, *, max_bytes: int) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            message = f"a base URL begins with http:// or https:// and names a host; given: {url!r}"
            raise UsageError(message)
        self.url, self.max_bytes = url, max_bytes
        self._connections: Connections | None = None

    async def post(
        self, body: bytes, headers: Mapping[str, str], path: str = "", events: Events | None = None
    ) -> Answer | ModelError:
        """Post `body` to `path` below the URL; the deadline is the caller's (`loop.within`).

        Args:
            body: what is sent.
            headers: with the key.
            path: begins with a slash.
            events: reads the answer as it comes, if that is a stream; else it is read whole.
        """
        connections = await self.open()
        await connections.trim()
        library = http_library()
        url, silence = f"{self.url}{path}", None if events is None else events.silence
        patience = library.Timeout(None, connect=CONNECT_SECONDS, read=silence)
        try:
            with connections.one() as client:
                sending = client.stream(
                    "POST", url, content=body, headers=headers, timeout=patience
                )
                async with sending as response:
                    return await self._read(response, events)
        except ModelError as error:
            return error
        except library.InvalidURL as error:
            return BadRequest(f"the URL can't be used: {error}")
        except library.ConnectTimeout:
            return Disconnected(f"no connection within {CONNECT_SECONDS:g} s")
        except library.ReadTimeout:
            return Timeout(f"no sign of life for {silence:g} s")
        except (library.HTTPError, OSError) as error:
            return Disconnected(f"the connection failed: {type(error).__name__}: {error}")

    async def open(self) -> Connections:
        """The connections; to open them ahead keeps that time out of what is measured."""
        connections = self._connections
        if connections is None:
            connections = Connections(self.url)
            await connections.open()
            if self._connections is None:  # another call may have opened them meanwhile
                self._connections = connections
        return self._connections or connections

    @property
    def connected(self) -> bool:
        """Whether it may hold open connections."""
        return self._connections is not None

    async def close(self) -> None:
        """Close the connections; the next post opens new ones."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()

    async def _read(self, response: httpx2.Response, events: Events | None) -> Answer:
        body = _Body(self.max_bytes, response.headers.get("content-encoding", ""))
        headers = {name.lower(): value for name, value in response.headers.items()}
        head = Answer(response.status_code, b"", headers)
        chunks = response.aiter_raw()
        if events is not None and events.begin(head):
            await _hear(chunks, body, events)
        else:
            async for chunk in chunks:
                if not body.take(chunk):
                    break
        return Answer(response.status_code, bytes(body.bytes), headers, cut=body.full)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connections": None}


async def _hear(chunks: AsyncIterator[bytes], body: _Body, events: Events) -> None:
    async for chunk in chunks:
        before = len(body.bytes)
        going_on = body.take(chunk)
        if not events.take(bytes(body.bytes[before:])):
            with suppress(asyncio.TimeoutError):  # the end of the body frees the connection
                await asyncio.wait_for(anext(chunks, b""), _LAST_WORD_SECONDS)
            return
        if not going_on:
            return


class _Body:
    """Bytes up to a limit, which also holds for what is decompressed."""

    def __init__(self, limit: int, encoding: str) -> None:
        self.bytes, self.full, self._limit = bytearray(), False, limit
        packed = encoding.strip().lower() in {"gzip", "x-gzip", "deflate"}
        self._inflate = zlib.decompressobj(_ANY_ZLIB) if packed else None

    def take(self, chunk: bytes) -> bool:
        """Add `chunk`; False if there is no room for all of it."""
        room = self._limit - len(self.bytes)
        if self._inflate is not None:
            try:
                chunk = self._inflate.decompress(chunk, room + 1)
            except zlib.error:
                self._inflate = None  # mislabelled: keep the bytes as they are
        self.full = len(chunk) > room
        self.bytes += chunk[:room]
        return not self.full
