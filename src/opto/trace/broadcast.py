"""Applying an operation across containers of nodes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from opto.errors import WrongType
from opto.trace.core import Node
from opto.trace.holding import NodeContainer


def apply_op(op: Callable[..., Any], output: Any, *args: Any, **kwargs: Any) -> Any:
    """Apply `op` element by element, recursively, and put the results into `output`.

    Args:
        op: any callable.
        output: gives the shape and receives the results: a list, tuple, dict or `NodeContainer`.
            Leaves for which there is nothing to compute stay as they are.
        args: nodes, which are used for every element, or containers of the same shape as `output`.
        kwargs: the same, by name.

    Raises:
        WrongType: if a container isn't of the type and length of `output`.
    """
    inputs = [*args, *kwargs.values()]
    if all(isinstance(value, Node) for value in inputs):
        return op(*args, **kwargs)
    containers = [value for value in inputs if not isinstance(value, Node)]
    for value in containers:
        same = type(value) is type(output)
        if not same or (isinstance(output, (list, tuple)) and len(value) != len(output)):
            message = (
                f"apply_op got {_shape(value)} where the output is {_shape(output)}; containers "
                "must have the same type and length"
            )
            raise WrongType(message)
    return _into(op, output, args, kwargs)


def _shape(value: Any) -> str:
    size = f" of length {len(value)}" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{size}"


def _into(
    op: Callable[..., Any], output: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    def at(pick: Callable[[Any], Any], element: Any) -> Any:
        if not isinstance(element, (Node, list, tuple, dict, NodeContainer)):
            return element
        inner = [value if isinstance(value, Node) else pick(value) for value in args]
        named = {k: v if isinstance(v, Node) else pick(v) for k, v in kwargs.items()}
        return apply_op(op, element, *inner, **named)

    if isinstance(output, (list, tuple)):
        made = [at(lambda v, i=i: v[i], element) for i, element in enumerate(output)]  # type: ignore[misc]  # bound now
        if isinstance(output, tuple):
            return type(output)(made)
        output[:] = made
    elif isinstance(output, dict):
        for key in output:
            output[key] = at(lambda v, key=key: v[key], output[key])  # type: ignore[misc]  # bound now
    elif isinstance(output, NodeContainer):
        for name, element in list(vars(output).items()):
            setattr(output, name, at(lambda v, name=name: getattr(v, name), element))  # type: ignore[misc]  # bound now
    return output


def recursive_conversion(
    true_func: Callable[[Any], Any], false_func: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """Return a function that maps nodes by `true_func` and other leaves by `false_func`.

    It goes into tuples, lists, sets, values of dicts and attributes of `NodeContainer`s, which are
    copied.
    """

    def convert(obj: Any) -> Any:
        if isinstance(obj, Node):
            return true_func(obj)
        if isinstance(obj, (tuple, list, set)):
            kind: Any = type(obj)
            return kind(convert(item) for item in obj)
        if isinstance(obj, dict):
            return {key: convert(value) for key, value in obj.items()}
        if isinstance(obj, NodeContainer):
            twin = copy.copy(obj)
            for name, value in vars(obj).items():
                setattr(twin, name, convert(value))
            return twin
        return false_func(obj)

    return convert
