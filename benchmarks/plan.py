"""The list of samples that a round takes: which request goes to which subjects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MICRO_NAMES = (
    *("op_nodes", "op_constant", "op_chain", "op_chain_constant", "op_concat", "op_getitem"),
    *("op_upper", "op_less", "op_stopped", "node", "node_trainable", "bundle_nodes"),
    *("bundle_raw", "bundle_defaults", "bundle_star", "method", "method_first", "async"),
    *("trainable", "trainable_method", "trainable_long", "raises", "raises_read", "decorate"),
    *("decorate_trainable", "parameters"),
)
PLAIN_NAMES = (
    *("op_nodes", "op_constant", "op_chain", "op_concat", "op_getitem", "op_upper", "op_less"),
    *("bundle_nodes", "method", "async", "raises"),
)
TORCH_NAMES = ("op_nodes", "op_constant", "op_chain", "op_chain_constant")
SHAPES = ("chain", "constants", "fan_in", "fan_out", "tree", "ladder", "minibatch")
KINDS = ("node", "op_nodes", "op_constant", "bundle_nodes")
BOTH = ("original", "ours")


@dataclass(frozen=True)
class Effort:
    """How much a run spends.

    Attributes:
        min_time: CPU seconds of a timed block.
        sizes: operations of the graphs that only ours is asked for.
        both: operations of the graphs of every shape that both are asked for.
        original_chain: operations of the one long chain of the original.
        kept: results kept alive for the memory figures, ours and original.
        loop: iterations of build, backward, drop, ours and original.
    """

    min_time: float = 0.05
    sizes: tuple[int, ...] = (10_000, 100_000)
    both: int = 1_000
    original_chain: int = 10_000
    kept: Mapping[str, int] = field(default_factory=lambda: {"ours": 50_000, "original": 5_000})
    loop: Mapping[str, int] = field(default_factory=lambda: {"ours": 10_000, "original": 1_000})


FULL = Effort()
QUICK = Effort(
    min_time=0.001,
    sizes=(100, 1_000),
    both=30,
    original_chain=100,
    kept={"ours": 500, "original": 500},
    loop={"ours": 300, "original": 200},
)


@dataclass(frozen=True)
class Job:
    """One sample: its key in the results, who takes part, what the worker is told.

    A job that is `fresh` runs in a process of its own (memory, imports).
    """

    key: str
    subjects: tuple[str, ...]
    request: Mapping[str, Any]
    fresh: bool = False


def jobs(effort: Effort) -> Iterator[Job]:
    """Everything, in the order in which a round takes it."""
    yield from _statements(effort)
    yield from _backward(effort)
    yield from _memory(effort)
    for module in ("opto", "opto.trace"):
        yield Job(f"import/{module}", BOTH, {"do": "import", "module": module}, fresh=True)
    yield Job("import/torch", ("torch",), {"do": "import", "module": "torch"}, fresh=True)


def _statements(effort: Effort) -> Iterator[Job]:
    for gc_on in (False, True):
        for name in MICRO_NAMES:
            others = ("plain",) * (name in PLAIN_NAMES) + ("torch",) * (name in TORCH_NAMES)
            yield Job(
                f"micro/{name}/{_collector(gc_on=gc_on)}",
                BOTH if gc_on else BOTH + others,
                {"do": "micro", "name": name, "min_time": effort.min_time, "gc_on": gc_on},
            )


def _backward(effort: Effort) -> Iterator[Job]:
    for parameters in (1, 100):
        if parameters * 3 > effort.both:
            continue
        for shape in SHAPES:
            yield _graph(effort, BOTH, shape, effort.both, parameters)
            for size in effort.sizes:
                yield _graph(effort, ("ours",), shape, size, parameters)
                yield _graph(effort, ("ours",), shape, size, parameters, gc_on=True)
    yield _graph(effort, BOTH, "long_chain", effort.original_chain, 1)
    yield Job("torch_chain", ("torch",), _call("torch_workloads", "backward", n=effort.both))


def _graph(
    effort: Effort,
    subjects: tuple[str, ...],
    shape: str,
    n: int,
    parameters: int,
    *,
    gc_on: bool = False,
) -> Job:
    arguments = {
        "shape": "chain" if shape == "long_chain" else shape,
        "n": n,
        "parameters": parameters,
        "min_time": effort.min_time / 2,
        "gc_on": gc_on,
        "read": True,
    }
    key = f"backward/{shape}/{n}/{parameters}/{_collector(gc_on=gc_on)}"
    return Job(key, subjects, _call("graphs", "backward", **arguments))


def _memory(effort: Effort) -> Iterator[Job]:
    for kind in KINDS:
        request = _call("memory", "per_operation", kind=kind, count=min(effort.kept.values()))
        yield Job(f"memory/{kind}", BOTH, request, fresh=True)
        for subject, count in effort.kept.items():
            request = _call("memory", "resident_per_operation", kind=kind, count=count)
            yield Job(f"resident/{kind}", (subject,), request, fresh=True)
    for subject, iterations in effort.loop.items():
        request = _call("memory", "loop", iterations=iterations)
        yield Job("loop", (subject,), request, fresh=True)


def _call(module: str, name: str, **arguments: object) -> dict[str, Any]:
    return {
        "do": "call",
        "module": f"benchmarks.{module}",
        "name": name,
        "arguments": arguments,
    }


def _collector(*, gc_on: bool) -> str:
    return "gc-on" if gc_on else "gc-off"
