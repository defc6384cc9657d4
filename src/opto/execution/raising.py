"""Failures of another process as exceptions of this one.

Nothing of the other process is trusted: an exception's class is looked up by name among the builtin
ones, or made here with that name; its text is text.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence
from functools import lru_cache
from types import CodeType

from opto.errors import CodeFailed
from opto.execution.process import Failure

_NAME = re.compile(r"[^\W\d]\w{0,99}")
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]",
    re.DOTALL,
)
_MOST_SHOWN = 2_000


def plain_text(text: str) -> str:
    """Return `text` without control characters and terminal sequences."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def shortened(text: str, most: int = _MOST_SHOWN) -> str:
    """Return `text`, or its start and a note of how much is left out."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} characters more)"


def exception_of(failure: Failure) -> Exception:
    """Return the exception to raise for a failure: of the builtin type if it was one."""
    text = plain_text(failure.text)
    kind = getattr(builtins, failure.kind, None) if failure.module == "builtins" else None
    if isinstance(kind, type) and issubclass(kind, Exception):
        for arguments in (failure.arguments, (text,)):
            made = _made(kind, arguments)
            if made is not None and str(made) == text and _is_clean(made.args):
                return made
    name = failure.kind if _NAME.fullmatch(failure.kind) else "CodeFailed"
    return _class_named(name)(text)


def _is_clean(arguments: tuple[object, ...]) -> bool:
    return all(plain_text(item) == item for item in arguments if isinstance(item, str))


def _made(kind: type[Exception], arguments: tuple[object, ...] | None) -> Exception | None:
    try:
        return None if arguments is None else kind(*arguments)
    except Exception:  # noqa: BLE001 - not every value has a repr (10**5000), or arguments that fit
        return None


@lru_cache(maxsize=256)
def _class_named(name: str) -> type[CodeFailed]:
    return type(name, (CodeFailed,), {"__module__": "builtins"})


def raise_at(error: BaseException, filename: str, line: int, function: str) -> None:
    """Raise `error` as if it came from a line of a text, for tracebacks to show it."""
    space = {"error": error}
    exec(_raiser(filename, max(line, 1), function or "<module>"), space)  # noqa: S102 - our own text


@lru_cache(maxsize=256)
def _raiser(filename: str, line: int, function: str) -> CodeType:
    code = compile("\n" * (line - 1) + "raise error", filename, "exec")
    return code.replace(co_name=function if _NAME.fullmatch(function) else "<module>")


def notes_of(arguments: Sequence[tuple[str, object]], printed: str) -> list[str]:
    """Return what was given and printed, bounded, as notes for an exception."""
    notes: list[str] = []
    if arguments:
        shown = [f"  {name} = {shortened(_shown(value), 200)}" for name, value in arguments[:20]]
        notes.append("\n".join(["Arguments:", *shown]))
    printed = plain_text(printed).rstrip()
    if printed:
        notes.append(f"Printed:\n{shortened(printed)}")
    return notes


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - not every value has a repr (10**5000), or arguments that fit
        return f"<{type(value).__name__}>"
