from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opto.trace import node
from opto.trace.methods import Operators
from opto.trace.nodes import MessageNode
from opto.trace.table import METHODS

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT / "tools" / "generate_stubs.py"


def test_the_stub_is_current() -> None:
    command = [sys.executable, str(GENERATOR), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stub_declares_what_there_is() -> None:
    text = (ROOT / "src/opto/trace/methods.pyi").read_text("utf-8")
    there = {name for name, value in vars(Operators).items() if inspect.isfunction(value)}

    declared = {line.split("(")[0].split()[-1] for line in text.splitlines() if " def " in line}

    assert declared - {"data"} == there


@pytest.mark.parametrize("row", [row for row in METHODS if row.method], ids=lambda r: r.op.name)
def test_each_method_says_what_it_does(row: Any) -> None:
    method = getattr(Operators, row.method)

    assert method.__name__ == row.method
    assert method.__qualname__ == f"Operators.{row.method}"
    assert method.__doc__ == row.op.description or row.method == "__add__"


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x._unary(None),
        lambda x: x._binary(None, 1),
        lambda x: x._reflected(None, 1),
        lambda x: x._applied(None, (), {}),
        lambda x: x._changed(None, (), {}),
    ],
)
def test_the_hooks_are_for_those_above(call: Any) -> None:
    with pytest.raises(NotImplementedError):
        call(Operators())


def test_plus_is_named_by_what_it_adds() -> None:
    assert (node(1) + 2).name == "add:0"
    assert (node("a") + "b").name == "concat:0"
    assert ("b" + node("a")).data == "ba"
    assert (1 + node(2)).data == 3


def test_powers() -> None:
    assert (node(3) ** 2).data == 9
    assert (2 ** node(3)).data == 8
    made = pow(node(3), 2, 5)
    assert made.data == 4
    assert list(made.inputs) == ["x", "y", "modulo"]
    assert list((node(3) ** 2).inputs) == ["x", "y"]


def test_joining_takes_any_iterable() -> None:
    x, y = node("a"), node("b")

    made = node(", ").join(part for part in (x, "c", y))

    assert made.data == "a, c, b"
    assert made.inputs["args_0"] is x
    with pytest.raises(TypeError, match="Can only join an iterable, not int"):
        node(",").join(3)


def test_methods_that_the_value_lacks() -> None:
    x: Any = node(1)

    for name in ("upper", "append", "join"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(x, name)([])


def test_results_are_nodes() -> None:
    assert isinstance(node("a").upper(), MessageNode)
