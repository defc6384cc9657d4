"""The chat-completions protocol as pure functions: what to send, and what an answer means.

Nothing here does I/O. `read_answer` gives a `Completion`, or the `ModelError` that the answer
amounts to, for every sequence of bytes that a server can send.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, cast

from opto.errors import (
    AuthenticationFailed,
    BadRequest,
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    ModelError,
    OversizedResponse,
    QuotaExceeded,
    RateLimited,
    ServerError,
)
from opto.llm.base import ChatMessage, Choice, Completion, Message, usage_of
from opto.llm.storable import REPLACEMENT, storable, storable_text

EXCERPT = 200
_FILTERED = frozenset({"content_filter", "content_filtered", "safety", "refusal", "blocked"})
_QUOTA = ("insufficient_quota", "billing_hard_limit", "credit balance", "insufficient credit")
_CONTEXT = (
    "context_length",
    "context length",
    "context window",
    "context size",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "maximum number of tokens allowed",
)
_KEY = ("api_key_invalid", "api key not valid", "api key expired")
_FILTER = ("content_filter", "content management policy", "content_policy_violation")
_QUOTA_STATUS = frozenset({400, 403, 429})
_CONTENT_STATUS = frozenset({400, 403, 413, 422})
_BY_STATUS: Mapping[int, type[ModelError]] = {
    401: AuthenticationFailed,
    402: QuotaExceeded,
    403: AuthenticationFailed,
    408: ServerError,
    409: ServerError,
    425: ServerError,
    429: RateLimited,
}
_STATED: Mapping[str, int] = {
    "insufficient_quota": 429,
    "rate_limit": 429,
    "resource_exhausted": 429,
    "authentication": 401,
    "permission": 403,
    "invalid_request": 400,
    "context_length": 400,
}
"""Words of errors that come without a status; others are the server's fault."""
_SERVER_STATUS = 500
_REFUSED_STATUS = 300


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP; `cut` if the body was longer than the limit."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: bool = False


def request_body(model: str, messages: Sequence[ChatMessage], options: Mapping[str, Any]) -> bytes:
    """The JSON to send; options that are None are left out, texts made storable."""
    chosen = {name: value for name, value in options.items() if value is not None}
    body = {"model": model, "messages": [dict(message) for message in messages], **chosen}
    return json.dumps(storable(body), ensure_ascii=False, allow_nan=False).encode()


def read_answer(answer: Answer) -> Completion | ModelError:
    """The completion in `answer`, or the error that it amounts to."""
    fields = decoded(answer)
    return fields if isinstance(fields, ModelError) else read_fields(answer, fields)


def decoded(answer: Answer) -> dict[str, Any] | ModelError:
    """The JSON object in `answer`, with nothing in it that can't be stored; or the error."""
    text = text_of(answer)
    error = _refusal(answer, text) or _unreadable(answer, text)
    if error is not None:
        return error
    try:
        data = storable(json.loads(text))
    except (ValueError, RecursionError):
        return bad_answer(answer, "the answer isn't JSON")
    if isinstance(data, dict):
        return cast("dict[str, Any]", data)
    return bad_answer(answer, f"the answer is JSON of type {type(data).__name__!r}, no object")


