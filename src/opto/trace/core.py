"""Nodes with operators, and the one place where an operation is applied."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

from opto.errors import ExecutionError, InvalidArgument
from opto.trace.abstract import CONSUMED, LEARNS, AbstractNode, T_co
from opto.trace.children import adopt
from opto.trace.described import DescribedNode
from opto.trace.failures import Failed, explained, failure_of
from opto.trace.history import reduced
from opto.trace.holding import SCALARS, may_hold_nodes, nodes_within, plain
from opto.trace.info import call_info
from opto.trace.inplace import earlier, later
from opto.trace.methods import Operators
from opto.trace.ops import Op, argument_names, by_position, distinct, get_op_name
from opto.trace.picture import Picture, draw
from opto.trace.propagation import propagate
from opto.trace.propagators.graph_propagator import GraphPropagator
from opto.trace.recording import checked_inputs, constant, learning, record, record_output
from opto.trace.scope import SCOPE
from opto.trace.special import SpecialMethods
from opto.trace.table import BY_NAME

if TYPE_CHECKING:
    from opto.trace.propagators.propagators import AbstractPropagator

_CALL = BY_NAME["call"].op
_NEXT = BY_NAME["next_item"].op


class Node(SpecialMethods, Operators, DescribedNode[T_co]):
    """A value in a graph: a constant or an input; operations on it are recorded.

    Args:
        value: anything; kept as it is, never copied. That of a node is taken out of it.
        name: base of the name; the type of the value if None.
        trainable: accepted for the original's sake; `ParameterNode` is what can be trained.
        description: what it is, for a model; a tag ``[Node]`` is put before it if it has none.
        constraint: what a new value must satisfy, for a model.
        info: anything to keep with it.
    """

    __slots__ = ()

    trainable = False

    def __init__(
        self,
        value: T_co | AbstractNode[T_co],
        *,
        name: str | None = None,
        trainable: bool = False,  # noqa: ARG002 - see the docstring
        description: str | None = None,
        constraint: str | None = None,
        info: object = None,
    ) -> None:
        super().__init__(value, name=name)
        if description is not None or constraint is not None or info is not None:
            self._describe(description, constraint, info)

    # ---- hooks of the operators ----

    def _unary(self, op: Op) -> Any:
        try:
            value = op.function(self._data)
        except Exception as error:
            raise failed(op, (self,), error) from error
        return record(RESULT, op, (self,), value)

    def _binary(self, op: Op, other: Any) -> Any:
        if other.__class__ in SCALARS:
            other = constant(PLAIN, other)
        elif not isinstance(other, Node):
            other = lift(other)
        try:
            value = op.function(self._data, other._data)
        except Exception as error:
            raise failed(op, (self, other), error) from error
        return record(RESULT, op, (self, other), value)

    def _reflected(self, op: Op, other: Any) -> Any:
        return lift(other)._binary(op, self)

    def _applied(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return apply(op, self, *args, **kwargs)

    def _traced(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return apply(op, *args, **kwargs)

    def _taken(self, plain: Iterator[Any]) -> Any:
        """Return a node for the next item of an iterator over this value, None at its end."""
        try:
            value = next(plain)
        except StopIteration:
            return None
        except Exception as error:
            raise failed(_NEXT, (self,), error) from error
        return record(RESULT, _NEXT, (self,), value)

    def _changed(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        changed = copy.copy(self._data)
        variant, inputs, value = _computed(op, (self, *args), kwargs, changed)
        if not SCOPE.get().recording:
            self._data = changed
            return record(RESULT, variant, (), value)
        before = earlier(self, RESULT)
        inputs = tuple(before if node is self else node for node in inputs)
        made = record(RESULT, variant, inputs, value)
        adopt(self, ref(made))
        later(self, changed, variant, inputs)
        return made

    def _become(self, op: Op, inputs: tuple[Any, ...]) -> None:
        """Stand for the outcome of a change; see `inplace`."""
        self.__class__ = _ChangedNode  # pyright: ignore[reportAttributeAccessIssue]  # same layout
        self._extra = {**(self._extra or {}), "origin": [op, inputs, learning(inputs)]}

    # ---- feedback ----

    def backward(
        self,
        feedback: Any = "",
        propagator: AbstractPropagator | None = None,
        retain_graph: bool = False,  # noqa: FBT001, FBT002 - the original's signature
        visualize: bool = False,  # noqa: FBT001, FBT002
        simple_visualization: bool = True,  # noqa: FBT001, FBT002
        reverse_plot: bool = False,  # noqa: FBT001, FBT002
        print_limit: int = 100,
    ) -> Picture | None:
        """Carry `feedback` on this value to the parameters that it was made from.

        Args:
            feedback: words, numbers, anything.
            propagator: the rule by which feedback passes an operation; `GraphPropagator` if None.
            retain_graph: whether the same graph may be used again.
            visualize: whether to return a picture of the graph.
            simple_visualization: leave out copies from the picture.
            reverse_plot: turn the arrows of the picture round.
            print_limit: how many characters of a value the picture shows.

        Raises:
            AlreadyPropagated: if this node, or one that it was made from, was used already. Nothing
                has changed then, nor when the propagator raises.
        """
        picture = None
        if visualize:
            picture = draw(
                [self], simple=simple_visualization, reverse=reverse_plot, limit=print_limit
            )
        propagate(self, feedback, propagator or GraphPropagator(), retain_graph=retain_graph)
        return picture

    @property
    def _backwarded(self) -> bool:
        return bool(self._flags & CONSUMED)

    def detach(self) -> Any:
        """Return a deep copy without history, children and feedback."""
        return copy.deepcopy(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return reduced(self)

    # ---- calls ----

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the value with the arguments as they are; the function may work on nodes."""
        names = distinct((*argument_names(("fun",), len(args) + 1), *kwargs))
        nodes = (self, *(lift(arg) for arg in args), *(lift(v, k) for k, v in kwargs.items()))
        op = _CALL.with_arguments(names)
        try:
            value = _CALL.function(self._data, *args, **kwargs)
        except Exception as error:
            raise failed(op, nodes, error) from error
        return record_output(RESULT, op, nodes, value)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call the method `name` of the value."""
        return self.getattr(name)(*args, **kwargs)


def _kept(index: int) -> Any:
    """Return a property for what `_become` keeps at `index`."""

    def get(self: Node[Any]) -> Any:
        return (self._extra or {})["origin"][index]

    def put(self: Node[Any], value: Any) -> None:
        (self._extra or {})["origin"][index] = value

    return property(get, put)


class _ChangedNode(Node[T_co]):
    """A root whose value was changed in place: it depends on what was put in."""

    __slots__ = ()

    @property
    def _tag(self) -> str:
        return "Node"

    @property
    def _label(self) -> str:
        return "Node"

    _op = _kept(0)
    _inputs = _kept(1)
    _flags = _kept(2)


class MessageNode(Node[T_co]):
    """The result of an operation.

    Args:
        value: the value of the result.
        inputs: the nodes that it was made from, by name of the argument, or as a list.
        description: ``[name] sentence`` on the operation.
        name: base of the name; the operation's if None.
        info: anything to keep with it.
    """

    __slots__ = ("_flags", "_inputs", "_op")

    _own_state = ("_flags", "_inputs", "_op")

    def __init__(
        self,
        value: T_co | AbstractNode[T_co],
        *,
        inputs: Mapping[str, Node[Any]] | Sequence[Node[Any]],
        description: str,
        name: str | None = None,
        info: object = None,
    ) -> None:
        op_name = get_op_name(description)
        by_name = checked_inputs(Node, inputs)
        if by_name and not SCOPE.get().recording:
            message = "a result made under stop_tracing has no inputs; pass inputs=[]"
            raise InvalidArgument(message)
        super().__init__(value, name=name or op_name)
        if info is not None:
            self._extra = {"info": info}
        self._op = Op(op_name, description, tuple(by_name), _unknown)
        self._inputs = tuple(by_name.values())
        self._flags = 0
        for parent in self._inputs:
            adopt(parent, ref(self))
            self._flags |= parent._flags & LEARNS

    _op: Op

    @property
    def _description(self) -> str:
        return self._op.description

    @property
    def inputs(self) -> dict[str, Any]:
        """The nodes that this was made from, by name of the argument (a new dict)."""
        return dict(zip(self._op.arguments, self._inputs, strict=False))  # none if not recorded

    @property
    def hidden_dependencies(self) -> set[Any]:
        """The parameters that the function used and that can't be reached through the inputs."""
        return set((self._extra or {}).get("hidden", ()))

    @property
    def info(self) -> Any:
        """Facts of the call: the function, its source, its inputs and output (a new dict)."""
        given = (self._extra or {}).get("info")
        return call_info(self) if given is None else given

    def _become(self, op: Op, inputs: tuple[Any, ...]) -> None:
        self._op, self._inputs = op, inputs
        self._flags = learning(inputs)

    def _copied(self, data: Any) -> Any:
        twin = super()._copied(data)
        twin._op, twin._inputs, twin._flags = self._op.with_arguments(()), (), 0
        return twin


