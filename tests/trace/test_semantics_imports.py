"""SEMANTICS §1: every name of the tracing part can be imported from where it was."""

from __future__ import annotations

import importlib

import pytest

NAMES = {
    "opto.trace": "node stop_tracing GRAPH Node bundle ExecutionError Module NodeContainer model"
    " apply_op propagators utils Model nodes operators containers modules broadcast errors"
    " iterators projections",
    "opto.trace.nodes": "node Node AbstractNode ParameterNode MessageNode ExceptionNode Graph GRAPH"
    " USED_NODES NAME_SCOPES IDENTITY_OPERATORS get_op_name NodeVizStyleGuide"
    " NodeVizStyleGuideColorful",
    "opto.trace.bundle": "bundle FunModule trace_nodes to_data wrap_node detach_inputs update_local"
    " TraceMissingInputsError ExecutionError disable_external_dependencies_check",
    "opto.trace.modules": "Module model ParameterContainer ParameterNode",
    "opto.trace.containers": "NodeContainer ParameterContainer Seq Map trainable_method",
    "opto.trace.broadcast": "apply_op recursive_conversion",
    "opto.trace.errors": "ExecutionError TraceMissingInputsError",
    "opto.trace.propagators": "Propagator SumPropagator GraphPropagator TraceGraph",
    "opto.trace.propagators.propagators": "AbstractPropagator AbstractFeedback Propagator"
    " SumPropagator",
    "opto.trace.propagators.graph_propagator": "GraphPropagator TraceGraph",
    "opto.trace.utils": "sum_feedback contain parse_eqs_to_dict for_all_methods remove_non_ascii"
    " builtins_list global_functions_list dedent escape_json_nested_quotes",
    "opto.version": "__version__",
}


@pytest.mark.covers(
    "S1.1", "S1.2", "S1.3", "S1.4", "S1.5", "S1.6", "S1.7", "S1.8", "S1.9", "S1.10", "S1.14"
)  # fmt: skip
@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_they_were(module: str) -> None:
    loaded = importlib.import_module(module)

    assert [name for name in NAMES[module].split() if not hasattr(loaded, name)] == []
