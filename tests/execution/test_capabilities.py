"""Code elsewhere calls back for what was declared; the calls are traced here."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import opto.trace as traced
from opto.errors import CannotIsolate, ExecutionError, TraceMissingInputsError
from opto.execution import Limits, Policy, isolated
from opto.testing import ScriptedModel
from opto.trace import bundle, model, node
from opto.trace.function import FunModule
from opto.trace.nodes import ParameterNode
from opto.trace.operators import call_llm
from tests.execution.proposing import drawn, proposed

pytestmark = pytest.mark.usefixtures("isolation")

WAYS = ["inprocess", "isolated"]


@bundle()
def double(x: Any) -> Any:
    """Twice, on the host."""
    return [x * 2, os.getpid()]


@bundle(trainable=True)
def learned(x: Any) -> Any:
    """Trainable itself, by the author so far."""
    return x + 1


@bundle()
def secret(x: Any) -> Any:
    """Nothing that the author's code uses."""
    return x


@bundle()
def fails(x: Any) -> Any:
    """Raises."""
    message = f"no {x}"
    raise KeyError(message)


def plain_call(x: Any) -> Any:
    """A function of the host that is no bundle."""
    return os.getpid(), x


def ask(x: Any) -> Any:
    """The author's own: it names what may be called."""
    if x:
        return double(x), learned(x), fails(x), slow(x), call_llm(x), TOOLS
    return traced.operators.call_llm(x), SHOWN


@bundle()
def slow(x: float) -> float:
    """Takes its time."""
    time.sleep(x)
    return x


TOOLS = {"twice": double}
SHOWN = node("shown", name="SHOWN")


def asking(body: str, way: Policy | str = isolated, **options: Any) -> FunModule[Any]:
    """The function with another body."""
    return proposed(ask, f"def ask(x):\n    {body}", way, **options)


# ---- bundled functions ---------------------------------------------------------------------------


def test_a_bundle_is_called_on_the_host() -> None:
    assert asking("return double(x).data").__call__(21).data == [42, os.getpid()]


@pytest.mark.parametrize(
    "body",
    [
        "return double(double(x).data[0])",
        "return double(double(x))",
        "return [double(x), {'a': learned(x)}]",
        "return learned(learned(x).data + 1).data",
        "return SHOWN.data",
        "return SHOWN",
        "return double(SHOWN)",
        "return slow(0) and double(x).data",
        "y = learned(x)\n    return double(y).data[0]",
    ],
)
def test_the_graph_is_that_of_running_here(body: str) -> None:
    here, there = [
        asking(body, way, allow_external_dependencies=True)(node(1, name="given")) for way in WAYS
    ]
    assert drawn(there) == drawn(here)


@pytest.mark.parametrize("way", WAYS)
def test_feedback_reaches_a_trainable_function_that_was_called(way: str) -> None:
    function = asking("return learned(x)", way)
    made = function(node(1))
    made.backward("larger")

    assert learned.parameter is not None
    assert made.data == 2
    assert function.parameter is not None
    assert function.parameter.feedback
    assert learned.parameter.feedback
    learned.parameter.zero_feedback()


@pytest.mark.parametrize("way", WAYS)
def test_reading_what_learns_has_to_be_allowed(way: str) -> None:
    with pytest.raises(TraceMissingInputsError):
        asking("return learned(x).data * 10", way)(1)

    made = asking("return learned(x).data * 10", way, allow_external_dependencies=True)(1)
    assert made.data == 20


@pytest.mark.parametrize("way", WAYS)
def test_errors_of_the_host_can_be_caught(way: str) -> None:
    body = "try:\n        fails(x)\n    except KeyError as error:\n        return 'caught'"
    assert asking(body, way)(1).data == "caught"


@pytest.mark.parametrize("way", WAYS)
def test_errors_of_the_host_that_pass_keep_their_story(way: str) -> None:
    with pytest.raises(KeyError) as caught:
        asking("y = x\n    return fails(y)", way)(7)

    assert isinstance(caught.value, ExecutionError)
    told = caught.value.exception_node.create_feedback("full")
    assert "return fails(y) <--- Error raised in function call. See below." in told
    assert "raise KeyError(message) <--- (KeyError) no 7." in told


def test_containers_of_bundles_may_be_named_by_the_author() -> None:
    assert asking("return TOOLS['twice'](x).data[0]")(4).data == 8