def text_of(answer: Answer) -> str:
    """The body, bytes that are no UTF-8 replaced."""
    return answer.body.decode("utf-8", "replace")


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that the provider advises to wait, from ``Retry-After`` in either of its forms."""
    milliseconds = _seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    advised = headers.get("retry-after", "").strip()
    seconds = _seconds(advised)
    if seconds is not None or not advised:
        return seconds
    try:
        moment = parsedate_to_datetime(advised).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


# ---- answers that say no -------------------------------------------------------------------------


def _refusal(answer: Answer, text: str) -> ModelError | None:
    status = answer.status
    if status < _REFUSED_STATUS:
        return None
    said = _said(text)
    kind = _kind(status, said.lower())
    shown = said if len(said) <= EXCERPT * 2 else said[: EXCERPT * 2] + "…"
    return kind(
        f"HTTP {status}: {shown or 'no explanation'}",
        status=status,
        request_id=request_id(answer),
        retry_after=retry_after(answer.headers),
    )


def stated_error(head: Answer, data: Mapping[str, Any]) -> ModelError:
    """The error that a provider states in the middle of an answer which began with `head`."""
    said = _said(json.dumps(data))
    status = _stated_status(data, said.lower())
    return _kind(status, said.lower())(
        f"the answer ended in an error: {said[: EXCERPT * 2]}",
        status=status,
        request_id=request_id(head),
    )


def _stated_status(data: Mapping[str, Any], said: str) -> int:
    error: Any = data.get("error")
    code = cast("dict[str, Any]", error).get("code") if isinstance(error, dict) else None
    if isinstance(code, (int, str)) and str(code).isdecimal() and 400 <= int(code) < 600:
        return int(code)
    found = (status for sign, status in _STATED.items() if sign in said)
    return next(found, _SERVER_STATUS)


def _kind(status: int, said: str) -> type[ModelError]:
    if status in _QUOTA_STATUS and _has(said, _QUOTA):
        return QuotaExceeded
    if status in _CONTENT_STATUS and _has(said, _CONTEXT):
        return ContextTooLong
    if status in _CONTENT_STATUS and _has(said, _FILTER):
        return ContentFiltered
    if status == 400 and _has(said, _KEY):
        return AuthenticationFailed
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= _SERVER_STATUS else BadRequest


def _has(said: str, signs: tuple[str, ...]) -> bool:
    return any(sign in said for sign in signs)


def _said(text: str) -> str:
    """The provider's words: type, code and message of its error object, or the body's beginning."""
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return storable_text(" ".join(text[: EXCERPT * 4].split()))
    if isinstance(data, list) and len(cast("list[object]", data)) == 1:
        data = data[0]
    error = cast("dict[str, Any]", data).get("error", data) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return storable_text(str(error)[: EXCERPT * 4])
    fields = cast("dict[str, Any]", error)
    named = (fields.get(name) for name in ("type", "code", "status", "message"))
    said = ": ".join(str(value) for value in named if value) or text
    return storable_text(said[: EXCERPT * 4])


# ---- answers that should be a completion ---------------------------------------------------------


def _unreadable(answer: Answer, text: str) -> ModelError | None:
    if answer.cut:
        message = f"the answer is longer than the limit of {len(answer.body)} bytes"
        return OversizedResponse(message, status=answer.status, request_id=request_id(answer))
    return None if text.strip() else bad_answer(answer, "the answer is empty")


def read_fields(answer: Answer, fields: dict[str, Any]) -> Completion | ModelError:
    """The completion in the object that was sent, or the error that it amounts to."""
    listed = fields.get("choices")
    if not isinstance(listed, list) or not listed:
        why = "the answer is an error" if fields.get("error") else "the answer has no choices"
        return bad_answer(answer, why)
    read = [_choice(item, at) for at, item in enumerate(cast("list[object]", listed))]
    choices = tuple(item for item in read if isinstance(item, Choice))
    if not choices:
        return _none_usable(answer, [item for item in read if isinstance(item, str)])
    return Completion(
        choices,
        usage_of(fields.get("usage")),
        _name(fields.get("model")),
        _name(fields.get("id")) or request_id(answer) or "",
        fields,
    )


def _none_usable(answer: Answer, reasons: list[str]) -> ModelError:
    if reasons[0].startswith("filtered"):
        return filtered_answer(answer, reasons[0].partition(": ")[2])
    return bad_answer(answer, reasons[0])


def filtered_answer(answer: Answer, said: str = "") -> ContentFiltered:
    """The error for an answer that the provider, or the model, doesn't want to give."""
    message = "the provider filtered the answer" + (f": {said[:EXCERPT]}" if said else "")
    return ContentFiltered(message, status=answer.status, request_id=request_id(answer))


def _choice(item: object, at: int) -> Choice | str:
    """The choice, or why it isn't one."""
    fields = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
    message = fields.get("message")
    if not isinstance(message, dict):
        return "the first choice has no message"
    said = cast("dict[str, Any]", message)
    reason = fields.get("finish_reason")
    refusal = said.get("refusal")
    if isinstance(refusal, str) and refusal:
        return f"filtered: {refusal}"
    if isinstance(reason, str) and reason.lower() in _FILTERED:
        return "filtered"
    calls = _tool_calls(said.get("tool_calls"))
    content = content_of(said.get("content"), allow_none=bool(calls))
    if content is None:
        kind = type(said.get("content")).__name__
        return f"the content of the answer is of type {kind!r}, not text"
    index = fields.get("index")
    return Choice(
        Message(_name(said.get("role")) or "assistant", content, calls, REPLACEMENT in content),
        reason if isinstance(reason, str) else None,
        index if isinstance(index, int) else at,
    )


def content_of(value: Any, *, allow_none: bool = False) -> str | None:
    """The text of a message's content, its parts joined; None if it is something else."""
    if isinstance(value, str):
        return value
    if value is None:
        return "" if allow_none else None
    parts = cast("list[object]", value) if isinstance(value, list) else []
    texts = [_part(part) for part in parts]
    known = [text for text in texts if text is not None]
    return "".join(known) if known and len(known) == len(texts) else None


def _part(part: object) -> str | None:
    if isinstance(part, str):
        return part
    fields = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
    text = fields.get("text")
    if isinstance(text, str):
        return text
    return "" if fields.get("type") in {"reasoning", "thinking"} else None


def _tool_calls(value: Any) -> tuple[Mapping[str, Any], ...]:
    calls = cast("list[object]", value) if isinstance(value, list) else []
    return tuple(cast("dict[str, Any]", call) for call in calls if isinstance(call, dict))


def bad_answer(answer: Answer, why: str) -> BadResponse:
    """The error for an answer that isn't what the protocol says."""
    begin = storable_text(text_of(answer)[:EXCERPT])
    shown = f"; it begins {begin!r}" if begin.strip() else ""
    message = f"{why} (HTTP {answer.status}, {len(answer.body)} bytes){shown}"
    return BadResponse(message, status=answer.status, request_id=request_id(answer))


def request_id(answer: Answer) -> str | None:
    """What the provider calls the request."""
    found = answer.headers.get("x-request-id") or answer.headers.get("request-id")
    return storable_text(found)[:EXCERPT] if found else None


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
