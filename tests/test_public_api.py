"""The import paths and names that programs written for the original rely on."""

from __future__ import annotations

import importlib
import re

import pytest

import opto

# Module -> names that must be importable from it.
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
    "opto.trace.operators": "call_llm",
    "opto.trace.propagators": "Propagator SumPropagator GraphPropagator TraceGraph",
    "opto.trace.propagators.propagators": "AbstractPropagator AbstractFeedback Propagator"
    " SumPropagator",
    "opto.trace.propagators.graph_propagator": "GraphPropagator TraceGraph",
    "opto.trace.utils": "sum_feedback contain parse_eqs_to_dict for_all_methods render_opt_step"
    " remove_non_ascii builtins_list global_functions_list dedent escape_json_nested_quotes",
    "opto.optimizers": "OPRO OptoPrime OptoPrimeV1 OptoPrimeV2 OptoPrimeMulti OPROv2 TextGrad"
    " OptoprimeBatchOpt",
    "opto.optimizers.optimizer": "AbstractOptimizer Optimizer",
    "opto.optimizers.optoprime": "OptoPrime ProblemInstance FunctionFeedback get_fun_name"
    " repr_function_call node_to_function_feedback",
    "opto.optimizers.optoprimemulti": "OptoPrimeMulti",
    "opto.optimizers.optoprime_batchopt": "OptoprimeBatchOpt",
    "opto.optimizers.optoprime_v2": "OptoPrimeV2 OptimizerPromptSymbolSet"
    " OptimizerPromptSymbolSet2 OptimizerPromptSymbolSetJSON MemoryInstance",
    "opto.optimizers.opro": "OPRO",
    "opto.optimizers.opro_v2": "OPROv2 OPROPromptSymbolSet",
    "opto.optimizers.textgrad": "TextGrad",
    "opto.optimizers.buffers": "FIFOBuffer",
    "opto.optimizers.utils": "extract_xml_like_data extract_top_level_blocks"
    " extract_first_top_level_block strip_nested_blocks extract_reasoning_and_remainder"
    " truncate_expression print_color",
    "opto.utils.llm": "AbstractModel AutoGenLLM LiteLLM CustomLLM LLM LLMFactory DummyLLM embed"
    " auto_construct_oai_config_list_from_env",
    "opto.utils.auto_retry": "retry_with_exponential_backoff",
    "opto.version": "__version__",
}
# What `from module import *` gives, where the original promised it.
STARS = {
    "opto.trace": "node stop_tracing GRAPH Node bundle ExecutionError Module NodeContainer model"
    " apply_op propagators utils Model",
}


@pytest.mark.covers("S1.1", "S1.2", "S1.3", "S1.4", "S1.5", "S1.6", "S1.7", "S1.8", "S1.9")
@pytest.mark.covers("S1.10", "S1.11", "S1.12", "S1.14")
@pytest.mark.parametrize("module", NAMES)
def test_the_names_of_the_original_are_where_they_were(module: str) -> None:
    loaded = importlib.import_module(module)

    assert [name for name in NAMES[module].split() if not hasattr(loaded, name)] == []


@pytest.mark.parametrize(("module", "names"), STARS.items())
def test_star_imports_give_what_they_gave(module: str, names: str) -> None:
    assert set(names.split()) <= set(importlib.import_module(module).__all__)


@pytest.mark.parametrize("module", STARS)
def test_all_is_true(module: str) -> None:
    """Each listed name exists, once; nothing private is listed."""
    loaded = importlib.import_module(module)
    listed = list(loaded.__all__)

    assert len(listed) == len(set(listed))
    assert [name for name in listed if name.startswith("_")] == []
    assert [name for name in listed if not hasattr(loaded, name)] == []


def test_the_version_is_one_that_installers_can_order() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", opto.__version__)
