"""Weights from the Hugging Face hub."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote, urlsplit

from opto.errors import WeightsError
from opto.llm.connections import LOOPBACK, http_library
from opto.llm.weights.catalogue import Weights
from opto.llm.weights.partial import Partial

ENDPOINT = "https://huggingface.co"
ENDPOINT_VARIABLE = "HF_ENDPOINT"
_CONNECT_SECONDS = 6.0
_READ_SECONDS = 30.0
_SHA256 = re.compile("[0-9a-f]{64}")


class Hub:
    """The source "hub"; another server of the same layout by ``HF_ENDPOINT``."""

    def __init__(self, endpoint: str | None = None) -> None:
        self.endpoint = endpoint or os.environ.get(ENDPOINT_VARIABLE) or ENDPOINT

    @property
    def name(self) -> str:
        """Its host."""
        return urlsplit(self.endpoint).netloc or self.endpoint

    @property
    def _endpoint_is_safe(self) -> bool:
        return urlsplit(self.endpoint).scheme == "https"

    @property
    def _endpoint_is_near(self) -> bool:
        return urlsplit(self.endpoint).hostname in LOOPBACK

    def has(self, weights: Weights) -> bool:
        """Whether `weights` have a place there."""
        return weights.hub is not None

    def deliver(self, weights: Weights, partial: Partial) -> None:
        """Write into `partial` what is missing."""
        if weights.hub is None:
            return
        if not (weights.sha256 or self._endpoint_is_safe or self._endpoint_is_near):
            message = f"no checksum of {weights.name!r} is known, so it must come over https"
            raise WeightsError(message, model=weights.name)
        library = http_library()
        url = f"{self.endpoint}/{weights.hub.repository}/resolve/main/{quote(weights.hub.path)}"
        timeout = library.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        at = partial.present
        headers = {"accept-encoding": "identity", **({"range": f"bytes={at}-"} if at else {})}
        try:
            with (
                library.Client(follow_redirects=True, timeout=timeout) as client,
                client.stream("GET", url, headers=headers) as response,
            ):
                self._take(response, at, partial)
        except (library.HTTPError, library.InvalidURL, OSError) as error:
            message = f"{type(error).__name__}: {error}"
            raise WeightsError(message, model=weights.name) from None

    def _take(self, response: Any, at: int, partial: Partial) -> None:
        weights = partial.weights
        if response.url.scheme != "https" and self._endpoint_is_safe:
            raise WeightsError("it redirects to a place without TLS", model=weights.name)
        if response.status_code == 416:
            partial.begin(0)
        if response.status_code not in {200, 206}:
            message = f"HTTP {response.status_code} for {response.request.url.path}"
            raise WeightsError(message, model=weights.name)
        start = at if response.status_code == 206 else 0
        announced = response.headers.get("content-length", "")
        total = start + int(announced) if announced.isdecimal() else None
        if weights.size is not None and total not in (None, weights.size):
            message = f"it offers {total} bytes, not the {weights.size} of {weights.name!r}"
            raise WeightsError(message, model=weights.name)
        partial.total = weights.size or total
        partial.sha256 = weights.sha256 or _told_checksum(response)
        partial.begin(start)
        for block in response.iter_raw():
            partial.write(block)


def _told_checksum(response: Any) -> str | None:
    """The checksum that the hub tells of a large file, with the redirection to its store."""
    for answer in (*response.history, response):
        told = answer.headers.get("x-linked-etag", "").strip('"')
        if _SHA256.fullmatch(told):
            return str(told)
    return None
