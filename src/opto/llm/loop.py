"""Event loops in background threads: one on which all HTTP of this process runs, one for users.

Synchronous callers wait for it, asynchronous ones await it. So deadlines and cancellation (Ctrl-C
included) are those of asyncio for both, name look-up included, and connections outlive the loops
of ``asyncio.run``.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from opto.errors import UsageError

T = TypeVar("T")
_GRACE_SECONDS = 1.0


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; raises ``asyncio.TimeoutError`` when the seconds are over, and ends it."""
    if sys.version_info < (3, 11):
        return await asyncio.wait_for(work, seconds)
    async with asyncio.timeout(seconds):  # needs no task of its own
        return await work


class BackgroundLoop:
    """Starts its thread at the first use, and anew in a forked child."""

    def __init__(self, name: str = "opto-llm-http") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        atexit.register(self.stop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end; an interrupt here cancels it there before it is raised here."""
        if threading.current_thread() is self._thread:
            work.close()
            message = "this would wait for itself: await the model (acall, astream) in async code"
            raise UsageError(message)
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
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop

    def stop(self) -> None:
        """Give what is under way (the closing of connections) a moment, then end the thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(_finish(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._loop = self._thread = None


async def _finish() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, late = await asyncio.wait(others, timeout=_GRACE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


HTTP_LOOP = BackgroundLoop()
OWN_LOOP = BackgroundLoop("opto-llm-own")
"""For models that users wrote as coroutines; what blocks in there keeps no request waiting."""
