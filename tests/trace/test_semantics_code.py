"""SEMANTICS §5.5, §5.7, §5.8 and §5.11: errors, trainable code, recursion, source."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from opto import trace
from opto.trace import bundle
from opto.trace.nodes import ExceptionNode, MessageNode
from opto.trace.utils import sum_feedback
from tests.trace.helpers import node, same_nodes


def fail(x: int) -> int:
    message = f"no {x}"
    raise ValueError(message)


def passing_on(x: int) -> int:
    return fail(x)


@bundle(trainable=True)
def at_module_level(x: int) -> float:
    """Compute."""
    return math.sqrt(x)


def label(decorated: Any) -> Any:
    return decorated


@label
@bundle(
    "[noted] Many lines.",
)  # a comment
@label
# another comment
def decorated_twice(x: int) -> int:
    return x


def error_of(call: Any, *args: Any) -> Any:
    with pytest.raises(trace.ExecutionError) as caught:
        call(*args)
    return caught.value


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.covers("S5.5.1", "S2.12")
@pytest.mark.parametrize("trainable", [False, True])
def test_the_node_of_an_error(trainable: bool) -> None:
    @bundle("[op] Acts.", trainable=trainable)
    def act(x: Any, y: int = 2) -> Any:
        return x / 0

    x = node(1, trainable=True)
    made = error_of(act, x).exception_node

    assert isinstance(made, ExceptionNode)
    assert list(made.inputs) == (["x", "y", "__code"] if trainable else ["x", "y"])
    assert made.inputs["x"] is x
    assert made.name == ("exception_eval:0" if trainable else "exception_op:0")
    assert made.description.startswith("[exception] The operator ")
    assert made.description.endswith(" raises an exception.")
    assert made.data == "(ZeroDivisionError) division by zero"
    assert "ZeroDivisionError: division by zero" in made.info["traceback"]
    assert made.create_feedback("full") == made.info["error_comment"]
    made.backward(made.create_feedback())
    assert sum_feedback([x]).user_feedback == made.data


@pytest.mark.covers("S5.5.2")
def test_the_error_itself() -> None:
    error = error_of(bundle()(fail), 3)

    assert isinstance(error, ValueError)
    assert error.args == ("(ValueError) no 3",)
    assert str(error).startswith("\n\nTraceback")
    assert str(error).rstrip().endswith("ValueError: no 3")
    assert isinstance(error.__cause__, ValueError)


@pytest.mark.covers("S5.5.3")
def test_the_annotated_source() -> None:
    comment = error_of(bundle()(passing_on), 3).exception_node.info["error_comment"]

    assert comment == (
        "def passing_on(x: int) -> int:\n"
        "    return fail(x) <--- Error raised in function call. See below.\n"
        "\n"
        "def fail(x: int) -> int:\n"
        '    message = f"no {x}"\n'
        "    raise ValueError(message) <--- (ValueError) no 3.\n"
        "\n"
        "(ValueError) no 3."
    )


@pytest.mark.covers("S5.5.3")
def test_the_annotated_source_of_trainable_code() -> None:
    @bundle(trainable=True)
    def learn(x: int) -> Any:
        return x

    assert learn.parameter is not None
    learn.parameter._set("y = 0\ndef learn(x):\n    z = x\n    return z / y\n")
    comment = error_of(learn, 1).exception_node.info["error_comment"]

    assert comment.split("\n\n")[0].splitlines() == [
        "y = 0",
        "def learn(x):",
        "    z = x",
        "    return z / y <--- (ZeroDivisionError) division by zero.",
    ]
    assert comment.splitlines()[-1] == "(ZeroDivisionError) division by zero."


@pytest.mark.covers("S5.5.3")
def test_frames_without_source_end_the_comment() -> None:
    made: dict[str, Any] = {}
    exec("def inner(x):\n    return x / 0", made)

    def outer(x: int) -> Any:
        return made["inner"](x)

    comment = error_of(bundle()(outer), 1).exception_node.info["error_comment"]

    assert '    return made["inner"](x) <--- (ZeroDivisionError) division by zero.' in comment
    assert "See below" not in comment


@pytest.mark.covers("S5.5.4")
def test_errors_that_are_not_caught() -> None:
    with pytest.raises(ValueError, match="no 3") as caught:
        bundle(catch_execution_error=False)(fail)(3)

    assert type(caught.value) is ValueError


@pytest.mark.covers("S5.5.1")
def test_exits_are_no_errors() -> None:
    def leave(x: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bundle()(leave)(1)


@pytest.mark.covers("S5.5.5", "S2.12")
@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("def learn(x) return x", "(SyntaxError) "),
        ("import nothing_like_this\ndef learn(x): return x", "(ModuleNotFoundError) "),
    ],
)
def test_code_that_cannot_be_run(code: str, data: str) -> None:
    @bundle(trainable=True)
    def learn(x: Any) -> Any:
        return x

    assert learn.parameter is not None
    learn.parameter._set(code)
    made = error_of(learn, node(1)).exception_node

    assert list(made.inputs) == ["code"]
    assert made.inputs["code"] is learn.parameter
    assert made.name == "exception___code0:0"
    assert made.description == "[exception] The code parameter __code0 has an error."
    assert made.data.startswith(data)
    assert code.splitlines()[0] in made.info["error_comment"]
    made.backward("mend it")
    assert sum_feedback([learn.parameter]).user_feedback == "mend it"


@pytest.mark.covers("S5.5.5")
def test_code_that_defines_nothing() -> None:
    @bundle(trainable=True)
    def learn(x: Any) -> Any:
        return x

    assert learn.parameter is not None
    learn.parameter._set("x = 1")
    made = error_of(learn, 1).exception_node

    assert same_nodes(made.parents, [learn.parameter])
    assert "learn" in made.data


# ---- trainable code ------------------------------------------------------------------------------


@pytest.mark.covers("S5.7.1", "S3.10", "S23.5")
def test_the_code_parameter() -> None:
    parameter = at_module_level.parameter

    assert parameter is not None
    assert parameter.data == (
        'def at_module_level(x: int) -> float:\n    """Compute."""\n    return math.sqrt(x)'
    )
    assert parameter._constraint == (
        'The code should start with:\ndef at_module_level(x: int) -> float:\n    """Compute."""'
    )
    assert parameter.is_code


@pytest.mark.covers("S5.7.1")
def test_projections_belong_to_the_code() -> None:
    def shout(code: str) -> str:
        return code

    made: Any = bundle(trainable=True, projections=[shout])(passing_on)

    assert made.parameter.projections == [shout]


@pytest.mark.covers("S5.7.2")
def test_code_may_have_more_than_one_function() -> None:
    @bundle(trainable=True)
    def learn(x: Any) -> Any:
        return x

    assert learn.parameter is not None
    learn.parameter._set(
        "import string\ndef first(x):\n    return later(x) + K\n"
        "def learn(x):\n    return string.digits[first(x)]\n"
        "def later(x):\n    return x + 1\nK = 2\n"
    )

    assert learn(1).data == "4"


@pytest.mark.covers("S5.7.3")
def test_code_sees_what_stood_around_it() -> None:
    def local_helper(x: int) -> int:
        return x + 1

    @bundle()
    def other(x: int) -> int:
        return 10 * x

    @bundle(trainable=True, execution="inprocess")
    def learn(n: int) -> Any:
        if n > 1:
            return learn(n - 1) + 1
        return local_helper(0) + other(n).data

    assert learn.parameter is not None
    for code in (learn.parameter.data, f"{learn.parameter.data}  # changed"):
        learn.parameter._set(code)
        made = learn(3)
        assert made.data == 13
        assert isinstance(made, MessageNode)


@pytest.mark.covers("S5.7.4", "S5.10.1")
def test_trainable_coroutines() -> None:
    @bundle(trainable=True)
    async def learn(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    made: Any = asyncio.run(learn(1))  # type: ignore[arg-type,unused-ignore]  # a coroutine

    assert made.data == 2
    assert list(made.inputs) == ["x", "__code"]


# ---- recursion -----------------------------------------------------------------------------------


@pytest.mark.covers("S5.8.1")
@pytest.mark.parametrize("overwrite", [False, True])
def test_recursion(overwrite: bool) -> None:
    made_inside: list[Any] = []

    @bundle(overwrite_python_recursion=overwrite)
    def fib(n: Any) -> Any:
        if n <= 1:
            return 1
        made = fib(n - 1), fib(n - 2)
        made_inside.extend(made)
        return made[0] + made[1]

    made = fib(5)

    assert made.data == 8
    assert isinstance(made, MessageNode)
    assert all(isinstance(result, MessageNode) != overwrite for result in made_inside)
    assert len(made.parents) == 1


# ---- source --------------------------------------------------------------------------------------


@pytest.mark.covers("S5.11.1")
def test_the_source_starts_below_the_decorator() -> None:
    made: Any = decorated_twice
    info = made.info

    assert info["source"] == (
        "@label\n# another comment\ndef decorated_twice(x: int) -> int:\n    return x"
    )
    lines = Path(__file__).read_text("utf-8").splitlines()
    assert lines[info["line_number"] - 1] == "@label"
    assert lines[info["line_number"]] == "# another comment"


@pytest.mark.covers("S5.11.1")
def test_inline_use_keeps_the_whole_source() -> None:
    made: Any = bundle()(passing_on)

    assert made.info["source"] == "def passing_on(x: int) -> int:\n    return fail(x)"


@pytest.mark.covers("S5.11.1", "S5.7.1")
def test_decorators_below_belong_to_the_code() -> None:
    @bundle(trainable=True)
    @label
    def learn(x: int) -> int:
        return x

    assert learn.parameter is not None
    assert learn.parameter.data.startswith("@label\ndef learn")
    learn.parameter._set(learn.parameter.data.replace("return x", "return x + 1"))
    assert learn(1).data == 2
