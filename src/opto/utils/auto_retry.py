"""Trying a function again when it fails for reasons that pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from opto.errors import ModelError, RateLimited
from opto.llm.retry import is_transient

T = TypeVar("T")
_log = logging.getLogger("opto.utils")
_RATE = ("rate limit", "ratelimit", "too many requests")
_PASSING = (
    *("timed out", "timeout", "temporarily", "try again", "overloaded", "service unavailable"),
    *("connection reset", "connection aborted", "connection error", "bad gateway"),
)
_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


def retry_with_exponential_backoff(
    func: Callable[[], T],
    max_retries: int = 10,
    base_delay: float = 1.0,
    operation_name: str = "operation",
) -> T:
    """Call `func`, again after a growing wait while it fails for a reason that may pass.

    Args:
        func: what to do.
        max_retries: how often it is called at most.
        base_delay: seconds before the second call; doubled each time. After a refusal for too many
            requests the wait is longer and doesn't depend on it.
        operation_name: for messages.

    Raises:
        RuntimeError: when the last attempt has failed, too.
        Exception: any error of `func` that will not pass, at once.
    """
    for attempt in range(max_retries):
        try:
            return func()
        except Exception as error:
            limited = _is_rate_limit(error)
            if not (limited or _may_pass(error)):
                raise
            if attempt == max_retries - 1:
                message = f"{operation_name}: Failed after {max_retries} attempts. Error: {error}"
                raise RuntimeError(message) from error
            growing = base_delay * 2**attempt + 0.1 * attempt
            wait = 2.0 * (attempt + 1) ** 2 + attempt if limited else growing
            _log.warning(
                "%s: attempt %d failed; again in %.1f s", operation_name, attempt + 1, wait
            )
        time.sleep(wait)
    message = f"{operation_name}: max_retries must be at least 1; given: {max_retries}"
    raise ValueError(message)


def _is_rate_limit(error: Exception) -> bool:
    said = f"{type(error).__name__} {error}".lower()
    return isinstance(error, RateLimited) or (
        not isinstance(error, ModelError) and any(sign in said for sign in _RATE)
    )


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ModelError):
        return is_transient(error)
    if isinstance(error, (TimeoutError, ConnectionError)):
        return True
    if getattr(error, "status_code", None) in _STATUS:
        return True
    said = f"{type(error).__name__} {error}".lower()
    return any(sign in said for sign in _PASSING)
