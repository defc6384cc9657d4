"""Rules by which feedback passes operations, and what travels."""

from opto.trace.propagators.graph_propagator import GraphPropagator as GraphPropagator
from opto.trace.propagators.graph_propagator import Note as Note
from opto.trace.propagators.graph_propagator import TraceGraph as TraceGraph
from opto.trace.propagators.propagators import AbstractFeedback as AbstractFeedback
from opto.trace.propagators.propagators import AbstractPropagator as AbstractPropagator
from opto.trace.propagators.propagators import Propagator as Propagator
from opto.trace.propagators.propagators import SumPropagator as SumPropagator

__all__ = [
    "AbstractFeedback",
    "AbstractPropagator",
    "GraphPropagator",
    "Note",
    "Propagator",
    "SumPropagator",
    "TraceGraph",
]
