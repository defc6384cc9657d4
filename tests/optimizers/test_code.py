from __future__ import annotations

import pytest

from opto.errors import ProposalError
from opto.optimizers.code import checked_code, defines, main_function, parameter_names

CURRENT = 'def f(x, *args, y=1, **kw):\n    """Doc."""\n    return x'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (CURRENT, CURRENT),
        (f"```python\n{CURRENT}\n```", CURRENT),
        (f"  \n{CURRENT}\n\n", CURRENT),
        (
            "    def f(x, *args, y=1, **kw):\n        return 2",
            "def f(x, *args, y=1, **kw):\n    return 2",
        ),
        ("def f(x: int, *args, y=2, **kw) -> int:\n    return x",) * 2,
        (f"import math\n\ndef helper():\n    return 1\n\n{CURRENT}",) * 2,
        (
            "def f(x, *args, y=1, **kw):\r\n    return 1",
            "def f(x, *args, y=1, **kw):\n    return 1",
        ),
    ],
)
def test_code_that_fits(given: str, expected: str) -> None:
    assert checked_code(given, CURRENT) == expected


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("def f(x, *args, y=1, **kw) return x", "line 1: def f(x"),
        ("", "must define the function f"),
        ("not code at all", "not valid Python"),
        ("def g(x): return x", "must define the function f"),
        ("class A:\n    def f(x, *args, y=1, **kw): return x", "must define the function f"),
        ("def f(x): return x", "must start with def f(x, *args, y, **kw)"),
        ("def f(y, *args, x=1, **kw): return x", "it has (y"),
        ("async def f(x, *args, y=1, **kw): return x", "must stay 'def f'"),
        ("def f(x, *args, y=1, **kw):\n    return '\u202e'", "RIGHT-TO-LEFT OVERRIDE"),
        ("def f(x, *args, y=1, **kw):\n    return \u200b1", "not valid Python"),
        ("def f(x, *args, y=1, **kw):\n    return '\ud800'", "not valid Python"),
        ("def f(x, *args, y=1, **kw):\n    return '\0'", "not valid Python"),
        ("(" * 100_000, "not valid Python"),
    ],
    ids=range(13),
)
def test_code_that_does_not_fit(given: str, why: str) -> None:
    with pytest.raises(ProposalError) as caught:
        checked_code(given, CURRENT)
    assert why in caught.value.reason
    assert caught.value.reply == given


def test_async_stays_async() -> None:
    current = "async def f():\n    return 1"
    assert checked_code("async def f():\n    return 2", current).endswith("2")
    with pytest.raises(ProposalError, match="async def f"):
        checked_code("def f():\n    return 2", current)


def test_code_that_is_no_function_must_only_parse() -> None:
    assert checked_code("x = 2", "x = 1") == "x = 2"
    assert checked_code("def f(): pass", "broken (") == "def f(): pass"


def test_helpers() -> None:
    assert defines(CURRENT, "f")
    assert not defines(CURRENT, "g")
    assert not defines("(", "f")
    function = main_function(CURRENT)
    assert function is not None
    assert parameter_names(function) == ["x", "*args", "y", "**kw"]
    assert main_function("(") is None
