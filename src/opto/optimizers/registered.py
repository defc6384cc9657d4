"""Optimizers by name; other distributions add theirs by the entry-point group "opto.optimizers"."""

from __future__ import annotations

from collections.abc import Callable

from opto.optimizers.hybrid import HybridOptimizer
from opto.optimizers.opro import OPRO
from opto.optimizers.opro_v2 import OPROv2
from opto.optimizers.optimizer import Optimizer
from opto.optimizers.optoprime import OptoPrime
from opto.optimizers.optoprime_v2 import OptoPrimeV2
from opto.optimizers.optoprimemulti import OptoPrimeMulti
from opto.optimizers.optuna import OptunaOptimizer
from opto.optimizers.textgrad import TextGrad
from opto.optimizers.torch import TorchOptimizer
from opto.registry import Registry

OPTIMIZERS: Registry[Callable[..., Optimizer]] = Registry("optimizer", group="opto.optimizers")

_OURS = (
    HybridOptimizer,
    OPRO,
    OPROv2,
    OptoPrime,
    OptoPrimeMulti,
    OptoPrimeV2,
    OptunaOptimizer,
    TextGrad,
    TorchOptimizer,
)
for _kind in _OURS:
    OPTIMIZERS.add(_kind.__name__, _kind)
