"""The policy `isolated`: code runs in a locked process of its own, one for each version of it."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from opto.errors import CannotIsolate, NotPlainData
from opto.execution.crossing import (
    REMEDIES,
    Shipment,
    Wanted,
    imports_of,
    uses_class,
    wanted_of,
    without_our_decorators,
)
from opto.execution.limits import is_allowed
from opto.execution.process import Failure, Process, Refused, Returned
from opto.execution.raising import exception_of, notes_of, raise_at
from opto.execution.server import Setting, server
from opto.execution.wire import MAX_BYTES, encode
from opto.trace.code import Loaded, Namespace, Surroundings, parsed

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
        load: the message that loads it, but for data.
        spaces: where names of plain data are looked up.
        wanted: what is read of the object that it is a method of; None if it is no method.
        preload: modules that it imports.
    """

    name: str
    filename: str
    line: int
    parameters: tuple[str, ...]
    load: Mapping[str, Any]
    spaces: Mapping[str, Mapping[str, Any]]
    wanted: Wanted | None
    preload: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Return the plain data that the code refers to, as it is now."""
        return {name: space[name] for name, space in self.spaces.items()}


def load_isolated(policy: Policy, text: str, surroundings: Surroundings, filename: str) -> Loaded:
    """Read `text`, start a process and load it there.

    Raises:
        CannotIsolate: if it refers to what can't cross, or the machine can't confine it.
        Exception: what the text raises at its top level.
    """
    version = _prepared(policy, text, surroundings, filename)
    runner = Runner(version, policy)
    runner.start()
    return Loaded(text, _callable(runner, surroundings.fun), filename, {filename: text})


def _prepared(policy: Policy, text: str, surroundings: Surroundings, filename: str) -> Version:
    tree, definition = parsed(text, surroundings.name, filename)
    space = Namespace(surroundings)
    dropped = without_our_decorators(tree, definition, space)
    for line, module in imports_of(tree):
        if not is_allowed(module, policy.imports) and _is_there(module):
            allowed = ", ".join(sorted(policy.imports))
            message = f"importing {module} isn't allowed here; allowed are {allowed}"
            raise_at(ImportError(message), filename, line, definition.name)
    shipment = Shipment(policy.imports)
    shipment.seen[definition.name] = surroundings.fun
    shipment.add_free_names(tree, space)
    if uses_class(definition):
        shipment.offenders.append("super(): the class that the code is written in stays here")
    shipment.check(definition.name)
    arguments = definition.args
    parameters = [*arguments.posonlyargs, *arguments.args]
    load = {
        "text": text,
        "filename": filename,
        "name": definition.name,
        "dropped": dropped,
        "imports": shipment.imports,
        "helpers": shipment.helpers,
    }
    modules = [module for _, module in imports_of(tree)]
    modules += [module for _, module, _ in shipment.imports]
    if inspect.iscoroutinefunction(surroundings.fun):
        modules.append("asyncio")
    return Version(
        definition.name,
        filename,
        definition.lineno,
        tuple(parameter.arg for parameter in parameters),
        load,
        shipment.data,
        wanted_of(definition, surroundings.owner) if surroundings.owner else None,
        tuple(dict.fromkeys(modules)),
    )


def _is_there(module: str) -> bool:
    """Whether there is such a module; what isn't there is best reported by importing it inside."""
    top = module.partition(".")[0]
    return not top or importlib.util.find_spec(top) is not None


def _is_scalar(value: object) -> bool:
    return type(value) in _SCALARS


