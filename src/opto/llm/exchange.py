"""One HTTP exchange: bytes out; back comes an `Answer`, or the `ModelError` that it amounts to."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from opto.errors import BadRequest, Disconnected, ModelError, UsageError
from opto.llm.wire import Answer

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 15.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ANY_ZLIB = 47  # zlib's code for "gzip or deflate, whichever it is"


class Exchange:
    """Posts below one URL over connections that are kept; the HTTP library is loaded at first use.

    All its coroutines must run on one event loop. A copy or a pickle holds no connection.
    """

    def __init__(self, url: str, *, max_bytes: int) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            message = f"a base URL begins with http:// or https:// and names a host; given: {url!r}"
            raise UsageError(message)
        self.url, self.max_bytes = url, max_bytes
        self._client: httpx2.AsyncClient | None = None

    async def post(
        self, body: bytes, headers: Mapping[str, str], path: str = ""
    ) -> Answer | ModelError:
        """Post `body` to `path`; the deadline is the caller's affair (``asyncio.wait_for``)."""
        client = await self.open()
        library = http_library()
        try:
            url = f"{self.url}{path}"
            async with client.stream("POST", url, content=body, headers=headers) as response:
                return await self._read(response)
        except library.InvalidURL as error:
            return BadRequest(f"the URL can't be used: {error}")
        except library.ConnectTimeout:
            return Disconnected(f"no connection within {CONNECT_SECONDS:g} s")
        except (library.HTTPError, OSError) as error:
            return Disconnected(f"the connection failed: {type(error).__name__}: {error}")

    async def open(self) -> httpx2.AsyncClient:
        """The client; to make it ahead keeps that time out of what is measured of the server."""
        if self._client is None:  # in a thread: it takes a while, and others are waiting
            made = await asyncio.to_thread(_client, self.url)
            if not self.connected:  # another call may have made it meanwhile
                self._client = made
        return cast("httpx2.AsyncClient", self._client)

    @property
    def connected(self) -> bool:
        """Whether it may hold open connections."""
        return self._client is not None

    async def close(self) -> None:
        """Close the connections; the next post opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _read(self, response: httpx2.Response) -> Answer:
        body = _Body(self.max_bytes, response.headers.get("content-encoding", ""))
        async for chunk in response.aiter_raw():
            if not body.take(chunk):
                break
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, bytes(body.bytes), headers, cut=body.full)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}


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


def http_library() -> Any:
    """The HTTP library, loaded when it is first needed."""
    import httpx2  # noqa: PLC0415 - 100 ms of import that `import opto.llm` must not cost

    return httpx2


def _without_headers(record: logging.LogRecord) -> bool:
    """Keep answers' headers out of debug logs: some providers echo keys in them."""
    return "receive_response_headers.complete" not in record.getMessage()


def _client(url: str) -> httpx2.AsyncClient:
    library = http_library()
    logging.getLogger("httpcore2.http11").addFilter(_without_headers)
    near = urlsplit(url).hostname in LOOPBACK
    client: httpx2.AsyncClient = library.AsyncClient(
        timeout=library.Timeout(None, connect=CONNECT_SECONDS),
        limits=library.Limits(max_connections=None, max_keepalive_connections=100),
        trust_env=not near,
    )
    return client
