"""Arguments to inputs: what `inspect.Signature.bind` does, worked out once per function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from opto.trace.ops import argument_names

_P = inspect.Parameter


class Bound(NamedTuple):
    """The arguments of one call, defaults included.

    Attributes:
        names: names of the inputs; ``args_0``, ... for surplus positional arguments.
        values: the values, in the same order.
        positional: how many of them are passed by position; the others are passed by name.
    """

    names: tuple[str, ...]
    values: tuple[Any, ...]
    positional: int


def _signature(fun: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(fun)
    except ValueError:  # a builtin that doesn't tell: anything goes
        kinds = (_P.VAR_POSITIONAL, _P.VAR_KEYWORD)
        names = ("args", "kwargs")
        return inspect.Signature([_P(*pair) for pair in zip(names, kinds, strict=True)])


class Plan:
    """How calls of one function are bound.

    Attributes:
        names: names of the parameters, ``*args`` and ``**kwargs`` left out.
        count: how many of them can be passed by position.
        simple: whether a call with that many positional arguments leaves nothing to default.
        tails: the defaults that complete a call with fewer, by how many it has.
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        self.signature = _signature(fun)
        parameters = list(self.signature.parameters.values())
        by_position = {_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD}
        self.positional = tuple(p.name for p in parameters if p.kind in by_position)
        self.unnamed = {p.name for p in parameters if p.kind is _P.POSITIONAL_ONLY}
        self.keyword = tuple(p.name for p in parameters if p.kind is _P.KEYWORD_ONLY)
        self.defaults = {p.name: p.default for p in parameters if p.default is not _P.empty}
        self.variadic = any(p.kind is _P.VAR_POSITIONAL for p in parameters)
        self.open = any(p.kind is _P.VAR_KEYWORD for p in parameters)
        self.names = (*self.positional, *self.keyword)
        self.count = len(self.positional)
        self.simple = not self.keyword
        last = [self.defaults[n] for n in self.positional if n in self.defaults]
        self.tails = {self.count - k: tuple(last[-k:]) for k in range(1, len(last) + 1)}

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
        """Return the arguments by name.

        Raises:
            TypeError: as a call of the function itself would.
        """
        if len(args) > self.count and not self.variadic:
            self._refuse(args, kwargs)
        names = list(argument_names(self.positional, len(args)))
        values = list(args)
        rest = dict(kwargs)
        for name in self.positional[len(args) :]:
            names.append(name)
            values.append(self._take(name, rest, args, kwargs))
        by_position = len(values)
        for name in self.keyword:
            names.append(name)
            values.append(self._take(name, rest, args, kwargs))
        if rest and (not self.open or not rest.keys().isdisjoint(self._passed(len(args)))):
            self._refuse(args, kwargs)
        return Bound((*names, *rest), (*values, *rest.values()), by_position)

    def _take(
        self, name: str, rest: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if name in rest and name not in self.unnamed:
            return rest.pop(name)
        if name not in self.defaults:
            self._refuse(args, kwargs)
        return self.defaults[name]

    def _passed(self, count: int) -> set[str]:
        return set(self.positional[:count]) - self.unnamed

    def _refuse(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.signature.bind(*args, **kwargs)
        message = f"the arguments don't fit {self.signature}"
        raise TypeError(message)
