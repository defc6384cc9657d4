"""One session of the interpreter of a subset of Python, with the code of one version in it."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from opto.errors import CannotIsolate
from opto.execution.conversation import Failure
from opto.execution.guest import Calls, pack_named, sample
from opto.execution.isolated import Version, error_of
from opto.execution.limits import Limits
from opto.execution.reading import READING
from opto.execution.sessions import monty, sessions
from opto.execution.subset import without_lines

_MOST_PRINTED = 1 << 16
_OVER_TIME = "feed time limit exceeded"
REMEDIES = (
    "Write it without what is named below; give plain data as arguments; use execution='isolated' "
    "where the machine allows it; or, if you trust the code, execution='inprocess'"
)
_ASKING = """\
def {name}(*args, **kwargs):
    return {host}({pack}(args), {pack}(kwargs))
"""


class Printed:
    """Takes what the code prints, until there is enough of it."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.left = _MOST_PRINTED

    def __call__(self, _: str, text: str) -> None:
        """Take a part."""
        part = text[: self.left]
        self.left -= len(part)
        if part:
            self.parts.append(part)


class Feed(NamedTuple):
    """Lines to run, with values and functions that they use."""

    code: str
    inputs: Mapping[str, Any]
    offered: Mapping[str, Any]


class Guest:
    """Code of one version in a session.

    Args:
        version: the code.
        limits: what it may use.
    """

    def __init__(self, version: Version, limits: Limits) -> None:
        self.version, self.limits = version, limits
        self.session = sessions().fresh(limits)
        self.data: dict[str, bytes] = {}
        self.spoiled = False
        self.fed, self.own = 0, -1
        self.token = secrets.token_hex(8)
        self.pack = f"__pack_{self.token}"

    def load(self, values: Mapping[str, Any], functions: Iterable[str]) -> None:
        """Load the code and what goes along with it.

        Args:
            values: plain data by name.
            functions: names of functions of the host.
        """
        load, lesson = self.version.load, self.version.shipment.lessons[0]
        imports = "\n".join(_import(*wanted) for wanted in lesson["imports"])
        helpers = [source for _, _, source in lesson["helpers"]]
        with READING:
            own = without_lines(load["text"], load["dropped"])
        calls = Calls(0)
        asks = "".join(self.asking(name, name) for name in functions)
        first = "\n".join([imports, pack_named(self.pack), asks])
        self.run(Feed(f"{first}\nNone", {**values, "__node": sample()}, {}), calls, [])
        for part in (*helpers, own):
            self.own = self.fed
            self.run(Feed(f"{part}\nNone", {}, {}), calls, [])

    def asking(self, name: str, key: str) -> str:
        """Return the text of a function that asks the host to call what is offered under a key."""
        pack = self.pack
        return _ASKING.format(name=name, host=self.host(key), pack=pack)

    def host(self, key: str) -> str:
        """Return the name under which the host is asked; the code can't know it."""
        return f"__host_{self.token}_{key}"

    def run(self, feed: Feed, calls: Calls, shown: list[tuple[str, object]]) -> Any:
        """Run lines and return the value of the last one; raise what they raise."""
        printed, package = Printed(), monty()
        try:
            value = self.session.feed_run(
                feed.code,
                inputs=dict(feed.inputs),
                external_lookup=dict(feed.offered),
                print_callback=printed,
            )
        except package.MontyConversionError as error:
            reason = str(error).partition(" \N{EM DASH}")[0]
            raise CannotIsolate(f"a value can't be given to the interpreter: {reason}") from None
        except package.MontyError as error:
            failed = self._failed(error, "".join(printed.parts), calls, shown)
            raise failed from None
        except BaseException:
            self.spoiled = True
            raise
        finally:
            self.fed += 1
        if calls.ending is not None:
            raise calls.ending
        return value

    def _failed(
        self, error: Any, printed: str, calls: Calls, shown: list[tuple[str, object]]
    ) -> BaseException:
        """Return what to raise for an exception of the interpreter."""
        if calls.ending is not None:
            return calls.ending
        raised = error.exception()
        kind, text = type(raised).__name__, str(raised)
        crashed = isinstance(error, monty().MontyCrashedError)
        late = text.startswith(_OVER_TIME) or (crashed and error.timed_out)
        self.spoiled = crashed or late or isinstance(raised, MemoryError)
        if isinstance(raised, NotImplementedError) and "monty" in text:
            return CannotIsolate(f"the interpreter can't run it: {text}. {REMEDIES}")
        if late or text.startswith("sleep limit exceeded"):
            text = f"the call took longer than {self.limits.seconds:g} s and was stopped"
            kind = "TimeoutError"
        elif crashed:
            kind, text = "ProcessEnded", f"the process ended: {text}"
        line, function = self._place(error)
        module = "" if crashed and not late else "builtins"
        failure = Failure(kind, module, text, tuple(raised.args), line, function, 0, printed)
        return error_of(self.version, failure, shown, calls.original(kind, text))

    def _place(self, error: Any) -> tuple[int, str]:
        """Return line and function of the innermost line of the code."""
        frames = error.traceback() if hasattr(error, "traceback") else []
        for frame in reversed(frames):
            if frame.filename == f"<python-input-{self.own}>":
                return frame.line, frame.function_name or "<module>"
        return 0, ""

    def stop(self) -> None:
        """End the process from another thread than the one that uses it, which will notice."""
        pid = self.session.worker_pid
        if pid:
            os.kill(pid, signal.SIGTERM)


def _import(alias: str, module: str, attribute: str) -> str:
    return (
        f"from {module} import {attribute} as {alias}"
        if attribute
        else (f"import {module} as {alias}")
    )
