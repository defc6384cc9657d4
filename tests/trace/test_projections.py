from __future__ import annotations

import sys
import textwrap
from typing import Any

import pytest

from opto.errors import MissingExtra
from opto.trace.projections import BlackCodeFormatter, DocstringProjection, Projection


class Clip(Projection):
    def project(self, x: Any) -> Any:
        return min(x, 1)


def test_a_projection_is_called() -> None:
    assert Clip()(3) == 1
    with pytest.raises(NotImplementedError):
        Projection()(1)


def test_code_is_formatted() -> None:
    pytest.importorskip("black")

    assert BlackCodeFormatter()("def f( x ):return  x") == "def f(x):\n    return x\n"


@pytest.mark.parametrize(
    "text", ["definitely not code", "x = 'def'", "def f(:", 3, None, "default=1"]
)
def test_what_is_no_code_is_left_alone(text: Any) -> None:
    assert BlackCodeFormatter()(text) is text


def test_without_black_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "black", None)

    with pytest.raises(MissingExtra, match=r"pip install 'trace-opt\[format\]'"):
        BlackCodeFormatter()("def f(): pass")


def test_the_docstring_is_kept() -> None:
    code = textwrap.dedent('''\
        def f(x):
            """Changed."""
            return """text"""
        ''')

    assert DocstringProjection("Kept.")(code) == code.replace("Changed.", "Kept.")
    assert DocstringProjection("Kept.")("def f(): pass") == "def f(): pass"
    assert DocstringProjection("Kept.")(3) == 3
