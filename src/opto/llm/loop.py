"""One event loop in one background thread, on which all HTTP of this process runs.

Synchronous callers wait for it, asynchronous ones await it. So deadlines and cancellation (Ctrl-C
included) are those of asyncio for both, name look-up included, and connections outlive the loops
of ``asyncio.run``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_GRACE = 5.0


class BackgroundLoop:
    """Starts its thread at the first use, and anew in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        os.register_at_fork(after_in_child=self._forget) if hasattr(
            os, "register_at_fork"
        ) else None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end; an interrupt here cancels it there before it is raised here."""
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
            raise

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` while the caller's own loop goes on; cancelling the caller cancels `work`."""
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start `work`."""
        return asyncio.run_coroutine_threadsafe(work, self._running())

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="opto-llm-http", daemon=True
                ).start()
            return self._loop

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._loop = None


HTTP_LOOP = BackgroundLoop()
