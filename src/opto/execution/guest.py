"""What a function of the host looks like to code in the interpreter of a subset of Python.

Nodes and replies go in as objects of which named attributes can be read; returned, they are the
host's again. All else is plain data.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from opto.errors import MalformedMessage, NotPlainData
from opto.execution.capabilities import Granted, Space, call
from opto.execution.exchange import DEEPEST, DEPTH, told_of
from opto.execution.sessions import monty
from opto.execution.wire import MAX_BYTES, MAX_DEPTH, closed, encode
from opto.trace.core import Node


class Calls:
    """The calls back to the host that one call makes.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self.most, self.count = most, 0
        self.last: tuple[str, str, BaseException] | None = None
        self.ending: BaseException | None = None

    def offered(self, function: Any) -> Callable[..., Any]:
        """Return what the code calls in place of a function of the host."""

        def ask(args: Any, kwargs: Any) -> Any:
            return self._ask(function, args, kwargs)

        return ask

    def _ask(self, function: Any, args: Any, kwargs: Any) -> Any:
        token = DEPTH.set(DEPTH.get() + 1)
        try:
            self._check()
            args, kwargs = taken(args), taken(kwargs)
            made = call(function, "call", args, kwargs)
            if inspect.iscoroutine(made):
                made.close()
                message = "coroutines of the host can't be awaited under execution='portable'"
                raise TypeError(message)
            return given(made)
        except Exception as error:  # noqa: BLE001 - told to the code, raised again if it passes it on
            told = told_of(error)
            self.last = (type(told).__name__, str(told), error)
            raise told.with_traceback(None) from None
        except BaseException as error:
            self.ending = error  # the code may catch it; the host raises it all the same
            raise
        finally:
            DEPTH.reset(token)

    def _check(self) -> None:
        self.count += 1
        if self.count > self.most:
            message = f"the call made more than {self.most} calls back to the host"
            raise RuntimeError(message)
        if DEPTH.get() > DEEPEST:
            message = f"calls back to the host nest deeper than {DEEPEST}"
            raise RecursionError(message)

    def original(self, kind: str, text: str) -> BaseException | None:
        """Return the host's exception that the code passed on, if it did."""
        if self.last is None or (kind, text) != self.last[:2]:
            return None
        return self.last[2]


def given(value: Any) -> Any:
    """Return what stands for a value in the interpreter.

    Raises:
        NotPlainData: if nothing does.
    """
    try:
        encode(value)
    except NotPlainData:
        return _wrapped(value)
    return value


def _wrapped(value: Any) -> Any:
    wrapped = monty().ClassInstance
    if isinstance(value, Granted):
        message = "a function can be called by its own name alone"
        raise NotPlainData(message)
    if isinstance(value, Node):
        return wrapped(_Readable(value), lazy_attrs={"data"})
    if isinstance(value, Space):
        names = {name: given(inner) for name, inner in value.values.items()}
        return wrapped(SimpleNamespace(**names), eager_attrs="all")
    if type(value) in {list, tuple}:
        return type(value)(map(given, value))
    if type(value) is dict:
        return {key: given(inner) for key, inner in value.items()}
    encode(value)
    return value


class _Readable:
    """A node, of which the value can be read if it is plain data."""

    def __init__(self, node: Any) -> None:
        self.node = node

    @property
    def data(self) -> Any:
        """The value."""
        return given(self.node.data)


# Run in the interpreter, under a name that the code can't know: what it hands over is made of lists
# and scalars alone. The interpreter would make a table of whatever keys the code chose, here, and
# would hand over as text what it can't hand over.
PACK = """\
def {pack}(value, left=None, depth=0, type=type, len=len, scalars=(
    type(None), bool, int, float, complex), texts=(str, bytes), tags={{
    list: "l", tuple: "t", dict: "D", set: "S", frozenset: "Z"}}, node=type({node}),
    error=TypeError, most={most}, deepest={deepest}):
    kind = type(value)
    left = [most] if left is None else left
    if kind in scalars:
        return value
    if kind in texts:
        left[0] -= len(value)
        if left[0] < 0:
            raise error("it is more than " + str(most) + " bytes")
        return value
    if kind is node:
        return value
    if kind not in tags:
        raise error(str(kind) + " is not plain data")
    if depth > deepest:
        raise error("it is nested deeper than " + str(deepest))
    left[0] -= len(value) * 16
    if left[0] < 0:
        raise error("it is more than " + str(most) + " bytes")
    made = [tags[kind]]
    for item in value:
        made.append({pack}(item, left, depth + 1))
        if kind is dict:
            made.append({pack}(value[item], left, depth + 1))
    return made
"""


def pack_named(name: str) -> str:
    """Return the text of the function that packs what is handed over, under a name."""
    return PACK.format(pack=name, node="__node", most=MAX_BYTES, deepest=MAX_DEPTH - 2)


def sample() -> Any:
    """Return what stands for some node: its type is that of all nodes in the interpreter."""
    return monty().ClassInstance(_Readable(None), lazy_attrs={"data"})


def taken(value: Any) -> Any:
    """Return what was packed, with the host's own nodes in place of what stood for them.

    Raises:
        NotPlainData: if it is no plain data.
        MalformedMessage: if it isn't packed as it should be.
    """
    encode(value, lambda inner: [] if type(inner) is _Readable else None)
    return _unpacked(value)


def _unpacked(value: Any) -> Any:
    kind = type(value)
    if kind is _Readable:
        return value.node
    if kind is not list:
        if kind in {tuple, dict, set, frozenset}:
            message = "something that isn't packed"
            raise MalformedMessage(message)
        return value
    return closed(value[0] if value else "", list(map(_unpacked, value[1:])))