def test_a_bundle_may_be_given_as_an_argument() -> None:
    function = proposed(lambda_of(), "def f(g, x):\n    return g(x).data[0]")
    assert function(double, 5).data == 10


def lambda_of() -> Callable[..., Any]:
    def f(g: Any, x: Any) -> Any:
        return g(x)

    return f


def test_what_is_not_declared_is_named_with_all_the_rest() -> None:
    with pytest.raises(CannotIsolate) as caught:
        asking("return secret(x), plain_pid, traced.node(x)")(1)

    error = caught.value.__cause__
    assert isinstance(error, CannotIsolate)
    assert [line.partition(":")[0] for line in error.offenders] == ["secret", "traced"]
    assert "Policy(capabilities={'secret'})" in str(error)
    assert "execution='inprocess'" in str(error)


def test_what_is_listed_may_be_called() -> None:
    way = Policy(capabilities=frozenset({"secret", "plain_call"}))

    assert asking("return secret(x).data", way)(3).data == 3
    assert asking("return plain_call(x)", way)(3).data == (os.getpid(), 3)


def test_helpers_that_the_author_uses_declare_what_they_use() -> None:
    def helper(x: Any) -> Any:
        return double(x).data

    def f(x: Any) -> Any:
        return helper(x)

    assert proposed(f, "def f(x):\n    return helper(x)[0], double(x).data[0]")(1).data == (2, 2)


def test_the_name_of_a_container_does_not_declare_what_is_in_it() -> None:
    def f(x: Any) -> Any:
        return x

    with pytest.raises(CannotIsolate, match="TOOLS"):
        proposed(f, "def f(x):\n    return TOOLS['twice'](x)")(1)


def test_an_attribute_of_that_name_declares_no_function() -> None:
    def f(x: Any) -> Any:
        return x.secret

    with pytest.raises(CannotIsolate, match="secret: a bundled function"):
        proposed(f, "def f(x):\n    return secret(x)")(1)


# ---- nodes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_nodes_can_be_read_where_that_is_allowed(way: str) -> None:
    function = asking("return SHOWN.data + x", way, allow_external_dependencies=True)
    assert function("!").data == "shown!"


def test_nodes_that_globals_held_die_with_their_last_reference() -> None:
    function = asking("return SHOWN.data", allow_external_dependencies=True)
    space, kept = globals(), SHOWN
    try:
        for number in range(5):
            held = weakref.ref(space["SHOWN"])
            space["SHOWN"] = node(number, name="SHOWN")
            assert function(1).data == number
            assert number == 0 or held() is None
    finally:
        space["SHOWN"] = kept


def test_nodes_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="read-only"):
        asking("SHOWN.data = 1")("!")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return n + x, x + n, -n, n * 2, n % 3", (7, 7, -5, 10, 2)),
        ("return n > x, n == 5, bool(n), int(n), divmod(n, x), x ** n", None),
        ("return f'{n:03}', str(n), n.bit_length(), hash(n) == hash(5)", ("005", "5", 3, True)),
        ("return [10, 20, 30, 40, 50, 60][n], round(n), abs(n)", (60, 5, 5)),
    ],
)
def test_operators_work_on_the_value_of_a_node(body: str, value: Any) -> None:
    function = asking(f"n = slow(0) + 5 if x else 0\n    n = plus(5)\n    {body}", LISTED)
    expected = value or (True, True, True, 5, (2, 1), 32)
    assert function(2).data == expected


@bundle()
def plus(x: int) -> int:
    """The same."""
    return x


LISTED = Policy(capabilities=frozenset({"plus"}))


# ---- models --------------------------------------------------------------------------------------


def test_call_llm_is_traced_here() -> None:
    asked = ScriptedModel(["forty-two"])

    def f(x: Any) -> Any:
        return call_llm(asked, "Be short.", x)

    made = proposed(f, "def f(x):\n    return call_llm(asked, 'Be brief.', x)")("What?")
    assert made.data == "forty-two"
    assert "call_llm" in str(drawn(made))
    assert asked.calls[0].messages[0]["content"] == "Be brief."


def test_modules_lead_to_call_llm_and_to_nothing_else() -> None:
    asked = ScriptedModel(["yes"])

    def f(x: Any) -> Any:
        return traced.operators.call_llm(asked, x)

    text = "def f(x):\n    return traced.operators.call_llm(asked, x).data.upper()"
    assert proposed(f, text)("?").data == "YES"
    with pytest.raises(CannotIsolate, match="traced: the module"):
        proposed(f, "def f(x):\n    return traced.operators.add(x, x)")("?")