class ExceptionNode(Failed, MessageNode[str]):  # pyright: ignore[reportIncompatibleVariableOverride]  # the mixin only names what it reads
    """An operation that raised; its data is ``(<type>) <message>``.

    Args:
        value: the exception, or its text.
    """

    __slots__ = ()

    def __init__(
        self,
        value: Exception | str,
        *,
        inputs: Mapping[str, Node[Any]] | Sequence[Node[Any]],
        description: str,
        name: str | None = None,
        info: object = None,
    ) -> None:
        failure = failure_of(value) if isinstance(value, BaseException) else None
        text = value if failure is None else failure.text
        super().__init__(text, inputs=inputs, description=description, name=name, info=info)  # type: ignore[arg-type]  # text is a str here
        if failure is not None:
            self._extra = {**(self._extra or {}), "failure": failure}

    @property
    def _label(self) -> str:
        return "MessageNode"


def _unknown(*_args: object, **_kwargs: object) -> object:
    message = "this result was made by hand; its operation has no function"
    raise InvalidArgument(message)


# The classes as the recorder takes them: of any value.
PLAIN: type[Node[Any]] = Node
RESULT: type[MessageNode[Any]] = MessageNode


# ---- applying ------------------------------------------------------------------------------------

_HOLDS = "[collect] This is an operator: a container that holds the inputs among its items."


