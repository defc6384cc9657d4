"""The nodes under the names that users import, and `node`, which makes them."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, overload
from warnings import warn

from opto.trace.abstract import AbstractNode as AbstractNode
from opto.trace.core import ExceptionNode as ExceptionNode
from opto.trace.core import MessageNode as MessageNode
from opto.trace.core import Node as Node
from opto.trace.core import apply as apply
from opto.trace.naming import GRAPH as GRAPH
from opto.trace.naming import Graph as Graph
from opto.trace.ops import get_op_name as get_op_name
from opto.trace.parameters import ParameterNode as ParameterNode
from opto.trace.picture import IDENTITY_OPERATORS as IDENTITY_OPERATORS
from opto.trace.picture import NodeVizStyleGuide as NodeVizStyleGuide
from opto.trace.picture import NodeVizStyleGuideColorful as NodeVizStyleGuideColorful
from opto.trace.scope import NAME_SCOPES as NAME_SCOPES
from opto.trace.scope import READS

T = TypeVar("T")

USED_NODES = READS


@overload
def node(
    data: Node[T],
    name: str | None = ...,
    *,
    trainable: Literal[True],
    description: str | None = ...,
    constraint: str | None = ...,
) -> ParameterNode[T]: ...
@overload
def node(
    data: T,
    name: str | None = ...,
    *,
    trainable: Literal[True],
    description: str | None = ...,
    constraint: str | None = ...,
) -> ParameterNode[T]: ...
@overload
def node(
    data: T,
    name: str | None,
    trainable: Literal[True],
    description: str | None = ...,
    constraint: str | None = ...,
) -> ParameterNode[T]: ...
@overload
def node(
    data: Node[T],
    name: str | None = ...,
    trainable: bool = ...,  # noqa: FBT001 - the original's signature
    description: str | None = ...,
    constraint: str | None = ...,
) -> Node[T]: ...
@overload
def node(
    data: T,
    name: str | None = ...,
    trainable: bool = ...,  # noqa: FBT001 - the original's signature
    description: str | None = ...,
    constraint: str | None = ...,
) -> Node[T]: ...
def node(
    data: Any,
    name: str | None = None,
    trainable: bool = False,  # noqa: FBT001, FBT002 - the original's signature
    description: str | None = None,
    constraint: str | None = None,
) -> Any:
    """Return a node for `data`; the value is kept as it is, never copied.

    Args:
        data: any object. A node is returned unchanged, or, if `trainable`, its value goes into a
            new parameter of the same base name, without a parent.
        name: base of the name; the type of `data` if None.
        trainable: make it a parameter, which optimizers may change.
        description: what it is, for a model.
        constraint: what a new value must satisfy, for a model.
    """
    if trainable:
        return ParameterNode(data, name=name, description=description, constraint=constraint)
    if isinstance(data, Node):
        if name is not None:
            warn(f"Name {name} is ignored because data is already a Node.", stacklevel=2)
        return data
    return Node(data, name=name, description=description, constraint=constraint)
