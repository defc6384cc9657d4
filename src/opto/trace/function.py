"""A function as one operation: what `bundle` makes."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any, Generic, NoReturn, TypeVar, overload

from opto.errors import CannotIsolate, WrongType
from opto.trace.binding import Plan
from opto.trace.calls import run, run_async, runner_of
from opto.trace.code import (
    EXECUTION,
    Execution,
    Loaded,
    Surroundings,
    loader,
    may_recur,
    new_filename,
    owner_name,
)
from opto.trace.containers import RESERVED, CodeContainer
from opto.trace.core import PLAIN, MessageNode, Node, failed, lift
from opto.trace.holding import SCALARS
from opto.trace.methods_of import bound_to
from opto.trace.modules import MODELS_EXECUTION, Module
from opto.trace.ops import Op, distinct, get_op_name
from opto.trace.origin import AUTHOR, UNKNOWN
from opto.trace.parameters import ParameterNode, another, code_parameter
from opto.trace.recording import constant
from opto.trace.source import NOWHERE, About, Place, described

R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")

_EVAL = (
    "[eval] This operator eval(__code, *args, **kwargs) evaluates the code block, where __code is "
    "the code (str) and *args and **kwargs are the arguments of the function. The output is the "
    "result of the evaluation, i.e., __code(*args, **kwargs)."
)
_NO_NAMES: Mapping[str, Any] = {}
_NO_TAILS: Mapping[int, tuple[Any, ...]] = {}
OPEN: ContextVar[bool | None] = ContextVar("opto_external_dependencies", default=None)


class FunModule(CodeContainer, Module, Generic[R_co]):
    """A function as one operation; `bundle` makes them.

    Attributes:
        parameter: its source as a parameter if it is trainable, else None.
        trainable: whether its source may be changed.
        name: name of the operation, in brackets at the start of `description`.
        description: the sentence that a model reads.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __init__(  # noqa: PLR0913 - the original's signature
        self,
        fun: Callable[..., Any],
        description: str | None = None,
        traceable_code: bool = False,  # noqa: FBT001, FBT002
        _process_inputs: bool = True,  # noqa: FBT001, FBT002
        trainable: bool = False,  # noqa: FBT001, FBT002
        catch_execution_error: bool = True,  # noqa: FBT001, FBT002
        allow_external_dependencies: bool = False,  # noqa: FBT001, FBT002
        overwrite_python_recursion: bool = False,  # noqa: FBT001, FBT002
        *,
        projections: list[Any] | None = None,
        output_name: str | None = None,
        place: Place = NOWHERE,
        helpers: dict[str, Any] | None = None,
        execution: Execution | None = None,
    ) -> None:
        self._static = isinstance(fun, staticmethod)
        fun = fun.__func__ if isinstance(fun, staticmethod) else fun
        if not callable(fun):
            message = f"bundle decorates a function, not {type(fun).__name__}"
            raise WrongType(message)
        functools.update_wrapper(self, fun, updated=())
        if getattr(fun, "__isabstractmethod__", False):
            self.__isabstractmethod__ = True
        self._fun = fun
        qualname = getattr(fun, "__qualname__", type(fun).__name__)
        self._fun_name = qualname.replace("<locals>.", "")
        self.about = About(fun, self._fun_name, place)
        self.description = described(description, self._fun_name, self.about)
        self.name = get_op_name(self.description)
        self.traceable_code, self._process_inputs = traceable_code, _process_inputs
        self.catch_execution_error = catch_execution_error
        self.allow_external_dependencies = allow_external_dependencies
        self.overwrite_python_recursion = overwrite_python_recursion or trainable
        self.output_name, self.trainable = output_name, trainable
        self.parameter = code_parameter(self.about, projections) if trainable else None
        self._surroundings = Surroundings(fun, helpers or {}, owner_name(qualname))
        self._key = f"{RESERVED}bundle_{self.name}"
        self.execution = execution
        self._loaded: tuple[Any, ...] = (None, None, None, None)
        self._code_name = ("__code",) if trainable else ()
        self._instance: Any = None
        self._self_node: Node[Any] | None = None
        self._plan: Plan | None = None
        self._simple_count, self._tails = -1, _NO_TAILS

    # ---- facts ----

    @property
    def info(self) -> dict[str, Any]:
        """Facts of the function; those of a call are in the ``info`` of its result."""
        calls = ("output", "error_comment", "traceback")
        return {**self.about, **dict.fromkeys(calls), "inputs": {"args": [], "kwargs": {}}}

    @property
    def fun(self) -> Callable[..., Any]:
        """The plain function; for a trainable one that of the code as it is now, loaded for it."""
        return self._current()[0]

    def _current(self) -> tuple[Callable[..., Any], Mapping[str, str] | None]:
        """Return the function to run, and its text if the code is no longer the author's.

        The code is compiled when it is first run, and again only when it was changed.
        """
        if self.parameter is None:
            return self._fun, None
        text, chosen = self.parameter._data, self.execution or EXECUTION.get()
        kept, kept_by, function, sources = self._loaded
        if kept is text and kept_by is chosen:
            return function, sources
        authors = self.about.found is not None and text == self.about.found.text
        own = Loaded(text, self._fun, "", None, "author")
        loaded = own if authors else self._compiled(text, chosen)
        self.parameter.ran = loaded.policy
        self._loaded = (text, chosen, loaded.function, loaded.sources)
        return loaded.function, loaded.sources

    def _compiled(self, text: str, chosen: Execution | None) -> Loaded:
        load, origin = loader(chosen), self.parameter.origin
        origin = UNKNOWN if origin == AUTHOR else origin  # that of another function
        filename = new_filename(self._surroundings.name)
        try:
            return load(text, self._surroundings, filename, origin)
        except Exception as error:
            if isinstance(error, CannotIsolate) and error.by_machine:
                raise
            name = self.parameter.py_name
            says = f"[exception] The code parameter {name} has an error."
            op = Op(name, says, ("code",), self._fun)
            sources = {filename: str(text)}
            raise failed(op, (self.parameter,), error, sources=sources, says=says) from error

    # What makes `inspect` see the function behind this: its kind and its signature.

    @property
    def __code__(self) -> Any:
        return self._fun.__code__

    @property
    def __defaults__(self) -> Any:
        return self._fun.__defaults__

    @property
    def __kwdefaults__(self) -> Any:
        return self._fun.__kwdefaults__

    # ---- calls ----

    def forward(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function and record the call."""
        return self(*args, **kwargs)

    # `NoReturn` fits only what returns Any, which would fit the coroutine too.
    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]  # as said
        self: FunModule[NoReturn], /, *args: Any, **kwargs: Any
    ) -> MessageNode[Any]: ...
    @overload
    def __call__(
        self: FunModule[Coroutine[Any, Any, S]], /, *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, MessageNode[S]]: ...
    @overload
    def __call__(self, /, *args: Any, **kwargs: Any) -> MessageNode[R_co]: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function and record the call; arguments may be nodes or plain values.

        Raises:
            ExecutionError: if the function raises and exceptions are caught.
            TraceMissingInputsError: if it read a node that isn't an argument.
            TypeError: if the arguments don't fit.
        """
        if self._self_node is not None:
            args = (self._self_node, *args)
        if kwargs or len(args) != self._simple_count:
            tail = None if kwargs else self._tails.get(len(args))
            if tail is None:
                return self._bound_call(args, kwargs)
            args += tail
        inputs: tuple[Any, ...] = args
        values: list[Any] = []
        for value in args:
            if isinstance(value, Node):
                values.append(value._data)
            else:
                inputs, values = _with_constants(self._op.arguments, args)
                break
        if self.parameter is None:
            return self._run(self, self._op, inputs, self._fun, values, _NO_NAMES, None)
        function, sources = self._current()
        inputs = (*inputs, self.parameter)
        return self._run(self, self._op, inputs, function, values, _NO_NAMES, sources)

    def _bound_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call with defaults, names, or whatever else isn't one node for each parameter."""
        plan = self._plan or self._prepare()
        if self._reentrant and self in _RUNNING.get():  # plain recursion
            plain_args = args if self._instance is None else (self._instance, *args[1:])
            return self._current()[0](*plain_args, **kwargs)
        bound = plan.bind(args, kwargs)
        surplus = ("",) * max(0, bound.positional - plan.count)
        labels = (*bound.names[: plan.count], *surplus, *bound.names[bound.positional :])
        inputs, values = self._received(labels, bound.values)
        function, sources = self._current()
        if self.parameter is not None:
            inputs = (*inputs, self.parameter)
        if self._reentrant:
            function = self._marked(function)
        count = bound.positional
        by_name = dict(zip(bound.names[count:], values[count:], strict=True))
        names = (*bound.names, *self._code_name)
        op = self._op.with_arguments(distinct(names) if kwargs else names)
        return self._run(self, op, inputs, function, values[:count], by_name, sources)

    def _received(
        self, names: tuple[str, ...], given: tuple[Any, ...]
    ) -> tuple[tuple[Any, ...], list[Any]]:
        """Return the inputs, and what is received for them; named by type where a name is ""."""
        nodes, values = _with_constants(names, given)
        if not self._process_inputs:
            values = list(given)
        elif self.traceable_code:
            values = [_twin(node, value) for node, value in zip(nodes, values, strict=True)]
        return nodes, values

    def may_read_anything(self) -> bool:
        """Whether the function may read nodes that aren't its arguments."""
        everywhere = OPEN.get()
        return self.allow_external_dependencies if everywhere is None else everywhere

    def _prepare(self) -> Plan:
        """Work out what is the same for all calls."""
        plan = Plan(self._fun)
        names, fun = (*plan.names, *self._code_name), self._fun
        if self.parameter is None:
            self._op = Op(self.name, self.description, names, fun, self._fun_name, self.about)
        else:
            self._op = Op("eval", _EVAL, names, fun, "eval", self.about)
        self._op.name = self.output_name or self._op.name
        self._run = runner_of(self._fun)
        recursive = self.overwrite_python_recursion and may_recur(self._fun)
        self._reentrant = recursive and self._run in {run, run_async}
        special = self._reentrant or self.traceable_code or not self._process_inputs
        simple = plan.simple and not special
        self._tails = plan.tails if simple else _NO_TAILS
        self._simple_count = plan.count if simple else -1
        self._plan = plan  # last: another thread that sees it may rely on the rest
        return plan

    def _marked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, during whose calls this bundle calls the plain function."""

        def call(*args: Any, **kwargs: Any) -> Any:
            token = _RUNNING.set((self, *_RUNNING.get()))
            try:
                return function(*args, **kwargs)
            finally:
                _RUNNING.reset(token)

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            token = _RUNNING.set((self, *_RUNNING.get()))
            try:
                return await function(*args, **kwargs)
            finally:
                _RUNNING.reset(token)

        return call_async if self._run is run_async else call

    # ---- as a method ----

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def __get__(self, instance: object, owner: type | None = None) -> FunModule[R_co]:
        if instance is None or self._static:
            return self
        try:
            kept = instance.__dict__.get(self._key)
        except AttributeError:  # a class with slots
            kept = None
        if kept is None or kept._instance is not instance or kept._fun is not self._fun:
            kept = bound_to(self, instance)
        return kept  # type: ignore[no-any-return]  # kept under that key is a FunModule

    def _bind_to(
        self, instance: Any, self_node: Node[Any], parameter: ParameterNode[str] | None
    ) -> FunModule[R_co]:
        """Return a copy for `instance`, with a parameter of its own unless one is given."""
        if self._plan is None:
            self._prepare()  # once for all instances
        twin = self._shallow()
        twin._instance, twin._self_node = instance, self_node
        kind = instance if isinstance(instance, type) else type(instance)
        twin.execution = self.execution or getattr(kind, MODELS_EXECUTION, None)
        if parameter is None and self.parameter is not None:
            parameter = another(self.parameter)
        twin.parameter = parameter
        return twin

    def _shallow(self) -> FunModule[R_co]:
        twin: FunModule[R_co] = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    # ---- as a container and a value ----

    def parameters_dict(self) -> dict[str, Any]:
        """Return the code parameter under "parameter", or nothing."""
        return {"parameter": self.parameter} if self.trainable else {}

    def detach(self) -> FunModule[R_co]:
        """Return a deep copy."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> FunModule[R_co]:
        twin = self._shallow()
        memo[id(self)] = twin
        for name in ("_instance", "_self_node", "parameter"):
            setattr(twin, name, copy.deepcopy(getattr(self, name), memo))
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._instance is not None:
            state = (self._instance, self._attribute, self._self_node, self.parameter)
            return _rebound, state
        return _found, (self._fun.__module__, self._fun.__qualname__, self.parameter)

    def __repr__(self) -> str:
        return f"<bundle {self._fun_name}>"


_RUNNING: ContextVar[tuple[FunModule[Any], ...]] = ContextVar("opto_running", default=())


def _rebound(instance: Any, attribute: str, self_node: Any, parameter: Any) -> Any:
    method = inspect.getattr_static(type(instance), attribute)
    return method._bind_to(instance, self_node, parameter)


def _found(module: str, qualname: str, parameter: Any) -> Any:
    found = functools.reduce(getattr, qualname.split("."), importlib.import_module(module))
    if parameter is None or not isinstance(found, FunModule):
        return found
    twin = found._shallow()
    twin.parameter = parameter
    return twin


def _with_constants(
    names: tuple[str, ...], given: tuple[Any, ...]
) -> tuple[tuple[Any, ...], list[Any]]:
    """Return a node for each argument, and what the function receives for it."""
    nodes = list(given)
    values = list(given)
    for index, value in enumerate(given):
        if value.__class__ in SCALARS:
            nodes[index] = constant(PLAIN, value, names[index] or None)
        elif isinstance(value, Node):
            values[index] = value._data
        else:
            nodes[index], values[index] = _as_input(value, names[index] or None)
    return tuple(nodes), values


def _as_input(value: Any, name: str | None) -> tuple[Any, Any]:
    """Return the node for an argument that is no node, and what the function receives."""
    if isinstance(value, FunModule):
        return value.parameter or constant(PLAIN, value, name), value
    given = lift(value, name)
    return given, given._data


def _twin(node: Node[Any], value: Any) -> Any:
    """Return a node without history for code that works on nodes."""
    return value if isinstance(value, FunModule) else constant(PLAIN, value, node._counter.base)