class _Given(NamedTuple):
    """What a process was last given of plain data."""

    values: dict[str, Any]
    encoded: bytes


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
        self.setting = Setting(policy.paths, policy.namespaces)
        self.idle: deque[tuple[Process, _Given]] = deque()
        weakref.finalize(self, _end_all, self.idle)

    def start(self) -> None:
        """Start a process, so that errors of loading show now."""
        self._keep(*self._fresh())

    def call(self, *args: Any, **kwargs: Any) -> Returned:
        """Call the function; raise what it raises."""
        return self.run(Ticket(), args, kwargs)

    def run(self, ticket: Ticket, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returned:
        """Call the function in a process that `ticket` can end."""
        process, given = self._taken()
        message: dict[str, Any] = {"args": args, "kwargs": kwargs, "self": None}
        try:
            ticket.take(process)
            changed = self._changed(given)
            message["data"] = changed.values if changed else None
            try:
                payload = encode(message)
            except NotPlainData:
                message.update(self._crossing(args, kwargs))
                payload = encode(message)
            answer = process.ask(payload, self.policy.limits.seconds)
        except BaseException:
            process.kill()
            raise
        if not process.ended:
            self._keep(process, changed or given)
        if isinstance(answer, Returned):
            return answer
        raise self._failed(answer, self._shown(message))

    # ---- processes ----

    def _taken(self) -> tuple[Process, _Given]:
        while self.idle:
            try:
                process, given = self.idle.pop()
            except IndexError:  # another thread was faster
                break
            if process.is_ours() and server(self.setting).unpark(process):
                return process, given
        return self._fresh()

    def _fresh(self) -> tuple[Process, _Given]:
        data = self.version.data()
        payload = encode({**self.version.load, "data": data})
        process = server(self.setting).spawn(self.policy.limits, self.version.preload)
        try:
            answer = process.ask(payload, self.policy.limits.seconds)
        except BaseException:
            process.kill()
            raise
        if not isinstance(answer, Returned):
            process.kill()
            raise self._failed(answer, [])
        return process, _Given(data, encode(data))

    def _keep(self, process: Process, given: _Given) -> None:
        spent = process.seconds > self.policy.limits.processor_seconds / 2
        if spent or process.has_threads():
            process.kill()
            return
        server(self.setting).park(process)
        self.idle.append((process, given))

    # ---- what crosses ----

    def _changed(self, given: _Given) -> _Given | None:
        """Return the plain data that the code refers to if it isn't what the process has."""
        if not self.version.spaces:
            return None
        data = self.version.data()
        same = all(
            _is_scalar(value) and value is given.values[name] for name, value in data.items()
        )
        if same:
            return None
        encoded = encode(data)
        return None if encoded == given.encoded else _Given(data, encoded)

    def _crossing(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return what can cross of the object of a method; raise one error for all that can't."""
        changes: dict[str, Any] = {}
        offenders: list[str] = []
        names = self.version.parameters
        if self.version.wanted and args and not _crosses(args[0]):
            name, plain, offenders = self.version.wanted.of(args[0])
            args, names = args[1:], names[1:]
            changes = {"args": args, "self": (name, plain)}
        offenders += _offenders([*names], args, kwargs)
        if offenders:
            reason = f"a call of {self.version.name} can't be given to a process of its own"
            raise CannotIsolate(f"{reason}. {REMEDIES}. What can't cross:", offenders)
        return changes

    def _shown(self, message: Mapping[str, Any]) -> list[tuple[str, object]]:
        names = self.version.parameters[1 if message["self"] else 0 :]
        numbered = [f"argument {number}" for number in range(len(names), len(message["args"]))]
        shown = list(zip([*names, *numbered], message["args"], strict=False))
        return [*shown, *message["kwargs"].items()]

    def _failed(
        self, answer: Failure | Refused, arguments: list[tuple[str, object]]
    ) -> BaseException:
        """Return what to raise: with the place in the text if the code failed."""
        if isinstance(answer, Refused):
            message = f"this machine can't isolate code: {answer.reason}"
            return CannotIsolate(message, by_machine=True)
        error = exception_of(answer)
        error.__dict__["__notes__"] = notes_of(arguments, answer.printed)
        line = answer.line or self.version.line
        try:
            raise_at(error, self.version.filename, line, answer.function or self.version.name)
        except Exception as raised:  # noqa: BLE001 - it now has a traceback that ends in the text
            return raised
        return error


class Ticket:
    """A call that can be given up from elsewhere."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.given_up = False

    def take(self, process: Process) -> None:
        """Note in which process the call runs."""
        self.process = process
        if self.given_up:
            process.stop()

    def give_up(self) -> None:
        """End the process of the call."""
        self.given_up = True
        if self.process is not None:
            self.process.stop()


def _end_all(idle: deque[tuple[Process, _Given]]) -> None:
    while idle:
        idle.pop()[0].kill()


def _crosses(value: object) -> bool:
    try:
        encode(value)
    except NotPlainData:
        return False
    return True


def _offenders(names: list[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
    numbered = [f"argument {number}" for number in range(len(names), len(args))]
    found: list[str] = []
    for name, value in [*zip([*names, *numbered], args, strict=False), *kwargs.items()]:
        try:
            encode(value)
        except NotPlainData as error:
            found.append(f"{name}: {error}")
    total = f"all arguments together: more than {MAX_BYTES} bytes"
    return found if found or _crosses((args, dict(kwargs))) else [total]


# ---- what stands for the function ----------------------------------------------------------------


def _callable(runner: Runner, fun: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the kind that the author's is."""
    if inspect.iscoroutinefunction(fun):
        made: Any = partial(_awaited, runner)
    elif inspect.isasyncgenfunction(fun):
        made = partial(_iterated, runner)
    elif inspect.isgeneratorfunction(fun):
        made = partial(_replayed, runner)
    else:
        made = partial(_returned, runner)
    return made  # type: ignore[no-any-return]  # a partial of one of the functions below


def _returned(runner: Runner, /, *args: Any, **kwargs: Any) -> Any:
    value, drained = runner.call(*args, **kwargs)
    return iter(value) if drained else value


def _replayed(runner: Runner, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
    yield from runner.call(*args, **kwargs).value


async def _awaited(runner: Runner, /, *args: Any, **kwargs: Any) -> Any:
    ticket = Ticket()
    try:
        return (await asyncio.to_thread(runner.run, ticket, args, kwargs)).value
    except asyncio.CancelledError:
        ticket.give_up()
        raise


async def _iterated(runner: Runner, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    for item in await _awaited(runner, *args, **kwargs):
        yield item
