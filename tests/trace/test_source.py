from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from typing import Any

import pytest

from opto.errors import SourceNotFound
from opto.trace import bundle
from opto.trace.source import (
    About,
    Place,
    definition_in,
    pick_definition,
    signature_text,
    source_of,
)


def loud(fun: Any) -> Any:
    @functools.wraps(fun)
    def call(*args: Any) -> Any:
        return fun(*args)

    return call


def plain(x: int) -> int:
    """Return it."""
    # a comment
    return x


def by_default(f: Any = lambda x: x + 1) -> Any:
    return f


def test_facts_are_worked_out_when_asked() -> None:
    about = About(plain, "plain", Place("", 0, 0))

    assert dict(about) == {
        "fun": plain,
        "fun_name": "plain",
        "_fun_name": "plain",
        "doc": "Return it.",
        "signature": inspect.signature(plain),
        "source": textwrap.dedent(inspect.getsource(plain)).strip("\n"),
        "line_number": plain.__code__.co_firstlineno,
        "file": __file__,
    }
    assert len(about) == 8
    with pytest.raises(KeyError):
        _ = about["nothing"]


def test_builtins_have_few_facts() -> None:
    about = About(max, "max", Place("", 0, 0))

    assert about["source"] is about["line_number"] is about["file"] is None
    assert about["doc"].startswith("max(")
    assert About(dict.fromkeys, "f", Place("", 0, 0))["signature"] is not False


@bundle()
@loud
def below(x: int) -> int:
    return x


@loud
@bundle(
    description="[named] over several lines",
)
def above(x: int) -> int:  # kept
    return x


def test_decorators_below_ours_are_kept() -> None:
    assert below.info["source"].startswith("@loud\ndef below(x: int) -> int:")
    inner: Any = vars(above)["__wrapped__"]
    assert inner.info["source"].startswith("def above(x: int) -> int:  # kept")
    lines = inspect.getsource(inspect.getmodule(plain) or test_builtins_have_few_facts)
    assert lines.splitlines()[inner.info["line_number"] - 1].startswith("def above")


def test_a_function_without_text() -> None:
    space: dict[str, Any] = {}
    exec("def hidden(x): return x", space)

    for fun in (space["hidden"], len, functools.partial(plain, 1)):
        with pytest.raises(SourceNotFound, match="can't be found: it was defined where no file"):
            source_of(fun)


def test_a_lambda_is_not_the_function_around() -> None:
    inner = by_default()

    assert bundle()(inner)(1).data == 2
    assert "def by_default" not in (bundle()(inner).info["source"] or "")
    with pytest.raises(SourceNotFound):
        bundle(trainable=True)(inner)


def test_a_lambda_has_the_line_it_stands_on() -> None:
    short = lambda x: x + 1

    assert source_of(short).text.startswith("short = lambda x: x + 1")
    assert source_of(short).head is None


def test_definitions_are_picked_by_name() -> None:
    text = "def a(): pass\ndef b(): pass\ndef a(): return 2"

    assert ast.unparse(definition_in(text, "a") or ast.Pass()).endswith("return 2")
    assert (definition_in(text, "z") or definition_in("def b(): pass")).name == "a"  # type: ignore[union-attr]  # found
    assert definition_in("x = 1") is None
    assert definition_in("def f(:") is None
    assert pick_definition(ast.parse("x = 1"), "f") is None


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("def f(x):\n    return x", "def f(x):"),
        ("def f(\n    x,\n):\n    return x", "def f(\n    x,\n):"),
        ("@deco\ndef f(x): return x", "def f(x):"),
        (
            "def f():\n    '''One.\n\n    Two.'''\n    return '''a'''",
            "def f():\n    '''One.\n\n    Two.'''",
        ),
        ("def f(): 'é doc'; return 1", "def f(): 'é doc'"),
        ("    async def f():\n        pass", "async def f():"),
        ("not code", "not code"),
    ],
)
def test_the_head_of_a_function(text: str, head: str) -> None:
    assert signature_text(text) == head
