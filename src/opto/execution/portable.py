"""The policy `portable`: code runs in an interpreter of a subset of Python, in its own process.

For machines without the kernel's means. pydantic-monty knows no files, no network, no processes and
no libraries in C, so there is nothing to lock. What it can't run is found before, and named.
"""

from __future__ import annotations

import ast
import inspect
import os
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from opto.errors import CannotIsolate, MalformedMessage, NotPlainData
from opto.execution.callers import Returned, Ticket, callable_of
from opto.execution.capabilities import Granted, is_function
from opto.execution.conversation import Failure
from opto.execution.crossing import Shipment
from opto.execution.exchange import DEEPEST, DEPTH
from opto.execution.guest import Calls, given, taken
from opto.execution.interpreter import REMEDIES, Feed, Guest
from opto.execution.isolated import Version, error_of, named, prepared
from opto.execution.objects import Kinds
from opto.execution.reading import READING
from opto.execution.sessions import monty, sessions
from opto.execution.subset import MODULES, changes_of, unsupported
from opto.trace.code import Loaded, Surroundings
from opto.trace.source import FunctionNode

if TYPE_CHECKING:
    from opto.execution.policy import Policy


def load_portable(policy: Policy, text: str, surroundings: Surroundings, filename: str) -> Loaded:
    """Read `text` and load it into an interpreter.

    Raises:
        CannotIsolate: if it uses what the interpreter hasn't, or what can't cross.
        MissingExtra: if there is no interpreter.
        Exception: what the text raises at its top level.
    """
    monty()
    wanted = MODULES if "*" in policy.imports else MODULES & policy.imports
    policy = replace(policy, imports=wanted)
    with READING:
        version = prepared(policy, text, surroundings, filename, partial(_lint, wanted))
    runner = Runner(version, policy)
    runner.start()
    return Loaded(text, callable_of(runner, surroundings.fun), filename, {filename: text})


def _lint(
    allowed: frozenset[str], shipment: Shipment, tree: ast.Module, definition: FunctionNode
) -> None:
    """Add what the interpreter can't do to what can't cross."""
    found = unsupported(tree, allowed)
    if _is_method(definition):
        found += changes_of(definition)
    for _, name, source in shipment.lesson["helpers"]:
        found += unsupported(ast.parse(source), allowed, f"{name}, line")
    values = shipment.values()
    found += _not_given({name: value for name, value in values.items() if not is_function(value)})
    for name, value in values.items():
        if is_function(value) and inspect.iscoroutinefunction(
            getattr(_plain(value), "_fun", _plain(value))
        ):
            found.append(f"{name}: a coroutine of the host")
    shipment.offenders[:] = [*found, *shipment.offenders]


def _plain(value: Any) -> Any:
    return value.function if isinstance(value, Granted) else value


def _is_method(definition: FunctionNode) -> bool:
    first = [*definition.args.posonlyargs, *definition.args.args][:1]
    return bool(first) and first[0].arg == "self"


