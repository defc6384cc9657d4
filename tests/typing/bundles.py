"""Bundled functions as type checkers see them. Nothing here is run; `test_typing.py` checks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from typing_extensions import assert_type

from opto.trace import ExecutionError, bundle, node
from opto.trace.bundle import FunModule
from opto.trace.nodes import MessageNode


@bundle()
def show(x: int) -> str:
    """Show a number."""
    return str(x)


@bundle
def bare(x: int, *rest: int, scale: float = 1.0) -> float:
    """Without parentheses."""
    return (x + sum(rest)) * scale


@bundle("[count] Count words.", trainable=True)
def count(text: str) -> int:
    """With a description."""
    return len(text.split())


@bundle(description="[pair] Two things.", traceable_code=True, catch_execution_error=False)
def pair(x: int) -> tuple[int, str]:
    """With other options."""
    return x, str(x)


@bundle()
def anything(x: Any) -> Any:
    """Of no type in particular."""
    return x


@bundle(trainable=True)
async def ask(question: str) -> str:
    """Wait for an answer."""
    await asyncio.sleep(0)
    return question


@bundle()
def numbers(stop: int) -> Iterator[int]:
    """Generate."""
    yield from range(stop)


def calls() -> None:
    """The arguments may be nodes or plain values; the result is a node of what is returned."""
    assert_type(show(1), MessageNode[str])
    assert_type(show(node(1)), MessageNode[str])
    assert_type(show(x=node(1) + 2), MessageNode[str])
    assert_type(show(1).upper(), MessageNode[str])
    assert_type(show(1).data, str)
    assert_type(bare(1, node(2), scale=node(0.5)), MessageNode[float])
    assert_type(count("a b"), MessageNode[int])
    assert_type(count("a b") + 1, MessageNode[int])
    assert_type(pair(1), MessageNode[tuple[int, str]])
    assert_type(anything(1), MessageNode[Any])
    assert_type(bundle(trainable=False)(len)([1]), MessageNode[int])
    left, right = pair(1)
    assert_type(left, Any)
    assert_type(right, Any)


def facts() -> None:
    """A bundle knows what it is."""
    assert_type(show, FunModule[str])
    assert_type(show.name, str)
    assert_type(show.description, str)
    assert_type(count.trainable, bool)
    assert_type(count.parameters(), list[Any])


async def waiting() -> None:
    """An async bundle is awaited, alone or with others."""
    assert_type(await ask("why?"), MessageNode[str])
    assert_type((await ask(node("why?"))).upper(), MessageNode[str])
    one, two = await asyncio.gather(ask("a"), ask("b"))
    assert_type(one, MessageNode[str])
    assert_type(two.data, str)
    task = asyncio.create_task(ask("c"))
    assert_type(await task, MessageNode[str])


@bundle()
async def several(stop: int) -> AsyncIterator[int]:
    """Generate asynchronously."""
    for index in range(stop):
        yield index


class Agent:
    """Methods are bundled too."""

    def __init__(self, name: str) -> None:
        self.name = name

    @bundle(trainable=True)
    def greet(self, other: str) -> str:
        """Greet."""
        return f"{self.name}: hello, {other}"

    @staticmethod
    @bundle()
    def shout(text: str) -> str:
        """Shout."""
        return text.upper()

    @bundle()
    async def wait(self, seconds: float) -> float:
        """Wait."""
        await asyncio.sleep(seconds)
        return seconds


def methods(agent: Agent) -> None:
    """They give nodes of what they return."""
    assert_type(agent.greet("Ada"), MessageNode[str])
    assert_type(agent.greet(node("Ada")).data, str)
    assert_type(Agent.greet(agent, "Ada"), MessageNode[str])
    assert_type(Agent.shout("a"), MessageNode[str])
    assert_type(agent.shout("a"), MessageNode[str])


async def async_methods(agent: Agent) -> None:
    """Async methods too."""
    assert_type(await agent.wait(1), MessageNode[float])


def failing() -> None:
    """What was raised carries a node, and is of the original type."""
    try:
        show(1)
    except ExecutionError as error:
        error.exception_node.backward("fix it")


def mistakes() -> None:
    """Mypy says so when one of these isn't an error any more."""
    wrong: MessageNode[int] = show(1)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    bundle(trainable="yes")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    bundle(1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    del wrong