def lift(value: Any, name: str | None = None) -> Node[Any]:
    """Return a node for an argument.

    A node is returned as it is. A list, tuple, dict, set or dataclass that holds nodes becomes the
    result of an operation on them, so feedback reaches them; its value holds their values.
    """
    if isinstance(value, Node):
        return value
    if may_hold_nodes(value):
        held = nodes_within(value, Node)
        if held:
            names = tuple(f"item_{index}" for index in range(len(held)))
            op = Op(name or type(value).__name__, _HOLDS, names, _unknown, fun_name="collect")
            return record(RESULT, op, tuple(held), plain(value, Node))
    return constant(PLAIN, value, name)


def apply(op: Op, /, *args: Any, **kwargs: Any) -> MessageNode[Any]:
    """Apply an operation to nodes and plain values, and record it.

    Raises:
        ExecutionError: if its function raises.
    """
    variant, inputs, value = _computed(op, args, kwargs)
    return record(RESULT, variant, inputs, value)


def _computed(
    op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], *instead: Any
) -> tuple[Op, tuple[Node[Any], ...], Any]:
    """Return the operation with the right names, its inputs and its value.

    The values `instead` are used in place of those of the first arguments.
    """
    if kwargs:
        args, kwargs = by_position(op.arguments, args, kwargs)
    nodes: list[Node[Any]] = [lift(arg) for arg in args]
    named = {key: lift(value, key) for key, value in kwargs.items()}
    inputs = (*nodes, *named.values())
    names = (*argument_names(op.arguments, len(nodes)), *named)
    variant = op.with_arguments(distinct(names) if named else names)
    values = [*instead, *(node._data for node in nodes[len(instead) :])]
    try:
        value = op.function(*values, **{key: node._data for key, node in named.items()})
    except Exception as error:
        raise failed(variant, inputs, error) from error
    return variant, inputs, value


def failed(
    op: Op,
    inputs: tuple[Node[Any], ...],
    error: Exception,
    *,
    sources: Mapping[str, str] | None = None,
    says: str | None = None,
) -> ExecutionError:
    """Return the error to raise for an operation that raised `error`; it carries its node."""
    failure = failure_of(error, sources)
    if sources and says is None:  # a call of code that its author didn't write
        failure = explained(failure, op, inputs)
    shown = op.failing(says)
    made: ExceptionNode = record(ExceptionNode, shown, inputs, failure.text)
    cause = error.exception_node._cause if isinstance(error, ExecutionError) else type(error)
    made._extra = {"failure": failure, "cause": cause}
    return made.as_error(error)
