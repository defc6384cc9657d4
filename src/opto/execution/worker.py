"""Inside a candidate's process: load its code once, then answer calls.

By the time this runs, the process is locked. Whatever the code does to this module it does to its
own process alone; the host trusts nothing that comes out.
"""

from __future__ import annotations
import __future__

import ast
import faulthandler
import io
import os
import signal
import struct
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

from opto.errors import NotPlainData
from opto.execution.wire import decode, encode, frame

CHANNEL = 3
OUTPUT = 1
MOST_ITEMS = 100_000
_MOST_TEXT = 2_000
_MOST_PRINTED = 1 << 16
_MODULE = "__proposed__"
_COMPILER_FLAGS = __future__.annotations.compiler_flag


class Printed(io.TextIOBase):
    """Standard output that stops taking more than the host would keep."""

    def __init__(self) -> None:
        self.left = _MOST_PRINTED

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, text: str, /) -> int:
        """Pass text on until there is enough of it."""
        raw = str(text)[: self.left].encode("utf-8", "replace")[: self.left]
        self.left -= len(raw)
        if raw:
            try:
                os.write(OUTPUT, raw)
            except BlockingIOError:
                self.left = 0
        return len(text)


class View:
    """The object that a method belongs to: its plain attributes, for reading."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        kind = type(self).__name__
        message = f"{kind!r} object has no attribute {name!r} that is plain data"
        raise AttributeError(message)

    def __setattr__(self, name: str, _: Any) -> None:
        message = f"self is read-only here; return what should change ({name!r})"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)


class Candidate:
    """Code, loaded.

    Args:
        load: the shipment; see `opto.execution.crossing`.
    """

    def __init__(self, load: Mapping[str, Any]) -> None:
        self.filename: str = load["filename"]
        self.module = types.ModuleType(_MODULE)
        sys.modules[_MODULE] = self.module
        space = self.module.__dict__
        for alias, module, attribute in load["imports"]:
            found = __import__(module, fromlist=["*"])
            space[alias] = getattr(found, attribute) if attribute else found
        space.update(load["data"])
        for alias, name, text in load["helpers"]:
            self._run(text, f"<helper {name}>", [])
            space[alias] = space[name]
        self._run(load["text"], self.filename, load["dropped"])
        self.function: Callable[..., Any] = space[load["name"]]

    def _run(self, text: str, filename: str, dropped: list[int]) -> None:
        tree = ast.parse(text, filename)
        tree.body = [node for node in tree.body if node.lineno not in dropped]
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                kept = [d for d in node.decorator_list if d.lineno not in dropped]
                node.decorator_list = kept
        code = compile(tree, filename, "exec", _COMPILER_FLAGS, dont_inherit=True)
        exec(code, self.module.__dict__)  # noqa: S102 - what this process is for

    def call(self, message: Mapping[str, Any]) -> tuple[Any, bool]:
        """Call the function; return its result, and whether that was drained from a generator."""
        if message["data"]:
            self.module.__dict__.update(message["data"])
        args, of = list(message["args"]), message["self"]
        if of is not None:
            name, values = of
            args.insert(0, type(name, (View,), {})(values))
        result = self.function(*args, **message["kwargs"])
        if isinstance(result, types.CoroutineType):
            return _finished(result), False
        if isinstance(result, types.AsyncGeneratorType):
            return _finished(_drained_async(result)), True
        if isinstance(result, types.GeneratorType):
            return _drained(result), True
        return result, False


def _finished(work: Any) -> Any:
    import asyncio  # noqa: PLC0415 - slow to load, and rarely needed

    return asyncio.run(work)


def _drained(items: Any) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        kept.append(item)
        if len(kept) > MOST_ITEMS:
            raise _too_many()
    return kept


async def _drained_async(items: Any) -> list[Any]:
    kept: list[Any] = []
    async for item in items:
        kept.append(item)
        if len(kept) > MOST_ITEMS:
            raise _too_many()
    return kept


def _too_many() -> OverflowError:
    return OverflowError(f"the generator gives more than {MOST_ITEMS} items")


# ---- answering -----------------------------------------------------------------------------------


def serve() -> None:
    """Answer the host until it is gone."""
    faulthandler.enable(OUTPUT, all_threads=False)
    faulthandler.register(signal.SIGUSR1, OUTPUT, all_threads=False)
    candidate: list[Candidate] = []
    while True:
        message: dict[str, Any] = decode(_received())
        printed = Printed()
        sys.stdout = sys.stderr = printed
        try:
            if "text" in message:
                _reseed()
                candidate.append(Candidate(message))
                answer = encode(("ok", None, False))
            else:
                answer = _encoded(candidate[0].call(message))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is reported
            answer = encode(("error", *_described(error, message.get("filename"), candidate)))
        _send(answer)


def complain(reason: str) -> None:
    """Tell the host, at its first message, that this process can't be confined."""
    _received()
    _send(encode(("refused", reason)))


def _reseed() -> None:
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # numpy's; `random` itself is done by fork


def _encoded(result: tuple[Any, bool]) -> bytes:
    value, drained = result
    try:
        return encode(("ok", value, drained))
    except NotPlainData as error:
        message = f"the function returned what can't leave its process: {error}"
        raise TypeError(message) from None


def _described(
    error: BaseException, filename: str | None, candidate: list[Candidate]
) -> tuple[Any, ...]:
    """Return name and module of the exception's type, text, plain arguments, line, function."""
    kind = type(error)
    own = candidate[0].filename if candidate else filename
    line, function, entry = 0, "", error.__traceback__
    while entry is not None:
        if entry.tb_frame.f_code.co_filename == own:
            line, function = entry.tb_lineno, entry.tb_frame.f_code.co_name
        entry = entry.tb_next
    if isinstance(error, SyntaxError) and not line:
        line = error.lineno or 0
    name, module = str(kind.__name__)[:200], str(kind.__module__)[:200]
    return name, module, _text(error), _arguments(error), line, function


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException as other:  # noqa: BLE001 - whatever it is, it is reported
        return f"<unprintable: {type(other).__name__} in __str__>"
    return text[:_MOST_TEXT] if type(text) is str else "<unprintable>"


def _arguments(error: BaseException) -> tuple[Any, ...] | None:
    """Return the arguments of the exception if they are plain and small."""
    try:
        arguments = tuple(error.args)
        small = len(encode(arguments)) <= 2 * _MOST_TEXT
    except Exception:  # noqa: BLE001 - whatever it is, it is reported
        return None
    return arguments if small else None


def _received() -> bytes:
    (length,) = struct.unpack(">I", _read(4))
    return _read(length)


def _read(count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = os.read(CHANNEL, count - len(parts))
        if not part:
            os._exit(0)
        parts += part
    return bytes(parts)


def _send(payload: bytes) -> None:
    rest = memoryview(frame(payload))
    while rest:
        rest = rest[os.write(CHANNEL, rest) :]