class Runner:
    """Runs calls of one version in sessions of its own; see `isolated.Runner`.

    Args:
        version: the code.
        policy: under what it runs.
    """

    def __init__(self, version: Version, policy: Policy) -> None:
        self.version, self.policy = version, policy
        self.idle: deque[Guest] = deque()
        self.host = os.getpid()
        weakref.finalize(self, _end_all, self.idle)

    def start(self) -> None:
        """Load the code, so that its errors show now."""
        self._keep(self._fresh())

    def run(self, ticket: Ticket, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returned:
        """Call the function."""
        if DEPTH.get() >= DEEPEST:
            message = f"calls back to the host nest deeper than {DEEPEST}"
            raise RecursionError(message)
        calls = Calls(self.policy.limits.calls_back)
        guest = self._taken()
        ticket.take(guest)
        try:
            feed, shown = self._ready(guest, args, kwargs, calls)
            value = guest.run(feed, calls, shown)
        except BaseException:
            guest.spoiled |= ticket.given_up
            raise
        finally:
            self._keep(guest)
        try:
            return Returned(taken(value), drained=False)
        except (NotPlainData, MalformedMessage) as error:
            text = f"the function returned what can't leave its process: {error}"
            failure = Failure("TypeError", "builtins", text, None, 0, "")
            raise error_of(self.version, failure, shown) from None

    # ---- sessions ----

    def _taken(self) -> Guest:
        while self.idle and self.host == os.getpid():
            try:
                guest = self.idle.pop()
            except IndexError:  # another thread was faster
                break
            if sessions().unpark(guest.session):
                return guest
        return self._fresh()

    def _keep(self, guest: Guest) -> None:
        if guest.spoiled:
            sessions().end(guest.session)
        else:
            sessions().park(guest.session)
            self.idle.append(guest)

    def _fresh(self) -> Guest:
        guest = Guest(self.version, self.policy.limits)
        try:
            guest.load(self._news(guest), self._names())
        except BaseException:
            sessions().end(guest.session)
            raise
        return guest

    # ---- what crosses ----

    def _names(self) -> list[str]:
        """Return the names of functions of the host that the code uses."""
        return [
            name for name, value in self.version.shipment.values().items() if is_function(value)
        ]

    def _news(self, guest: Guest) -> dict[str, Any]:
        """Return the plain data that the code refers to and that isn't what the guest has."""
        if not self.version.shipment.data:
            return {}
        values = self.version.shipment.values()
        plain = {name: value for name, value in values.items() if not is_function(value)}
        old, guest.data = guest.data, self.version.shipment.encoded(plain)
        return {n: given(plain[n]) for n, part in guest.data.items() if old.get(n) != part}

    def _functions(self, guest: Guest, calls: Calls) -> dict[str, Any]:
        if not self.version.shipment.data:
            return {}
        values = self.version.shipment.values()
        functions = {name: value for name, value in values.items() if is_function(value)}
        return {guest.host(name): calls.offered(value) for name, value in functions.items()}

    def _ready(
        self, guest: Guest, args: tuple[Any, ...], kwargs: dict[str, Any], calls: Calls
    ) -> tuple[Feed, list[tuple[str, object]]]:
        """Return what to run for a call, and its arguments."""
        kinds, offenders, names = self.version.kinds, list[str](), self.version.parameters
        made = Feed("", {}, {})
        if kinds is not None and args and kinds.has(args[0]):
            try:
                made = self._object(guest, kinds, args[0], calls)
            except NotPlainData as error:
                offenders = str(error).splitlines()
            args, names = args[1:], names[1:]
        shown = named(names, args, kwargs)
        offenders += _not_given(dict(shown))
        if offenders:
            reason = f"a call of {self.version.name} can't be given to the interpreter"
            raise CannotIsolate(f"{reason}. {REMEDIES}. What can't cross:", offenders)
        first = "__self(__values), " if made.code else ""
        call = f"{self.version.name}({first}*__args, **__kwargs)"
        line = f"{guest.pack}({'await ' if self.version.awaited else ''}{call})"
        given_ = {"__args": given(args), "__kwargs": given(kwargs)}
        inputs = {**self._news(guest), **made.inputs, **given_}
        offered = {**self._functions(guest, calls), **made.offered}
        return Feed(f"{made.code}{line}", inputs, offered), shown

    def _object(self, guest: Guest, kinds: Kinds, instance: Any, calls: Calls) -> Feed:
        """Return what makes the object of a method: a class with its functions, and values."""
        kind = kinds.of(instance)
        may_call, rest = kinds.read(instance, kind)
        functions = {name: value for name, value in may_call.items() if is_function(value)}
        values = {n: value for n, value in {**may_call, **rest}.items() if n not in functions}
        offenders = [f"self.{name}: a method; make it a bundle" for name in kind.methods]
        offenders += [f"self.{line}" for line in _not_given(values)]
        if offenders:
            raise NotPlainData("\n".join(offenders))
        inside = {_unmangled(name, kinds.owner): given(value) for name, value in values.items()}
        offered = {guest.host(f"self_{n}"): calls.offered(value) for n, value in functions.items()}
        asks = "".join(guest.asking(f"__self_{n}", f"self_{n}") for n in functions)
        methods = "".join(_METHOD.format(name=name) for name in functions)
        code = asks + _CLASS.format(name=type(instance).__name__, methods=methods)
        return Feed(code, {"__values": inside}, offered)


_CLASS = """\
def __self(values):
    class {name}:
        def __init__(self, values):
            for name in values:
                setattr(self, name, values[name])
{methods}
    return {name}(values)
"""
_METHOD = """\
        def {name}(self, *args, **kwargs):
            return __self_{name}(*args, **kwargs)
"""


def _unmangled(name: str, owner: str) -> str:
    """Return a private name as the code has it, which is in no class there."""
    prefix = f"_{owner.lstrip('_')}"
    return name[len(prefix) :] if name.startswith(f"{prefix}__") else name


def _not_given(values: Mapping[str, object]) -> list[str]:
    """Return a line for each value that can't be given."""
    found: list[str] = []
    for name, value in values.items():
        try:
            given(value)
        except NotPlainData as error:
            found.append(f"{name}: {error}")
    return found


def _end_all(idle: deque[Guest]) -> None:
    while idle:
        session = idle.pop().session
        if sessions().unpark(session):
            sessions().end(session)
