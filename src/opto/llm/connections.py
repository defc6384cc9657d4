"""The connections to one host: several clients of the HTTP library, each with a few of them.

For each request the library looks through all connections of its client, which at hundreds takes
longer than the rest of the request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 15.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_EACH = 8  # requests that one client sends at the same time
_IDLE_SECONDS = 10.0


def http_library() -> Any:
    """The HTTP library, loaded when it is first needed."""
    import httpx2  # noqa: PLC0415 - 100 ms of import that `import opto.llm` must not cost

    return httpx2


class _Few:
    """A client and how many requests it is sending."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.sending, self.used = 0, time.monotonic()


class Connections:
    """Clients for one URL; all its methods are for one event loop."""

    def __init__(self, url: str) -> None:
        self._near = urlsplit(url).hostname in LOOPBACK
        self._verify: Any = False
        self._secure = urlsplit(url).scheme == "https"
        self._clients: list[_Few] = []

    async def open(self) -> None:
        """Make the first client, in a thread: loading certificates takes a while."""
        self._verify = await asyncio.to_thread(self._prepared)
        if not self._clients:  # another call may have made one meanwhile
            self._clients.append(self._few())

    @contextmanager
    def one(self) -> Iterator[httpx2.AsyncClient]:
        """A client for one request."""
        few = next((few for few in self._clients if few.sending < _EACH), None)
        if few is None:
            few = self._few()
            self._clients.append(few)
        few.sending += 1
        try:
            yield few.client
        finally:
            few.sending -= 1
            few.used = time.monotonic()

    async def trim(self) -> None:
        """Close what was needed for a rush that is over."""
        now = time.monotonic()
        while len(self._clients) > 1:
            last = self._clients[-1]
            if last.sending or now - last.used < _IDLE_SECONDS:
                return
            self._clients.pop()
            await last.client.aclose()

    async def close(self) -> None:
        """Close all."""
        clients, self._clients = self._clients, []
        for few in clients:
            await few.client.aclose()

    def _prepared(self) -> Any:
        library = http_library()
        logging.getLogger("httpcore2.http11").addFilter(_without_headers)
        return library.create_ssl_context(trust_env=not self._near) if self._secure else False

    def _few(self) -> _Few:
        library = http_library()
        client: httpx2.AsyncClient = library.AsyncClient(
            timeout=library.Timeout(None, connect=CONNECT_SECONDS),
            limits=library.Limits(max_connections=None, max_keepalive_connections=_EACH),
            trust_env=not self._near,
            verify=self._verify,
        )
        return _Few(client)


def _without_headers(record: logging.LogRecord) -> bool:
    """Keep answers' headers out of debug logs: some providers echo keys in them."""
    return "receive_response_headers.complete" not in record.getMessage()
