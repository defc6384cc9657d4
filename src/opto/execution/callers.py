"""Functions that stand for code which runs elsewhere, of the kind that the author's function is."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol


class Returned(NamedTuple):
    """What the code returned, and whether it was drained from a generator."""

    value: Any
    drained: bool


class Stoppable(Protocol):
    """Where a call runs."""

    def stop(self) -> None:
        """End it."""
        ...


class Caller(Protocol):
    """Runs calls."""

    def run(self, ticket: Ticket, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returned:
        """Call the function where `ticket` can end it."""
        ...


class Ticket:
    """A call that can be given up from elsewhere.

    Args:
        loop: where coroutines of the host run that the code calls; None outside of any.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop
        self.process: Stoppable | None = None
        self.given_up = False

    def take(self, process: Stoppable) -> None:
        """Note in which process the call runs."""
        self.process = process
        if self.given_up:
            process.stop()

    def give_up(self) -> None:
        """End the process of the call."""
        self.given_up = True
        if self.process is not None:
            self.process.stop()


def callable_of(runner: Caller, fun: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the kind that the author's is."""
    if inspect.iscoroutinefunction(fun):
        made: Any = partial(_awaited, runner)
    elif inspect.isasyncgenfunction(fun):
        made = partial(_iterated, runner)
    elif inspect.isgeneratorfunction(fun):
        made = partial(_replayed, runner)
    else:
        made = partial(_returned, runner)
    return made  # type: ignore[no-any-return]  # a partial of one of the functions below


def _returned(runner: Caller, /, *args: Any, **kwargs: Any) -> Any:
    value, drained = runner.run(Ticket(), args, kwargs)
    return iter(value) if drained else value


def _replayed(runner: Caller, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
    yield from runner.run(Ticket(), args, kwargs).value


async def _awaited(runner: Caller, /, *args: Any, **kwargs: Any) -> Any:
    ticket = Ticket(asyncio.get_running_loop())
    try:
        return (await asyncio.to_thread(runner.run, ticket, args, kwargs)).value
    except asyncio.CancelledError:
        ticket.give_up()
        raise


async def _iterated(runner: Caller, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    for item in await _awaited(runner, *args, **kwargs):
        yield item
