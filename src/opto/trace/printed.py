"""What proposed code prints in this process: shown as ever, and kept for its errors."""

from __future__ import annotations

import ast
import functools
import inspect
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opto.trace.evidence import notes_of

_MOST = 10_000
_KEPT: ContextVar[list[str] | None] = ContextVar("opto_printed", default=None)


def prints(tree: ast.Module) -> bool:
    """Whether code mentions ``print``."""
    return any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree))


def show(*values: object, file: Any = None, **options: Any) -> None:
    """Print, as ``print`` does, and keep what goes to the standard output."""
    kept = _KEPT.get()
    if file is not None or kept is None:
        print(*values, file=file, **options)
        return
    text = io.StringIO()
    print(*values, file=text, **{k: v for k, v in options.items() if k != "flush"})
    print(text.getvalue(), end="", flush=bool(options.get("flush")))  # noqa: T201 - as above
    if sum(map(len, kept)) < _MOST:
        kept.append(text.getvalue()[:_MOST])


def noting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, whose exceptions say what it printed; of the kind that it is."""
    made: Any = _noting
    if inspect.iscoroutinefunction(function):
        made = _noting_awaited
    elif inspect.isasyncgenfunction(function):
        made = _noting_items_awaited
    elif inspect.isgeneratorfunction(function):
        made = _noting_items
    wrapped: Callable[..., Any] = functools.update_wrapper(made(function), function)
    return wrapped


@contextmanager
def _keeping(kept: list[str]) -> Iterator[None]:
    token = _KEPT.set(kept)
    try:
        yield
    except Exception as error:
        before = getattr(error, "__notes__", [])
        error.__dict__["__notes__"] = [*before, *notes_of([], "".join(kept))]
        raise
    finally:
        _KEPT.reset(token)


def _noting(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with _keeping([]):
            return function(*args, **kwargs)

    return call


def _noting_awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with _keeping([]):
            return await function(*args, **kwargs)

    return call


def _noting_items(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
        kept: list[str] = []
        items = function(*args, **kwargs)
        while True:
            with _keeping(kept):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    return call


def _noting_items_awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        kept: list[str] = []
        items = function(*args, **kwargs)
        while True:
            with _keeping(kept):
                try:
                    item = await items.__anext__()
                except StopAsyncIteration:
                    return
            yield item

    return call
