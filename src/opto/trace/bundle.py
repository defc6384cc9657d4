"""`bundle`: make a function one operation of the graph."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType, FunctionType, ModuleType
from typing import Any, Generic, TypeVar, overload

from opto.errors import ExecutionError as ExecutionError
from opto.errors import InvalidArgument, SourceNotFound, WrongType
from opto.errors import TraceMissingInputsError as TraceMissingInputsError
from opto.trace.binding import Bound, Plan
from opto.trace.broadcast import recursive_conversion
from opto.trace.calls import Call, runner_of
from opto.trace.code import Loaded, Surroundings, load
from opto.trace.containers import CodeContainer
from opto.trace.core import MessageNode, Node, failed, lift
from opto.trace.holding import plain
from opto.trace.methods_of import bound_to
from opto.trace.modules import Module
from opto.trace.ops import Op, get_op_name
from opto.trace.parameters import ParameterNode
from opto.trace.recording import constant
from opto.trace.scope import READS, Reads
from opto.trace.source import About, signature_text
from opto.trace.threads import install

R = TypeVar("R")

_EVAL = (
    "[eval] This operator eval(__code, *args, **kwargs) evaluates the code block, where __code is "
    "the code (str) and *args and **kwargs are the arguments of the function. The output is the "
    "result of the evaluation, i.e., __code(*args, **kwargs)."
)
_OPEN: ContextVar[bool | None] = ContextVar("opto_external_dependencies", default=None)
install()


def disable_external_dependencies_check(value: bool) -> None:  # noqa: FBT001 - the original's
    """Turn the check of unlisted reads off (True) or on (False) here, whatever the bundles say."""
    _OPEN.set(value)


class FunModule(CodeContainer, Module, Generic[R]):
    """A function as one operation; `bundle` makes them.

    Attributes:
        parameter: its source as a parameter if it is trainable, else None.
        trainable: whether its source may be changed.
        name: name of the operation, in brackets at the start of `description`.
        description: the sentence that a model reads.
    """

    __setattr__ = object.__setattr__

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
        place: tuple[str, int] = ("", 0),
        helpers: dict[str, Any] | None = None,
    ) -> None:
        self._kind = type(fun) if isinstance(fun, (staticmethod, classmethod)) else None
        fun = fun.__func__ if isinstance(fun, (staticmethod, classmethod)) else fun
        if not callable(fun):
            message = f"bundle decorates a function, not {type(fun).__name__}"
            raise WrongType(message)
        functools.update_wrapper(self, fun, updated=())
        self._fun = fun
        qualname = getattr(fun, "__qualname__", type(fun).__name__)
        self._fun_name = qualname.rpartition("<locals>.")[2]
        self.about = About(fun, self._fun_name, place)
        self.description = _described(description, self._fun_name, self.about)
        self.name = get_op_name(self.description)
        self.traceable_code, self._process_inputs = traceable_code, _process_inputs
        self.catch_execution_error = catch_execution_error
        self.allow_external_dependencies = allow_external_dependencies
        self.overwrite_python_recursion = overwrite_python_recursion or trainable
        self.output_name, self.trainable = output_name, trainable
        self.parameter = self._made_parameter(projections) if trainable else None
        self._surroundings = Surroundings(fun, helpers or {}, qualname.rpartition(".")[0])
        self._loaded: Loaded | None = None
        self._instance: Any = None
        self._self_node: Node[Any] | None = None
        self._plan: Plan | None = None

    def _made_parameter(self, projections: list[Any] | None) -> ParameterNode[str]:
        found = self.about.found
        if found is None or "def " not in found.text:
            message = (
                f"{self._fun_name} can't be trainable: its source isn't the text of a function "
                "defined by def. Define it so in a file or a notebook cell"
            )
            raise SourceNotFound(message)
        head = signature_text(found.text, self._fun.__name__)
        constraint = f"The code should start with:\n{head}"
        return ParameterNode(
            found.text,
            name="__code",
            constraint=constraint,
            projections=projections,
            is_code=True,
        )

    # ---- facts ----

    @property
    def info(self) -> dict[str, Any]:
        """Facts of the function; those of a call are in the ``info`` of its result."""
        calls = ("output", "error_comment", "traceback")
        return {**self.about, **dict.fromkeys(calls), "inputs": {"args": [], "kwargs": {}}}

    @property
    def fun(self) -> Callable[..., Any]:
        """The plain function; for a trainable one that of the code as it is now."""
        return self._current()[0]

    def _current(self) -> tuple[Callable[..., Any], Loaded | None]:
        """Return the function to run, compiled if the code is no longer the author's."""
        parameter = self.parameter
        if parameter is None:
            return self._fun, None
        text = parameter._data
        loaded = self._loaded
        if loaded is not None and loaded.text is text:
            return loaded.function, loaded
        if text == self.about.found.text:  # type: ignore[union-attr]  # it was found when made
            self._loaded = Loaded(text, self._fun, "")
        else:
            self._loaded = self._compiled(text)
        return self._loaded.function, self._loaded

    def _compiled(self, text: str) -> Loaded:
        try:
            return load(text, self._surroundings)
        except Exception as error:
            name = self.parameter.py_name
            says = f"[exception] The code parameter {name} has an error."
            op = Op("eval", says, ("code",), self._fun, name)
            sources = {getattr(error, "filename", None) or "": str(text)}
            label = f"exception_{name}"
            raise failed(op, (self.parameter,), error, sources=sources, name=label) from error

    # ---- calls ----

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function and record the call."""
        return self(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> MessageNode[R]:
        """Call the function and record the call; arguments may be nodes or plain values.

        Raises:
            ExecutionError: if the function raises and exceptions are caught.
            TraceMissingInputsError: if it read a node that isn't an argument.
            TypeError: if the arguments don't fit.
        """
        plan = self._plan or self._prepare()
        if self._self_node is not None:
            args = (self._self_node, *args)
        if kwargs or len(args) != plan.count or not plan.simple:
            bound = plan.bind(args, kwargs)
        else:
            bound = Bound(plan.names, args, plan.count)
        if self._reentrant and self in _RUNNING.get():
            return self._current()[0](*args, **kwargs)  # type: ignore[no-any-return]  # plain recursion
        return self._run(self._call_of(bound))  # type: ignore[no-any-return]  # by kind of function

    def _call_of(self, bound: Bound) -> Call:
        """Return the call to run: what is recorded as inputs, and what the function receives."""
        function, loaded = self._current()
        nodes: list[Any] = []
        values: list[Any] = []
        for name, value in zip(bound.names, bound.values):
            if isinstance(value, Node):
                nodes.append(value)
                values.append(value._data)
            else:
                given, received = _as_input(value, name)
                nodes.append(given)
                values.append(received)
        if not self._process_inputs:
            values = list(bound.values)
        elif self.traceable_code:
            values = [_twin(node, value) for node, value in zip(nodes, values)]
        names = bound.names
        if self.parameter is not None:
            nodes.append(self.parameter)
            names = (*names, "__code")
        by_name = dict(zip(bound.names[bound.positional :], values[bound.positional :]))
        return Call(
            self._op.with_arguments(names),
            tuple(nodes),
            function if not self._reentrant else self._marked(function),
            values[: bound.positional],
            by_name,
            None if loaded is None or not loaded.filename else loaded.sources,
            self.catch_execution_error,
            self._may_read_anything(),
        )

    def _may_read_anything(self) -> bool:
        everywhere = _OPEN.get()
        return self.allow_external_dependencies if everywhere is None else everywhere

    def _prepare(self) -> Plan:
        """Work out what is the same for all calls."""
        names: tuple[str, ...]
        self._plan = Plan(self._fun)
        names, label = self._plan.names, self.output_name
        if self.parameter is None:
            self._op = Op(self.name, self.description, names, self._fun, self._fun_name, self.about)
        else:
            self._op = Op("eval", _EVAL, (*names, "__code"), self._fun, "eval", self.about)
        self._op.name = label or self._op.name
        self._run = runner_of(self._fun)
        self._reentrant = self.overwrite_python_recursion and _may_recur(self._fun)
        return self._plan

    def _marked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, during whose calls this bundle calls the plain function."""

        def call(*args: Any, **kwargs: Any) -> Any:
            token = _RUNNING.set((self, *_RUNNING.get()))
            try:
                return function(*args, **kwargs)
            finally:
                _RUNNING.reset(token)

        return call

    # ---- as a method ----

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> FunModule[R]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> FunModule[R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> FunModule[R]:
        if instance is None or self._kind is staticmethod:
            return self
        if self._kind is classmethod:
            instance = owner if owner is not None else type(instance)
        return bound_to(self, instance)

    def _bind_to(
        self, instance: Any, self_node: Node[Any], parameter: ParameterNode[str] | None
    ) -> FunModule[R]:
        """Return a copy for `instance`, with a parameter of its own unless one is given."""
        twin = self._shallow()
        twin._instance, twin._self_node = instance, self_node
        if parameter is None and self.parameter is not None:
            parameter = ParameterNode(
                self.parameter._data,
                name="__code",
                constraint=self.parameter._constraint,
                projections=self.parameter.projections,
                trainable=self.parameter.trainable,
                is_code=True,
            )
        twin.parameter = parameter
        return twin

    def _shallow(self) -> FunModule[R]:
        twin: FunModule[R] = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    # ---- as a container and a value ----

    def parameters_dict(self) -> dict[str, Any]:
        """Return the code parameter under "parameter", or nothing."""
        return {"parameter": self.parameter} if self.trainable else {}

    def detach(self) -> FunModule[R]:
        """Return a deep copy."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> FunModule[R]:
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


def _described(description: Any, fun_name: str, about: About) -> str:
    if description is None:
        doc = about["doc"]
        return f"[{fun_name}] {doc}" if doc else f"[{fun_name}]"
    get_op_name(description)
    return str(description)


def _may_recur(fun: Callable[..., Any]) -> bool:
    code = getattr(fun, "__code__", None)
    return code is None or code.co_name in (*code.co_names, *code.co_freevars)


def _as_input(value: Any, name: str) -> tuple[Any, Any]:
    """Return the node for an argument that is no node, and what the function receives."""
    if isinstance(value, FunModule):
        return value.parameter or constant(Node, value, name), value
    given = lift(value, name)
    return given, given._data


def _twin(node: Node[Any], value: Any) -> Any:
    """Return a node without history for code that works on nodes."""
    return value if isinstance(value, FunModule) else constant(Node, value, node._counter.base)


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
    reads = Reads()
    token = READS.set(reads)
    try:
        yield seen
    finally:
        READS.reset(token)
        seen.update(reads.values)


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
    }

    def decorate(fun: Callable[..., R]) -> FunModule[R]:
        return _decorated(fun, description, options, sys._getframe(1))

    if callable(description) or isinstance(description, (staticmethod, classmethod)):
        return _decorated(description, None, options, sys._getframe(1))
    return decorate


def _decorated(fun: Any, description: Any, options: dict[str, Any], frame: FrameType) -> Any:
    if isinstance(fun, FunModule):
        message = f"{fun._fun_name} is bundled already; decorate it once"
        raise InvalidArgument(message)
    helpers = _helpers(frame) if options["trainable"] else {}
    place = (frame.f_code.co_filename, frame.f_lineno)
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
