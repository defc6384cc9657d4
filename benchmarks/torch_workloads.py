"""Scalar operations of torch on the CPU with autograd, and backward through a chain of them."""

from __future__ import annotations

import time

import torch  # type: ignore[import-not-found, unused-ignore] # only in its own environment

from benchmarks.micro import Micro, Namespace

CHAIN = 1_000
torch.set_num_threads(1)


def reset() -> None:
    """Nothing is kept."""


def names() -> Namespace:
    """Two scalars that need a gradient."""
    return {
        "x": torch.tensor(1.0, requires_grad=True),
        "y": torch.tensor(2.0, requires_grad=True),
    }


MICRO: dict[str, Micro] = {
    "op_nodes": Micro("x + y", names),
    "op_constant": Micro("x + 1.0", names),
    "op_chain": Micro(f"y = x\nfor _ in range({CHAIN}): y = y + x", names, per=CHAIN),
    "op_chain_constant": Micro(f"y = x\nfor _ in range({CHAIN}): y = y + 1.0", names, per=CHAIN),
}


def backward(*, n: int, **_: object) -> dict[str, float]:
    """Mean over ten chains of n additions, each fresh."""
    spent = 0.0
    for _round in range(10):
        x = torch.tensor(1.0, requires_grad=True)
        y = x
        for _index in range(n):
            y = y + x
        start = time.process_time()
        y.backward()
        spent += time.process_time() - start
    return {"backward": spent / 10}


MEASURES = {"backward": backward}
