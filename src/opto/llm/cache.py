"""Replies on disk, for many processes: an SQLite file whose values are JSON."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from opto.errors import InvalidArgument, StoreUnusable
from opto.llm.base import Completion
from opto.llm.stored import VERSION, as_data, from_data

T = TypeVar("T")
MEGABYTE = 1_000_000
_PATIENCE = 30.0  # seconds for other processes to finish writing
_LOOK_EVERY = 32  # writes between looks at the size
_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT NOT NULL, sample INTEGER NOT NULL, reply TEXT NOT NULL, size INTEGER NOT NULL,
    made REAL NOT NULL, used REAL NOT NULL, PRIMARY KEY (key, sample)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON replies (used, size);
"""
_log = logging.getLogger("opto.llm")


def default_path() -> Path:
    """Where the cache lies if nothing else is said: in the user's cache folder."""
    home = os.environ.get("OPTO_CACHE") or os.environ.get("XDG_CACHE_HOME")
    folder = Path(home) if home else Path.home() / ".cache"
    return (folder if os.environ.get("OPTO_CACHE") else folder / "opto") / "replies.sqlite3"


class Cache:
    """Replies by the hash of their request; threads and processes may share it.

    Values are data, never code. Requests aren't kept, only their hashes. What can't be read or
    written later (a full disk, say) is logged and done without: a cache never fails a call.

    Args:
        path: the file, made if it isn't there; the user's cache folder if None.
        max_bytes: of replies; those that weren't used for longest go first.
        ttl: seconds after which a reply isn't used any more; None for never.

    Raises:
        StoreUnusable: at the first use, if the file is something else, or can't be made.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        max_bytes: int = 500 * MEGABYTE,
        ttl: float | None = None,
    ) -> None:
        if max_bytes <= 0 or (ttl is not None and ttl < 0):
            message = f"max_bytes must be above 0 and ttl not below; given {max_bytes} and {ttl}"
            raise InvalidArgument(message)
        self.path = Path(path) if path is not None else default_path()
        self.max_bytes, self.ttl = max_bytes, ttl
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._writes = 0
        self._lock = threading.Lock()

    def get(self, key: str, sample: int = 0) -> Completion | None:
        """The reply that was put under the key, if it is there and not too old."""
        found = self._safely(lambda db: self._read(db, key, sample))
        if found is None:
            return None
        try:
            return from_data(json.loads(found))
        except (ValueError, KeyError, TypeError):
            _log.warning("the cache %s holds a reply that can't be read; asking anew", self.path)
            return None

    def put(self, key: str, reply: Completion, sample: int = 0) -> None:
        """Keep a reply."""
        text = json.dumps(as_data(reply), ensure_ascii=False)
        self._safely(lambda db: self._write(db, key, sample, text))

    def __len__(self) -> int:
        with self._lock:
            count: int = self._open().execute("SELECT count(*) FROM replies").fetchone()[0]
        return count

    def clear(self) -> None:
        """Forget all replies."""
        with self._lock:
            self._open().execute("DELETE FROM replies")

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    # ---- the file --------------------------------------------------------------------------------

    def _safely(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        with self._lock:
            connection = self._open()
            try:
                return work(connection)
            except sqlite3.Error as error:
                _log.warning("the cache %s can't be used now: %s", self.path, error)
                return None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._process != os.getpid():
            self._connection, self._process = self._opened(), os.getpid()
            weakref.finalize(self, self._connection.close)
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            message = f"no cache can be kept at {self.path}: {error}"
            raise StoreUnusable(message) from None
        try:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                message = f"the cache {self.path} is of a newer version of opto; use another file"
                raise StoreUnusable(message)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version={VERSION}")
        except sqlite3.Error as error:
            connection.close()
            message = f"{self.path} can't be used as a cache: {error}; name another file"
            raise StoreUnusable(message) from None
        except StoreUnusable:
            connection.close()
            raise
        return connection

    def _read(self, connection: sqlite3.Connection, key: str, sample: int) -> str | None:
        query = "SELECT reply, made FROM replies WHERE key = ? AND sample = ?"
        row = connection.execute(query, (key, sample)).fetchone()
        now = time.time()
        if row is None or (self.ttl is not None and now - row[1] > self.ttl):
            return None
        using = "UPDATE replies SET used = ? WHERE key = ? AND sample = ? AND used < ?"
        connection.execute(using, (now, key, sample, now - 60.0))
        return str(row[0])

    def _write(self, connection: sqlite3.Connection, key: str, sample: int, text: str) -> None:
        now, size = time.time(), len(text.encode())
        if size > self.max_bytes:
            return
        row = (key, sample, text, size, now, now)
        connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?)", row)
        if self._writes % _LOOK_EVERY == 0 or size > self.max_bytes // _LOOK_EVERY:
            self._shrink(connection)
        self._writes += 1

    def _shrink(self, connection: sqlite3.Connection) -> None:
        total: int = connection.execute("SELECT coalesce(sum(size), 0) FROM replies").fetchone()[0]
        if total <= self.max_bytes:
            return
        over = total - self.max_bytes * 9 // 10  # so that it needn't be done again at once
        oldest = "SELECT key, sample, size FROM replies ORDER BY used, key, sample"
        going: list[tuple[str, int]] = []
        for key, sample, size in connection.execute(oldest):
            if over <= 0:
                break
            going.append((key, sample))
            over -= size
        connection.executemany("DELETE FROM replies WHERE key = ? AND sample = ?", going)

    def __getstate__(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in self.__dict__.items() if name != "_lock"},
            "_connection": None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> Cache:
        return self

    def __repr__(self) -> str:
        return f"Cache({str(self.path)!r})"
