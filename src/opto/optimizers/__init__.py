"""Optimizers: they read feedback, ask a language model, and change parameters."""

from __future__ import annotations

from opto.optimizers.bounds import Choices as Choices
from opto.optimizers.bounds import Range as Range
from opto.optimizers.hybrid import HybridOptimizer as HybridOptimizer
from opto.optimizers.model import ModelOptimizer as ModelOptimizer
from opto.optimizers.opro import OPRO as OPRO
from opto.optimizers.opro_v2 import OPROv2 as OPROv2
from opto.optimizers.optimizer import Optimizer as Optimizer
from opto.optimizers.optoprime import OptoPrime as OptoPrime
from opto.optimizers.optoprime_batchopt import OptoprimeBatchOpt as OptoprimeBatchOpt
from opto.optimizers.optoprime_v2 import OptoPrimeV2 as OptoPrimeV2
from opto.optimizers.optoprimemulti import OptoPrimeMulti as OptoPrimeMulti
from opto.optimizers.optuna import OptunaOptimizer as OptunaOptimizer
from opto.optimizers.parsing import Proposal as Proposal
from opto.optimizers.problem import Problem as Problem
from opto.optimizers.registered import OPTIMIZERS as OPTIMIZERS
from opto.optimizers.textgrad import TextGrad as TextGrad
from opto.optimizers.torch import GradientPropagator as GradientPropagator
from opto.optimizers.torch import TorchOptimizer as TorchOptimizer

OptoPrimeV1 = OptoPrime

__all__ = [
    "OPRO",
    "OPTIMIZERS",
    "Choices",
    "GradientPropagator",
    "HybridOptimizer",
    "ModelOptimizer",
    "OPROv2",
    "Optimizer",
    "OptoPrime",
    "OptoPrimeMulti",
    "OptoPrimeV1",
    "OptoPrimeV2",
    "OptoprimeBatchOpt",
    "OptunaOptimizer",
    "Problem",
    "Proposal",
    "Range",
    "TextGrad",
    "TorchOptimizer",
]
