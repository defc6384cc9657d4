"""API keys that don't leak: not by repr, not by pickling, not through what a provider echoes."""

from __future__ import annotations

import base64
import os
import re
from typing import Any
from urllib.parse import quote, urlsplit

HIDDEN = "[redacted]"
_LIKE_KEYS = re.compile(r"\b(?:sk|pk|rk|gsk|xai)-[\w*.\-]{6,}|(?<=Bearer )[\w.~+/=*\-]{6,}")


class ApiKey:
    """A key given by the caller, or read from an environment variable when it is needed.

    A pickle holds the name of the variable, never the key.
    """

    __slots__ = ("_value", "variable")

    def __init__(self, value: str | None = None, *, variable: str = "") -> None:
        self._value, self.variable = value, variable

    def reveal(self) -> str | None:
        """The key itself, to be sent and nothing else."""
        found = self._value or (os.environ.get(self.variable) if self.variable else None)
        return found.strip() if found else None

    @property
    def source(self) -> str:
        """The variable that the key is read from; "" if it was given by the caller."""
        return "" if self._value else self.variable

    def redact(self, text: str) -> str:
        """`text` without the key (clear, URL-quoted or base64) and what looks like one."""
        key = self.reveal()
        for form in _forms(key) if key else ():
            text = text.replace(form, HIDDEN)
        return _LIKE_KEYS.sub(HIDDEN, text)

    def __repr__(self) -> str:
        source = f" from {self.variable}" if self.variable and not self._value else ""
        return f"<ApiKey{source}: {'set' if self.reveal() else 'not set'}>"

    def __copy__(self) -> ApiKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ApiKey:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_environment, (self.variable,)


def _from_environment(variable: str) -> ApiKey:
    return ApiKey(variable=variable)


def _forms(key: str) -> tuple[str, ...]:
    encoded = base64.b64encode(key.encode("utf-8", "replace")).decode("ascii").rstrip("=")
    forms = (key, quote(key, safe=""), encoded)
    return tuple(sorted({form for form in forms if form}, key=len, reverse=True))


def public_url(url: str) -> str:
    """`url` without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if host else url.partition("?")[0]
