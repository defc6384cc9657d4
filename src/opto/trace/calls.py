"""One call of a bundled function: inputs, running, recording; plain, async and generators."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from opto.errors import TraceMissingInputsError
from opto.trace.abstract import LEARNS
from opto.trace.core import RESULT, MessageNode, Node, failed
from opto.trace.mutation import WATCHED, as_received, snapshots
from opto.trace.ops import Op
from opto.trace.recording import record, record_output
from opto.trace.scope import READS

Reads = list[tuple[Any, bool]]


class Bundle(Protocol):
    """What a call needs to know of the function that is called."""

    catch_execution_error: bool

    def may_read_anything(self) -> bool:
        """Whether the function may read nodes that aren't among its inputs."""
        ...


# All runners take the same: the bundled function; the operation, with the names of the inputs; the
# inputs; what to run; what it receives by position and by name; texts of code that no file holds.


def run(
    owner: Bundle,
    op: Op,
    inputs: tuple[Any, ...],
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    sources: Mapping[str, str] | None,
) -> MessageNode[Any]:
    """Run a plain function and record its result."""
    values = [*args, *kwargs.values()] if kwargs else args
    before = () if WATCHED.isdisjoint(map(type, values)) else snapshots(values)
    reads: Reads = []
    token = READS.set(reads)
    try:
        output = function(*args, **kwargs) if kwargs else function(*args)
    except Exception as error:
        if _passes(owner, error):
            raise
        if before:
            inputs = as_received(RESULT, inputs, values, before)
        raise failed(op, inputs, error, sources=sources) from error
    finally:
        READS.reset(token)
    if before:
        inputs = as_received(RESULT, inputs, values, before)
    if reads or isinstance(output, Node):
        return _recorded(owner, op, inputs, output, reads)
    return record(RESULT, op, inputs, output)


async def run_async(
    owner: Bundle,
    op: Op,
    inputs: tuple[Any, ...],
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    sources: Mapping[str, str] | None,
) -> MessageNode[Any]:
    """Run a coroutine function and record its result; reads before and after waits are its own."""
    values = [*args, *kwargs.values()] if kwargs else args
    before = () if WATCHED.isdisjoint(map(type, values)) else snapshots(values)
    reads: Reads = []
    token = READS.set(reads)
    try:
        output = await function(*args, **kwargs)
    except Exception as error:
        if _passes(owner, error):
            raise
        if before:
            inputs = as_received(RESULT, inputs, values, before)
        raise failed(op, inputs, error, sources=sources) from error
    finally:
        READS.reset(token)
    if before:
        inputs = as_received(RESULT, inputs, values, before)
    if reads or isinstance(output, Node):
        return _recorded(owner, op, inputs, output, reads)
    return record(RESULT, op, inputs, output)


def run_generator(
    owner: Bundle,
    op: Op,
    inputs: tuple[Any, ...],
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    sources: Mapping[str, str] | None,
) -> MessageNode[Any]:
    """Record a generator; its body runs as it is iterated, traced as the function is."""

    def drive() -> Iterator[Any]:
        steps = function(*args, **kwargs)
        while True:
            reads: Reads = []
            token = READS.set(reads)
            try:
                item = next(steps)
            except StopIteration:
                return
            except Exception as error:
                if _passes(owner, error):
                    raise
                raise failed(op, inputs, error, sources=sources) from error
            finally:
                READS.reset(token)
            _unseen(owner, op, inputs, reads)
            yield item._data if isinstance(item, Node) else item

    return record(RESULT, op, inputs, drive())


async def run_async_generator(
    owner: Bundle,
    op: Op,
    inputs: tuple[Any, ...],
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    sources: Mapping[str, str] | None,
) -> AsyncIterator[Any]:
    """Yield a node for each item, made from the inputs."""
    steps = function(*args, **kwargs)
    while True:
        reads: Reads = []
        token = READS.set(reads)
        try:
            item = await steps.__anext__()
        except StopAsyncIteration:
            return
        except Exception as error:
            if _passes(owner, error):
                raise
            raise failed(op, inputs, error, sources=sources) from error
        finally:
            READS.reset(token)
        yield _recorded(owner, op, inputs, item, reads)


def _passes(owner: Bundle, error: Exception) -> bool:
    """Whether an exception of the function goes through as it is."""
    return not owner.catch_execution_error or isinstance(error, TraceMissingInputsError)


def _recorded(
    owner: Bundle, op: Op, inputs: tuple[Any, ...], output: Any, reads: Reads
) -> MessageNode[Any]:
    unseen = _unseen(owner, op, inputs, reads)
    made: MessageNode[Any] = record_output(RESULT, op, inputs, output, unseen)
    if unseen:
        made._extra = {**(made._extra or {}), "external": tuple(unseen)}
    return made


def _unseen(owner: Bundle, op: Op, inputs: tuple[Any, ...], reads: Reads) -> list[Any]:
    """Return the nodes that were used and aren't inputs.

    Raises:
        TraceMissingInputsError: if the value of one was read and that isn't allowed.
    """
    if not reads:
        return []
    known = {id(node) for node in inputs}
    # A result made inside from plain values alone can't carry feedback anywhere.
    unseen = {
        id(node): node
        for node, _ in reads
        if id(node) not in known and (not node._inputs or node._flags & LEARNS)
    }
    missing = {id(node) for node, taken in reads if taken and id(node) in unseen}
    if missing and not owner.may_read_anything():
        listed = [(node.name, node._data) for key, node in unseen.items() if key in missing]
        message = (
            f"Not all nodes used in the operator {op.fun_name} are specified as inputs of the "
            f"returned node. Missing {listed}. Pass them as arguments, or allow them with "
            "allow_external_dependencies=True"
        )
        raise TraceMissingInputsError(message)
    return list(unseen.values())


def runner_of(fun: Callable[..., Any]) -> Callable[..., Any]:
    """Return what runs calls of `fun`, by the kind of function that it is."""
    if inspect.iscoroutinefunction(fun):
        return run_async
    if inspect.isasyncgenfunction(fun):
        return run_async_generator
    if inspect.isgeneratorfunction(fun):
        return run_generator
    return run