def test_a_model_answers_as_it_does_here() -> None:
    asked = ScriptedModel(["one", "two"])

    def f(x: Any) -> Any:
        return asked(messages=[{"role": "user", "content": x}])

    text = (
        "def f(x):\n"
        "    made = asked(messages=[{'role': 'user', 'content': x}], max_tokens=5)\n"
        "    return made.choices[0].message.content, made.usage.total_tokens > 0"
    )
    assert proposed(f, text)("hello").data[0] == "one"


@pytest.mark.parametrize(
    "bad",
    [
        "asked(messages=[{'role': 'user', 'content': x}], base_url='http://elsewhere')",
        "asked(messages=[{'role': 'user', 'content': x}], extra_headers={})",
        "asked(messages=[{'role': 'user', 'content': [{'type': 'image_url'}]}])",
        "call_llm(asked, x, api_base='http://elsewhere')",
    ],
)
def test_a_model_is_told_no_more_than_what_to_say(bad: str) -> None:
    asked = ScriptedModel(["never"])

    def f(x: Any) -> Any:
        return asked, call_llm(x)

    with pytest.raises(TypeError, match=r"can't be set from here|both text"):
        proposed(f, f"def f(x):\n    return {bad}")("hello")
    assert not asked.calls


# ---- methods -------------------------------------------------------------------------------------


@model
class Agent:
    """Has bundles, a model and a parameter of its own."""

    def __init__(self) -> None:
        self.prompt = node("Be short.", trainable=True, name="prompt")
        self.llm = ScriptedModel(["fine"] * 3)
        self.hidden = double

    @bundle()
    def plan(self, x: Any) -> Any:
        return f"plan for {x}"

    @bundle(trainable=True, execution=isolated, allow_external_dependencies=True)
    def act(self, x: Any) -> Any:
        return call_llm(self.llm, self.prompt, self.plan(x))


def agent(body: str) -> Any:
    made: Any = Agent()
    made.act.parameter._set(f"def act(self, x):\n    {body}")
    return made


def test_a_method_calls_bundles_models_and_reads_parameters_of_its_object() -> None:
    made = agent("return call_llm(self.llm, self.prompt, self.plan(x))")
    output = made.act("tea")

    assert output.data == "fine"
    said = [message["content"] for message in made.llm.calls[0].messages]
    assert said == ["Be short.", "plan for tea"]
    output.backward("longer")
    assert made.prompt.feedback
    assert isinstance(made.prompt, ParameterNode)


def test_a_method_names_what_is_not_declared() -> None:
    with pytest.raises(CannotIsolate, match=r"self\.hidden: a bundled function"):
        agent("return self.hidden(x)").act(1)


# ---- coroutines ----------------------------------------------------------------------------------


def test_coroutines_of_the_host_run_side_by_side() -> None:
    running: list[int] = []
    most: list[int] = []

    @bundle()
    async def wait(x: Any) -> Any:
        running.append(x)
        most.append(len(running))
        await asyncio.sleep(0.05)
        running.remove(x)
        return x + 1, threading.get_ident()

    async def f(x: Any) -> Any:
        return await wait(x)

    text = (
        "import asyncio\n"
        "async def f(x):\n"
        "    made = await asyncio.gather(*(wait(i) for i in range(x)))\n"
        "    return [one.data[0] for one in made], made[0].data[1]"
    )
    function: Any = proposed(f, text)
    values, thread = asyncio.run(function(4)).data
    assert values == [1, 2, 3, 4]
    assert max(most) == 4
    assert thread == threading.get_ident()


def test_models_can_be_awaited() -> None:
    asked = ScriptedModel(["later"])

    async def f(x: Any) -> Any:
        return await asked.acall(messages=x)

    text = (
        "async def f(x):\n"
        "    made = await asked.acall(messages=[{'role': 'user', 'content': x}])\n"
        "    return made.choices[0].message.content"
    )
    function: Any = proposed(f, text)
    assert asyncio.run(function("hi")).data == "later"


