"""The policy `isolated`: code runs in a locked process of its own, one for each version of it."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from opto.errors import CannotIsolate, NotPlainData
from opto.execution.callers import Returned, Ticket, callable_of
from opto.execution.capabilities import used_by
from opto.execution.conversation import Conversation, Failure, Refused
from opto.execution.crossing import REMEDIES, Shipment, offenders_of
from opto.execution.exchange import Exchange
from opto.execution.limits import is_allowed
from opto.execution.objects import Kinds
from opto.execution.raising import exception_of, notes_of, raise_at
from opto.execution.reading import READING, imports_of, without_our_decorators
from opto.execution.server import Server, Setting, server
from opto.execution.transport import Fleet, fleet
from opto.execution.wire import encode
from opto.trace.code import Loaded, Namespace, Surroundings, parsed
from opto.trace.source import FunctionNode

if TYPE_CHECKING:
    from opto.execution.policy import Policy

_SCALARS = (str, int, float, bool, type(None), bytes)


class Version(NamedTuple):
    """Code of one text, ready to be given to processes.

    Attributes:
        name: of the function.
        filename: of the text, in tracebacks.
        line: where the function is defined.
        parameters: names of its parameters, for showing arguments.
        load: the message that loads it, but for what goes along with it.
        shipment: what goes along with it.
        kinds: how objects cross that it is a method of; None if it is no method.
        preload: modules that it imports.
        awaited: whether it is a coroutine function.
    """

    name: str
    filename: str
    line: int
    parameters: tuple[str, ...]
    load: Mapping[str, Any]
    shipment: Shipment
    kinds: Kinds | None
    preload: tuple[str, ...]
    awaited: bool


def load_isolated(policy: Policy, text: str, surroundings: Surroundings, filename: str) -> Loaded:
    """Read `text`, start a process and load it there.

    Raises:
        CannotIsolate: if it refers to what can't cross, or the machine can't confine it.
        Exception: what the text raises at its top level.
    """
    with READING:
        version = prepared(policy, text, surroundings, filename)
    runner = Runner(version, policy)
    runner.start()
    return Loaded(text, callable_of(runner, surroundings.fun), filename, {filename: text})


def prepared(
    policy: Policy,
    text: str,
    surroundings: Surroundings,
    filename: str,
    lint: Callable[[Shipment, ast.Module, FunctionNode], None] | None = None,
) -> Version:
    """Read `text` and find what goes along with it.

    Args:
        policy: what may go along.
        text: the code.
        surroundings: what it refers to.
        filename: its name in tracebacks.
        lint: adds what else can't be.

    Raises:
        CannotIsolate: if it refers to what can't cross.
        Exception: if it is no code, or imports what isn't allowed.
    """
    tree, definition = parsed(text, surroundings.name, filename)
    space = Namespace(surroundings)
    dropped = without_our_decorators(tree, definition, space)
    for line, module in imports_of(tree) if lint is None else ():
        if not is_allowed(module, policy.imports) and _is_there(module):
            allowed = ", ".join(sorted(policy.imports))
            message = f"importing {module} isn't allowed here; allowed are {allowed}"
            raise_at(ImportError(message), filename, line, definition.name)
    uses = partial(used_by, surroundings.fun, surroundings.helpers, policy.imports)
    home = str(surroundings.fun.__module__ or "").partition(".")[0]
    shipment = Shipment(policy.imports, policy.capabilities, uses, home)
    shipment.seen[definition.name] = surroundings.fun
    shipment.add_free_names(tree, space)
    if lint is not None:
        lint(shipment, tree, definition)
    shipment.check(definition.name)
    parameters = [*definition.args.posonlyargs, *definition.args.args]
    load = {
        "text": text,
        "filename": filename,
        "name": definition.name,
        "owner": surroundings.owner,
        "dropped": dropped,
    }
    modules = [module for _, module in imports_of(tree)]
    modules += [module for _, module, _ in shipment.lesson["imports"]]
    if inspect.iscoroutinefunction(surroundings.fun):
        modules.append("asyncio")
    return Version(
        definition.name,
        filename,
        definition.lineno,
        tuple(parameter.arg for parameter in parameters),
        load,
        shipment,
        Kinds(definition, surroundings, shipment) if surroundings.owner else None,
        tuple(dict.fromkeys(modules)),
        isinstance(definition, ast.AsyncFunctionDef),
    )


def _is_there(module: str) -> bool:
    """Whether there is such a module; what isn't there is best reported by importing it inside."""
    top = module.partition(".")[0]
    return not top or importlib.util.find_spec(top) is not None


