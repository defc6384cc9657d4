"""Processes of pydantic-monty: one for each version of code, the idle ones kept within a number."""

from __future__ import annotations

import atexit
import importlib
import importlib.metadata
import os
import threading
from collections import OrderedDict
from functools import lru_cache
from typing import Any

from opto.errors import MissingExtra
from opto.execution.limits import Limits

MOST_IDLE = 16
_MOST = 256
_ENDLESS = 1 << 31


def monty() -> Any:
    """Return the package.

    Raises:
        MissingExtra: if it isn't installed.
    """
    try:
        return importlib.import_module("pydantic_monty")
    except ImportError as error:
        raise MissingExtra("pydantic_monty", "portable", "execution='portable'") from error


def interpreter() -> str:
    """Return name and version of the interpreter; empty if it isn't installed."""
    try:
        return f"pydantic-monty {importlib.metadata.version('pydantic-monty')}"
    except importlib.metadata.PackageNotFoundError:
        return ""


class Sessions:
    """The processes that this process started."""

    def __init__(self) -> None:
        self.pool: Any = None
        self.lock = threading.RLock()
        self.idle: OrderedDict[int, Any] = OrderedDict()
        self.host = os.getpid()
        atexit.register(self.close)

    def fresh(self, limits: Limits) -> Any:
        """Return a session in a process that no other has."""
        with self.lock:
            if self.pool is None:
                self.pool = monty().Monty(max_processes=_MOST, checkout_timeout=limits.seconds)
                self.pool.__enter__()
            session = self.pool.checkout(
                limits={
                    "max_feed_duration_secs": limits.seconds,
                    "max_total_sleep_secs": limits.seconds,
                    "max_memory": limits.memory,
                    "max_suspensions": _ENDLESS,
                },
                assert_message_annotations=False,
            )
            session.__enter__()
            return session

    def park(self, session: Any) -> None:
        """Keep an idle session; the one idle for longest is ended if there are too many."""
        with self.lock:
            self.idle[id(session)] = session
            while len(self.idle) > MOST_IDLE:
                self.end(self.idle.popitem(last=False)[1])

    def unpark(self, session: Any) -> bool:
        """Take a session into use; False if it was ended meanwhile."""
        with self.lock:
            return self.idle.pop(id(session), None) is session

    def end(self, session: Any) -> None:
        """End a session and what it knows."""
        if os.getpid() == self.host:
            session.__exit__(None, None, None)

    def close(self) -> None:
        """End everything."""
        with self.lock:
            if os.getpid() != self.host or self.pool is None:
                return
            while self.idle:
                self.end(self.idle.popitem()[1])
            self.pool.__exit__(None, None, None)
            self.pool = None


@lru_cache(maxsize=1)
def _sessions(host: int) -> Sessions:
    del host  # a fork of this process must not speak through its connections
    return Sessions()


def sessions() -> Sessions:
    """Return the processes of this process."""
    return _sessions(os.getpid())
