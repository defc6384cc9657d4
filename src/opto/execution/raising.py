"""Failures of another process as exceptions of this one.

Nothing of the other process is trusted: an exception's class is looked up by name among the builtin
ones, or made here with that name; its text is text.
"""

from __future__ import annotations

import builtins
import re
from functools import lru_cache
from types import CodeType

from opto.errors import CodeFailed
from opto.execution.conversation import Failure
from opto.trace.evidence import notes_of as notes_of
from opto.trace.evidence import plain_text

_NAME = re.compile(r"[^\W\d]\w{0,99}")


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
