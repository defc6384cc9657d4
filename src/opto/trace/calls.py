"""One call of a bundled function: inputs, running, recording; plain, async and generators."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opto.errors import TraceMissingInputsError
from opto.trace.abstract import LEARNS
from opto.trace.core import MessageNode, Node, failed, record, record_output
from opto.trace.ops import Op
from opto.trace.scope import READS, SCOPE, Reads


class Call(NamedTuple):
    """A call that is about to run.

    Attributes:
        op: the operation, with the names of the inputs.
        inputs: the nodes.
        function: what to run.
        args: what it receives by position.
        kwargs: what it receives by name.
        sources: texts of code that no file holds.
        catch: whether its exceptions become exception nodes.
        open: whether it may read nodes that aren't among its inputs.
    """

    op: Op
    inputs: tuple[Any, ...]
    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    sources: Mapping[str, str] | None
    catch: bool
    open: bool


def run(call: Call) -> MessageNode[Any]:
    """Run a plain function and record its result."""
    reads = Reads() if SCOPE.get().recording else None
    token = READS.set(reads)
    try:
        output = call.function(*call.args, **call.kwargs)
    except Exception as error:
        if not call.catch or isinstance(error, TraceMissingInputsError):
            raise
        raise failed(call.op, call.inputs, error, sources=call.sources) from error
    finally:
        READS.reset(token)
    if reads is not None and (reads.values or reads.tests):
        return _record_with_reads(call, output, reads)
    return record_output(call.op, call.inputs, output)


async def run_async(call: Call) -> MessageNode[Any]:
    """Run a coroutine function and record its result; reads before and after waits are its own."""
    reads = Reads() if SCOPE.get().recording else None
    token = READS.set(reads)
    try:
        output = await call.function(*call.args, **call.kwargs)
    except Exception as error:
        if not call.catch or isinstance(error, TraceMissingInputsError):
            raise
        raise failed(call.op, call.inputs, error, sources=call.sources) from error
    finally:
        READS.reset(token)
    return _record_with_reads(call, output, reads or Reads())


def run_generator(call: Call) -> MessageNode[Any]:
    """Record a generator; its body runs as it is iterated, traced as the function is."""
    return record(MessageNode, call.op, call.inputs, _drive(call))


def _drive(call: Call) -> Iterator[Any]:
    steps = call.function(*call.args, **call.kwargs)
    while True:
        reads = Reads() if SCOPE.get().recording else None
        token = READS.set(reads)
        try:
            item = next(steps)
        except StopIteration as end:
            return end.value
        except Exception as error:
            if not call.catch:
                raise
            raise failed(call.op, call.inputs, error, sources=call.sources) from error
        finally:
            READS.reset(token)
        _unseen(call, reads or Reads())
        yield item._data if isinstance(item, Node) else item


def run_async_generator(call: Call) -> AsyncIterator[Any]:
    """Return an async iterator over nodes, one for each item, made from the inputs."""
    return _drive_async(call)


async def _drive_async(call: Call) -> AsyncIterator[Any]:
    steps = call.function(*call.args, **call.kwargs)
    while True:
        reads = Reads() if SCOPE.get().recording else None
        token = READS.set(reads)
        try:
            item = await steps.__anext__()
        except StopAsyncIteration:
            return
        except Exception as error:
            if not call.catch:
                raise
            raise failed(call.op, call.inputs, error, sources=call.sources) from error
        finally:
            READS.reset(token)
        yield _record_with_reads(call, item, reads or Reads())


def _record_with_reads(call: Call, output: Any, reads: Reads) -> MessageNode[Any]:
    unseen = _unseen(call, reads)
    made = record_output(call.op, call.inputs, output, unseen)
    if unseen:
        made._extra = {**(made._extra or {}), "external": tuple(unseen)}
    return made


def _unseen(call: Call, reads: Reads) -> list[Node[Any]]:
    """Return the nodes that were used and aren't inputs.

    Raises:
        TraceMissingInputsError: if the value of one was read and that isn't allowed.
    """
    known = {id(node) for node in call.inputs}
    values = {id(node): node for node in reads.values if id(node) not in known}
    # A result made inside from plain values alone can't carry feedback anywhere.
    missing = [node for node in values.values() if not node._inputs or node._flags & LEARNS]
    if missing and not call.open:
        listed = [(node.name, node._data) for node in missing]
        message = (
            f"Not all nodes used in the operator {call.op.fun_name} are specified as inputs of the "
            f"returned node. Missing {listed}. Pass them as arguments, or allow them with "
            "allow_external_dependencies=True"
        )
        raise TraceMissingInputsError(message)
    tests = {id(node): node for node in reads.tests if id(node) not in known}
    return [*missing, *(node for key, node in tests.items() if key not in values)]


def runner_of(fun: Callable[..., Any]) -> Callable[[Call], Any]:
    """Return what runs calls of `fun`, by the kind of function that it is."""
    if inspect.iscoroutinefunction(fun):
        return run_async
    if inspect.isasyncgenfunction(fun):
        return run_async_generator
    if inspect.isgeneratorfunction(fun):
        return run_generator
    return run