class _Given(NamedTuple):
    """What a process was last given: of plain data, and how many lessons."""

    scalars: dict[str, Any]
    encoded: dict[str, bytes]
    lessons: int


def _scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that can't change and keep nothing else alive."""
    return {name: value for name, value in values.items() if type(value) in _SCALARS}


class _Call(NamedTuple):
    """One call, ready to be sent.

    Attributes:
        payload: arguments, and the object if there is one.
        shown: arguments by name, for errors.
        exchange: answers what the code asks for.
    """

    arguments: bytes
    instance: tuple[int, bytes, bytes] | None
    shown: list[tuple[str, object]]
    exchange: Exchange


class Runner:
    """Runs calls of one version in processes of its own.

    Calls that overlap get a process each. A process is kept for the next call unless the code left
    threads behind or has used much of the processor time that a process is given.

    Args:
        version: the code.
        policy: under what it runs.
    """

    def __init__(self, version: Version, policy: Policy) -> None:
        self.version, self.policy = version, policy
        self.idle: deque[tuple[Conversation, _Given]] = deque()
        weakref.finalize(self, _end_all, self.idle)

    @property
    def host(self) -> Server | Fleet:
        """What starts processes and keeps the idle ones."""
        policy = self.policy
        if policy.transport is not None:
            return fleet(policy.transport)
        return server(Setting(policy.paths, policy.namespaces))

    def start(self) -> None:
        """Start a process, so that errors of loading show now."""
        self._keep(*self._fresh())

    def call(self, *args: Any, **kwargs: Any) -> Returned:
        """Call the function; raise what it raises."""
        return self.run(Ticket(), args, kwargs)

    def run(self, ticket: Ticket, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returned:
        """Call the function in a process that `ticket` can end."""
        shipment = self.version.shipment
        exchange = Exchange(shipment.desk, self.policy.limits.calls_back, ticket.loop)
        call = self._ready(args, kwargs, exchange)
        process, given = self._taken()
        try:
            ticket.take(process)
            now, data, lessons = self._news(given)
            exchange.fixed = shipment.desk.things
            payload = encode((call.arguments, call.instance, data or None, lessons or None))
            answer = process.ask(payload, self.policy.limits.seconds, exchange)
        except BaseException:
            process.kill()
            raise
        finally:
            exchange.close()
        if not process.ended:
            self._keep(process, now)
        if isinstance(answer, Returned):
            return answer
        raise self._failed(answer, call.shown, exchange)

    # ---- processes ----

    def _taken(self) -> tuple[Conversation, _Given]:
        while self.idle:
            try:
                process, given = self.idle.pop()
            except IndexError:  # another thread was faster
                break
            if process.is_ours() and self.host.unpark(process):
                return process, given
        return self._fresh()

    def _fresh(self) -> tuple[Conversation, _Given]:
        shipment = self.version.shipment
        lessons, values = shipment.taken(), shipment.values()
        given = _Given(_scalars(values), shipment.encoded(values), len(lessons))
        payload = encode({**self.version.load, "lessons": lessons, "data": given.encoded})
        process = self.host.spawn(self.policy.limits, self.version.preload)
        try:
            answer = process.ask(payload, self.policy.limits.seconds)
        except BaseException:
            process.kill()
            raise
        if not isinstance(answer, Returned):
            process.kill()
            raise self._failed(answer, [])
        return process, given

    def _keep(self, process: Conversation, given: _Given) -> None:
        spent = process.seconds > self.policy.limits.processor_seconds / 2
        if spent or process.has_threads():
            process.kill()
            return
        self.host.park(process)
        self.idle.append((process, given))

    # ---- what crosses ----

    def _news(self, given: _Given) -> tuple[_Given, dict[str, bytes], list[Any]]:
        """Return what the process knows after this call; data and lessons that are new to it."""
        shipment = self.version.shipment
        lessons: list[Any] = []
        if len(shipment.lessons) > given.lessons:
            known = shipment.taken()
            lessons = known[given.lessons :]
            given = given._replace(lessons=len(known))
        if not shipment.data:
            return given, {}, lessons
        values = shipment.values()
        scalars = _scalars(values)
        if scalars.keys() == values.keys() == given.scalars.keys() and all(
            value is given.scalars[name] for name, value in scalars.items()
        ):
            return given, {}, lessons
        encoded = shipment.encoded(values)
        old = given.encoded
        data = {name: part for name, part in encoded.items() if old.get(name) != part}
        return given._replace(scalars=scalars, encoded=encoded), data, lessons

    def _ready(self, args: tuple[Any, ...], kwargs: dict[str, Any], exchange: Exchange) -> _Call:
        """Return the call as bytes; raise one error for all that can't cross."""
        names = self.version.parameters
        kinds, offenders, instance = self.version.kinds, list[str](), None
        arguments = b""
        if kinds is not None and args and kinds.has(args[0]):
            try:
                kind = kinds.of(args[0])
                instance = (kind.number, *kinds.values(args[0], kind, exchange))
            except NotPlainData as error:
                offenders = str(error).splitlines()
            args, names = args[1:], names[1:]
        try:
            arguments = encode((args, kwargs), exchange.outward)
        except NotPlainData as error:
            shown = named(names, args, kwargs)
            offenders += offenders_of(shown, exchange.outward) or [f"all together: {error}"]
        if offenders:
            reason = f"a call of {self.version.name} can't be given to a process of its own"
            raise CannotIsolate(f"{reason}. {REMEDIES}. What can't cross:", offenders)
        return _Call(arguments, instance, named(names, args, kwargs), exchange)

    def _failed(
        self,
        answer: Failure | Refused,
        arguments: list[tuple[str, object]],
        exchange: Exchange | None = None,
    ) -> BaseException:
        """Return what to raise: with the place in the text if the code failed."""
        if isinstance(answer, Refused):
            message = f"this machine can't isolate code: {answer.reason}"
            return CannotIsolate(message, by_machine=True)
        passed_on = exchange.errors.get(answer.host_error) if exchange is not None else None
        return error_of(self.version, answer, arguments, passed_on)


def error_of(
    version: Version,
    failure: Failure,
    arguments: list[tuple[str, object]],
    passed_on: BaseException | None = None,
) -> BaseException:
    """Return what to raise for a failure: with the place in the text.

    Args:
        version: the code that failed.
        failure: how.
        arguments: what it was called with.
        passed_on: the host's own exception, if it is one.
    """
    error = passed_on
    if error is None:
        error = exception_of(failure)
        error.__dict__["__notes__"] = notes_of(arguments, failure.printed)
    line = failure.line or version.line
    try:
        raise_at(error, version.filename, line, failure.function or version.name)
    except BaseException as raised:  # noqa: BLE001 - it now has a traceback that ends in the text
        return raised
    return error


def named(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[tuple[str, object]]:
    """Return arguments with their names."""
    numbered = [f"argument {number}" for number in range(len(names), len(args))]
    return [*zip([*names, *numbered], args, strict=False), *kwargs.items()]


def _end_all(idle: deque[tuple[Conversation, _Given]]) -> None:
    while idle:
        idle.pop()[0].kill()
