"""Reads in threads that a running bundle starts count as reads of that bundle.

Python hands no context to a new thread, nor to a job of a thread pool. While a bundle runs, and
only then, a thread started or a job submitted by it takes the context along. Elsewhere threads stay
as Python makes them: each traces for itself.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from opto.trace.scope import READS

_POOLS = "concurrent.futures.thread"


def _carrying(function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.partial(copy_context().run, function)


def install() -> None:
    """Make threads and pools carry the context of a running bundle; done once, at import."""
    start: Any = threading.Thread.start
    if hasattr(start, "__opto__"):
        return

    @functools.wraps(start)
    def start_thread(self: threading.Thread) -> None:
        _install_in_pools()
        if READS.get() is not None:
            self.run = _carrying(self.run)  # type: ignore[method-assign]  # this thread's own
        start(self)

    start_thread.__opto__ = True  # type: ignore[attr-defined]  # the mark looked for above
    threading.Thread.start = start_thread  # type: ignore[method-assign]  # what this module is for
    _install_in_pools()


def _install_in_pools() -> None:
    """Do the same for pools, if their module is loaded: importing it takes as long as we do.

    It is looked for whenever a thread starts, so no pool has a worker before it was found.
    """
    module: Any = sys.modules.get(_POOLS)
    pool: Any = getattr(module, "ThreadPoolExecutor", None)
    if pool is None or hasattr(pool.submit, "__opto__"):
        return
    submit = pool.submit

    @functools.wraps(submit)
    def submit_job(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        job = fn if READS.get() is None else _carrying(fn)
        return submit(self, job, *args, **kwargs)

    submit_job.__opto__ = True  # type: ignore[attr-defined]  # the mark looked for above
    pool.submit = submit_job