def test_a_thread_and_a_task_may_call_at_once() -> None:
    @bundle()
    async def wait(x: Any) -> Any:
        await asyncio.sleep(0.05)
        return x

    async def f(x: Any) -> Any:
        return await wait(x), double(x)

    text = (
        "import asyncio\n"
        "async def f(x):\n"
        "    both = asyncio.to_thread(lambda: double(x).data[0]), wait(x), wait(x + 1)\n"
        "    one, two, three = await asyncio.gather(*both)\n"
        "    return one, two.data, three.data"
    )
    function: Any = proposed(f, text)
    assert asyncio.run(function(4)).data == (8, 4, 5)


def test_a_coroutine_of_the_host_called_without_a_loop() -> None:
    @bundle()
    async def wait(x: Any) -> Any:
        await asyncio.sleep(0)
        return x

    def f(x: Any) -> Any:
        return wait(x)

    text = (
        "import asyncio\n"
        "async def g(x):\n    return (await wait(x)).data\n"
        "def f(x):\n    return asyncio.run(g(x))"
    )
    assert proposed(f, text)(3).data == 3


def test_a_cancelled_task_cancels_what_it_waits_for() -> None:
    ended = threading.Event()

    @bundle()
    async def wait(x: Any) -> Any:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return x

    async def f(x: Any) -> Any:
        return await wait(x)

    function: Any = proposed(f, "async def f(x):\n    return await wait(x)")

    async def late() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(function(1), 0.3)
        await asyncio.sleep(0.3)

    asyncio.run(late())
    assert ended.is_set()


# ---- limits --------------------------------------------------------------------------------------


def test_time_of_the_host_is_not_the_codes() -> None:
    quick = Policy(limits=Limits(seconds=0.4))

    assert asking("return [slow(0.3).data for i in range(3)]", quick)(1).data == [0.3] * 3
    with pytest.raises(TimeoutError):
        asking("slow(0.3)\n    while True: pass", quick)(1)


def test_calls_back_are_counted() -> None:
    few = Policy(limits=Limits(calls_back=5))

    assert len(asking("return [double(i).data for i in range(5)]", few)(1).data) == 5
    with pytest.raises(RuntimeError, match="more than 5 calls back"):
        asking("return [double(i).data for i in range(6)]", few)(1)


def test_calls_in_calls_come_to_an_end() -> None:
    @bundle(trainable=True, execution=isolated)
    def ping(x: Any) -> Any:
        return pong(x)

    @bundle(trainable=True, execution=isolated)
    def pong(x: Any) -> Any:
        return ping(x)

    for function in (ping, pong):
        assert function.parameter is not None
        function.parameter._set(
            function.parameter.data.replace("(x)", "(x + 0)").replace("(x + 0: Any)", "(x)")
        )
    with pytest.raises(RecursionError, match="nest deeper"):
        ping(1)


def test_stand_ins_mean_nothing_in_the_next_call() -> None:
    function = proposed(
        ask, "kept = []\ndef ask(x):\n    kept.append(double(x))\n    return kept[0].data"
    )
    assert function(1).data[0] == 2
    assert function(2).data[0] == 2  # it was read in time

    lazy = proposed(
        ask,
        "kept = []\ndef ask(x):\n    kept.append(double(x))\n    if len(kept) > 1:\n"
        "        return kept[0].data",
    )
    lazy(1)
    with pytest.raises(ExecutionError, match="earlier call"):
        lazy(2)


@pytest.mark.parametrize(
    "forged",
    [
        "('call', 1, -99, (), {})",
        "('call', 1, 10**9, (), {})",
        "('read', 1, -1)",
        "('call', 1, 'os', (), {})",
        "('call', 1, -1, (), {1: 2})",
        "('call', 'x', -1, (), {})",
        "('call',)",
        "('eval', 1, 'open')",
    ],
)
def test_forged_requests_are_no_messages(forged: str) -> None:
    text = (
        "import sys\n"
        "def ask(x):\n"
        "    post = double._post\n"
        f"    post.channel.send({forged})\n"
        "    return post.channel.receive()"
    )
    with pytest.raises(ExecutionError, match=r"no message|earlier call|no known shape"):
        proposed(ask, text)(1)
    assert asking("return double(x).data[0]")(1).data == 2


def test_results_that_cannot_cross_are_errors_there() -> None:
    @bundle()
    def odd(x: Any) -> Any:
        return object()

    def f(x: Any) -> Any:
        return odd(x)

    with pytest.raises(TypeError, match="can't be given to this process"):
        proposed(f, "def f(x):\n    return odd(x).data")(1)
    assert type(proposed(f, "def f(x):\n    return odd(x)")(1).data) is object
