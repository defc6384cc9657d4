"""Values that remember where they came from, and feedback that finds its way back."""

from opto.trace import broadcast as broadcast
from opto.trace import containers as containers
from opto.trace import errors as errors
from opto.trace import iterators as iterators
from opto.trace import modules as modules
from opto.trace import nodes as nodes
from opto.trace import operators as operators
from opto.trace import projections as projections
from opto.trace import propagators as propagators
from opto.trace import utils as utils
from opto.trace.broadcast import apply_op as apply_op
from opto.trace.bundle import bundle as bundle
from opto.trace.containers import Map as Map
from opto.trace.containers import NodeContainer as NodeContainer
from opto.trace.containers import ParameterContainer as ParameterContainer
from opto.trace.containers import Seq as Seq
from opto.trace.errors import ExecutionError as ExecutionError
from opto.trace.errors import TraceMissingInputsError as TraceMissingInputsError
from opto.trace.modules import Model as Model
from opto.trace.modules import Module as Module
from opto.trace.modules import model as model
from opto.trace.nodes import GRAPH as GRAPH
from opto.trace.nodes import Node as Node
from opto.trace.nodes import ParameterNode as ParameterNode
from opto.trace.nodes import node as node
from opto.trace.scope import name_scope as name_scope
from opto.trace.scope import new_scope as new_scope
from opto.trace.scope import stop_tracing as stop_tracing

__all__ = [
    "GRAPH",
    "ExecutionError",
    "Map",
    "Model",
    "Module",
    "Node",
    "NodeContainer",
    "ParameterNode",
    "Seq",
    "TraceMissingInputsError",
    "apply_op",
    "bundle",
    "model",
    "name_scope",
    "new_scope",
    "node",
    "operators",
    "propagators",
    "stop_tracing",
    "utils",
]
