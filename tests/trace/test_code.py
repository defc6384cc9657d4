from __future__ import annotations

import builtins
import math
import textwrap
from typing import Any

import pytest

from opto.errors import UnknownName
from opto.trace import bundle
from opto.trace.code import (
    DEFAULT,
    LOADERS,
    Loaded,
    Surroundings,
    load_in_process,
    loader,
    new_filename,
)
from opto.trace.origin import UNKNOWN, Origin
from tests.trace.helpers import node

LIMIT = 10


def top(x: Any) -> Any:
    return x


def compiled(text: str, fun: Any = top, helpers: Any = None, owner: str = "") -> Any:
    surroundings = Surroundings(fun, helpers or {}, owner)
    return load_in_process(
        textwrap.dedent(text), surroundings, new_filename("top"), UNKNOWN
    ).function


def test_a_text_is_compiled_under_a_name_of_its_own() -> None:
    surroundings = Surroundings(top, {}, "")
    one = load_in_process("def top(x): return x + 1", surroundings, new_filename("top"), UNKNOWN)
    two = load_in_process("def top(x): return x + 2", surroundings, new_filename("top"), UNKNOWN)

    assert (one.function(1), two.function(1)) == (2, 3)
    assert one.filename != two.filename
    assert one.sources == {one.filename: "def top(x): return x + 1"}


def test_the_function_of_the_right_name_is_taken() -> None:
    text = """
        import math
        def helper(x): return math.floor(x)
        def top(x): return helper(x) + 1
        def other(x): return 0
        """

    assert compiled(text)(2.5) == 3
    assert compiled("def renamed(x): return 7")(1) == 7


def test_a_text_that_defines_nothing() -> None:
    with pytest.raises(NameError, match="defines no function; it must define top"):
        compiled("x = 1")
    with pytest.raises(SyntaxError):
        compiled("def top(x:")
    with pytest.raises(ZeroDivisionError):
        compiled("1 / 0\ndef top(x): return x")


def test_names_are_looked_up_live(monkeypatch: pytest.MonkeyPatch) -> None:
    function = compiled("def top(x): return min(x, LIMIT)")
    assert function(20) == 10

    monkeypatch.setitem(globals(), "LIMIT", 3)

    assert function(20) == 3
    monkeypatch.setattr(builtins, "opto_test_name", 5, raising=False)
    assert compiled("def top(x): return opto_test_name")(1) == 5
    with pytest.raises(NameError, match="nowhere"):
        compiled("def top(x): return nowhere")(1)


def test_the_closure_is_seen_live() -> None:
    factor = 2

    def scaled(x: Any) -> Any:
        return x * factor

    function = compiled("def scaled(x): return x * factor + 1", scaled)
    assert function(3) == 7
    factor = 10
    assert function(3) == 31


def test_a_variable_that_is_not_assigned_yet() -> None:
    def early(x: Any) -> Any:
        return later + x

    function = compiled("def early(x): return later + x", early)
    with pytest.raises(NameError, match="later"):
        function(1)
    later = 1
    assert function(1) == 2


def test_helpers_come_before_globals() -> None:
    assert compiled("def top(x): return LIMIT", helpers={"LIMIT": "near"})(1) == "near"


def test_a_builtin_has_no_surroundings() -> None:
    assert compiled("def sqrt(x): return 1", math.sqrt)(4) == 1


class Base:
    def greet(self, x: Any) -> Any:
        return f"base {x}"


class Child(Base):
    __secret = 5

    @bundle(trainable=True, execution="inprocess")
    def greet(self, x: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().greet(x)

    @bundle(trainable=True)
    def reveal(self, x: Any) -> Any:
        return self.__secret + x


CHANGED = {
    "argument": "def reveal(self, __x):\n    return __x + 1",
    "keyword only": "def reveal(self, x, *, __y=1):\n    return x + __y",
    "inner function": (
        "def reveal(self, x):\n    def __add(y):\n        return y + 1\n    return __add(x)"
    ),
    "import": "def reveal(self, x):\n    import math as __m\n    return __m.floor(x) + 1",
    "variable": "def reveal(self, x):\n    __y = x + 1\n    return __y",
    "exception": (
        "def reveal(self, x):\n    try:\n        1 / 0\n"
        "    except ZeroDivisionError as __e:\n        return x + len([__e])"
    ),
    "attribute": "def reveal(self, x):\n    return x + self.__secret - 4",
    "special": "def reveal(self, x):\n    return x + len(type(self).__name__) - 4",
}


@pytest.mark.parametrize("text", CHANGED.values(), ids=CHANGED)
def test_private_names_in_changed_code(text: str) -> None:
    child = Child()
    parameter: Any = child.reveal.parameter
    parameter._set(text)

    assert child.reveal(1).data == 2


@pytest.mark.parametrize(
    "text",
    [
        "def greet(self, x):\n    return 'new ' + super().greet(x)",
        "def greet(self, x):\n    return 'new ' + super(__class__, self).greet(x)",
        "import math\ndef greet(self, x):\n    return 'new ' + super().greet(math.floor(x))",
    ],
)
def test_super_in_changed_code(text: str) -> None:
    child = Child()
    parameter: Any = child.greet.parameter
    parameter._set(text)

    assert child.greet(node(1)).data == "new base 1"


def test_a_text_that_kept_its_decorator() -> None:
    @bundle(trainable=True)
    def f(x: Any) -> Any:
        return x

    parameter: Any = f.parameter
    parameter._set("from opto.trace import bundle\n@bundle()\ndef f(x):\n    return x + 1")

    assert f(1).data == 2
    assert f.fun(1) == 2


def test_the_way_of_running_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTO_EXECUTION", raising=False)
    assert loader(None) is LOADERS.get(DEFAULT)
    assert loader("inprocess") is load_in_process

    def mine(text: str, surroundings: Surroundings, filename: str, origin: Origin) -> Loaded:
        return Loaded(text, top, filename, None)

    assert loader(mine) is mine
    monkeypatch.setenv("OPTO_EXECUTION", "elsewhere")
    with pytest.raises(UnknownName, match="unknown way of execution: 'elsewhere'"):
        loader(None)
