"""`bundle`: make a function one operation of the graph."""

# ruff: noqa: FBT001, FBT002 - the original takes its flags by position

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, FunctionType, ModuleType
from typing import Any, TypeVar, overload

from opto.errors import ExecutionError as ExecutionError
from opto.errors import InvalidArgument
from opto.errors import TraceMissingInputsError as TraceMissingInputsError
from opto.trace.broadcast import recursive_conversion
from opto.trace.code import Execution
from opto.trace.core import Node, lift
from opto.trace.function import OPEN
from opto.trace.function import FunModule as FunModule
from opto.trace.holding import plain
from opto.trace.scope import READS
from opto.trace.source import Place
from opto.trace.threads import install

R = TypeVar("R")

install()


def disable_external_dependencies_check(value: bool) -> None:
    """Turn the check of unlisted reads off (True) or on (False) here, whatever the bundles say."""
    OPEN.set(value)


def to_data(obj: Any) -> Any:
    """Return the value of a node; containers keep their shape, with the values of their nodes."""
    return obj._data if isinstance(obj, Node) else plain(obj, Node)


def wrap_node(obj: Any) -> Any:
    """Return a node for `obj`, and `obj` itself if it is one or a bundle."""
    return obj if isinstance(obj, (Node, FunModule)) else lift(obj)


def detach_inputs(obj: Any) -> Any:
    """Return `obj` with its nodes replaced by copies without history."""
    if isinstance(obj, Node):
        return obj.detach()
    return recursive_conversion(lambda node: node.detach(), lambda leaf: leaf)(obj)


def update_local(frame: Any, name: str, value: Any) -> None:
    """Refuse: frames are not patched here."""
    del frame, value
    message = f"local variables of other frames aren't changed ({name!r}); pass values as arguments"
    raise InvalidArgument(message)


@contextmanager
def trace_nodes() -> Iterator[set[Any]]:
    """Yield a set that holds, when the block ends, the nodes whose data was read inside."""
    seen: set[Any] = set()
    reads: list[tuple[Any, bool]] = []
    token = READS.set(reads)
    try:
        yield seen
    finally:
        READS.reset(token)
        seen.update(node for node, taken in reads if taken)


@overload
def bundle(description: Callable[..., R]) -> FunModule[R]: ...
@overload
def bundle(
    description: str | None = ...,
    traceable_code: bool = ...,
    _process_inputs: bool = ...,
    trainable: bool = ...,
    catch_execution_error: bool = ...,
    allow_external_dependencies: bool = ...,
    overwrite_python_recursion: bool = ...,
    *,
    projections: list[Any] | None = ...,
    output_name: str | None = ...,
    execution: Execution | None = ...,
) -> Callable[[Callable[..., R]], FunModule[R]]: ...
def bundle(  # noqa: PLR0913 - the original's signature
    description: Any = None,
    traceable_code: bool = False,
    _process_inputs: bool = True,
    trainable: bool = False,
    catch_execution_error: bool = True,
    allow_external_dependencies: bool = False,
    overwrite_python_recursion: bool = False,
    *,
    projections: list[Any] | None = None,
    output_name: str | None = None,
    execution: Execution | None = None,
) -> Any:
    """Make a function one operation of the graph; with parentheses or without.

    Args:
        description: ``[name] sentence`` for a model; made of name and docstring if None.
        traceable_code: give the function nodes, so that operations inside it are recorded too; see
            `TraceGraph.expand`.
        _process_inputs: False gives the function its arguments as the caller passed them.
        trainable: make the source of the function a parameter.
        catch_execution_error: turn an exception into an `ExecutionError` that carries a node.
        allow_external_dependencies: let the function read nodes that aren't its arguments.
        overwrite_python_recursion: let the function call itself untraced; always so if trainable.
        projections: applied in order to each new source before it is set.
        output_name: base of the names of results; the name in the description if None.
        execution: how code runs that the author didn't write: "inprocess", "isolated", or a policy
            of `opto.execution`; what the context or ``OPTO_EXECUTION`` says if None.
    """
    options = {
        "traceable_code": traceable_code,
        "_process_inputs": _process_inputs,
        "trainable": trainable,
        "catch_execution_error": catch_execution_error,
        "allow_external_dependencies": allow_external_dependencies,
        "overwrite_python_recursion": overwrite_python_recursion,
        "projections": projections,
        "output_name": output_name,
        "execution": execution,
    }

    made = sys._getframe(1).f_lineno

    def decorate(fun: Callable[..., R]) -> Any:
        return _decorated(fun, description, options, (sys._getframe(1), made))

    if callable(description) or isinstance(description, _METHODS):
        return _decorated(description, None, options, (sys._getframe(1), made))
    return decorate


_METHODS = (staticmethod, classmethod, property)


def _decorated(
    fun: Any, description: Any, options: dict[str, Any], where: tuple[FrameType, int]
) -> Any:
    frame, made = where
    if isinstance(fun, FunModule):
        message = f"{fun._fun_name} is bundled already; decorate it once"
        raise InvalidArgument(message)
    helpers = _helpers(frame) if options["trainable"] else {}
    if isinstance(fun, property):
        return property(_decorated(fun.fget, description, options, where), fun.fset, fun.fdel)
    if isinstance(fun, classmethod):
        inner: Any = fun.__func__
        return classmethod(_decorated(inner, description, options, where))
    place = Place(frame.f_code.co_filename, made, frame.f_lineno)
    return FunModule(fun, description, place=place, helpers=helpers, **options)


def _helpers(frame: FrameType) -> dict[str, Any]:
    """Return functions, classes and modules that are local at the place of decoration.

    Other values are left alone: a decorator has no business keeping them alive.
    """
    local = frame.f_locals
    if local is frame.f_globals or "__qualname__" in local:  # a module or a class body
        return {}
    kinds = (FunctionType, type, ModuleType, FunModule)
    return {name: value for name, value in local.items() if isinstance(value, kinds)}
