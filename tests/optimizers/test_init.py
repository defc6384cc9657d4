from __future__ import annotations

from opto import optimizers
from opto.optimizers import OPRO, Optimizer, OptoPrime, TextGrad


def test_all_is_sorted_and_true() -> None:
    assert optimizers.__all__ == sorted(
        optimizers.__all__, key=lambda name: (not name.isupper(), name)
    )
    assert all(hasattr(optimizers, name) for name in optimizers.__all__)
    assert all(issubclass(kind, Optimizer) for kind in (OPRO, OptoPrime, TextGrad))
