from __future__ import annotations

import subprocess
import sys

import pytest

from opto.errors import MissingExtra
from opto.optimizers import TorchOptimizer
from opto.optimizers.torch import GradientPropagator, is_tensor
from opto.testing import check_propagator
from opto.trace import node


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'trace-opt\[torch\]'"):
        TorchOptimizer([node(1.0, trainable=True)])


def test_nobody_imports_torch_unasked() -> None:
    code = (
        "import sys; import opto.optimizers as o; o.OPTIMIZERS.get('TorchOptimizer'); "
        "from opto.trace import node; x = node(1.0, trainable=True); "
        "(x * 2).backward('too big', propagator=o.GradientPropagator()); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_torch_nothing_is_a_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert not is_tensor(1.0)
    assert not is_tensor([1.0])


def test_without_torch_the_propagator_carries_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    check_propagator(GradientPropagator)
