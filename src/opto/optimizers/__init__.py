"""Optimizers: they read feedback, ask a language model, and change parameters."""

from __future__ import annotations

from opto.optimizers.model import ModelOptimizer as ModelOptimizer
from opto.optimizers.opro import OPRO as OPRO
from opto.optimizers.optimizer import Optimizer as Optimizer
from opto.optimizers.optoprime import OptoPrime as OptoPrime
from opto.optimizers.parsing import Proposal as Proposal
from opto.optimizers.problem import Problem as Problem
from opto.optimizers.textgrad import TextGrad as TextGrad

__all__ = [
    "OPRO",
    "ModelOptimizer",
    "Optimizer",
    "OptoPrime",
    "Problem",
    "Proposal",
    "TextGrad",
]
