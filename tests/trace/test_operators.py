from __future__ import annotations

import asyncio
import copy
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from opto.errors import ExecutionError
from opto.trace import operators as ops
from opto.trace.table import FUNCTIONS
from tests.trace.helpers import node


class Model:
    """Answers with what it was asked."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, *, messages: list[dict[str, str]], **options: Any) -> Any:
        self.calls.append((messages, options))
        message = SimpleNamespace(content=f"answer {len(self.calls)}")
        return SimpleNamespace(choices=[SimpleNamespace(message=message)])


def test_each_row_is_a_function() -> None:
    for row in FUNCTIONS:
        function = getattr(ops, row.op.name)
        assert function.name == function.__name__ == row.op.name
        assert function.description == function.__doc__ == row.op.description
    assert set(dir(ops)) >= {row.op.name for row in FUNCTIONS} | {"identity", "call_llm"}


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(AttributeError, match="there is no operator 'plus'; there are: abs, add"):
        _ = ops.plus


def test_operators_are_values() -> None:
    assert pickle.loads(pickle.dumps(ops.add)) is ops.add
    assert copy.deepcopy(ops.add) is ops.add
    assert repr(ops.add) == "<operator add>"


def test_identity_copies() -> None:
    x = node([1])

    made = ops.identity(x)

    assert made.data == [1]
    assert made.data is not x.data
    assert made.name == "clone:0"
    assert ops.identity(3).data == 3


def test_asking_a_model_that_is_given() -> None:
    model, system, user = Model(), node("Be kind."), node("Hello")

    made = ops.call_llm(model, system, user, "World", temperature=0.5)

    assert made.data == "answer 1"
    messages, options = model.calls[0]
    assert messages[0] == {"role": "system", "content": "Be kind."}
    assert messages[1] == {"role": "user", "content": "Hello\n\nWorld"}
    assert options == {"temperature": 0.5}
    assert made.inputs["system_prompt"] is system
    assert any(parent is user for parent in made.parents)


def test_asking_a_model_in_a_node() -> None:
    model = Model()

    ops.call_llm(node(model), None, "Hello")

    assert [message["role"] for message in model.calls[0][0]] == ["user"]


def test_asking_the_default_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    monkeypatch.setattr(ops.MODELS, "get", lambda name: (lambda: model) if name == "default" else 0)

    assert ops.call_llm("Be kind.", "Hello").data == "answer 1"
    assert len(model.calls) == 1


def test_a_call_that_fails_can_be_told() -> None:
    def model(**_: Any) -> Any:
        message = "no answer"
        raise TimeoutError(message)

    with pytest.raises(TimeoutError) as caught:
        ops.call_llm(model, "Be kind.", "Hello")

    error: Any = caught.value
    assert error.exception_node.data == "(TimeoutError) no answer"


# ---- asynchronously ------------------------------------------------------------------------------


class Async(Model):
    """A model with an ``acall``, as those of `opto.llm` have."""

    async def acall(self, messages: Any, **options: Any) -> Any:
        await asyncio.sleep(0)
        return self(messages=messages, **options)


def coroutine(model: Model) -> Any:
    async def ask(messages: Any, **options: Any) -> Any:
        return model(messages=messages, **options)

    return ask


def returning_a_coroutine(model: Model) -> Any:
    return lambda messages, **options: coroutine(model)(messages=messages, **options)


@pytest.mark.parametrize("how", ["acall", "coroutine", "thread", "awaitable"])
def test_awaiting_a_model(how: str) -> None:
    model, system, user = Async(), node("Be kind."), node("Hello", trainable=True)
    ways: dict[str, Any] = {
        "acall": model,
        "coroutine": coroutine(model),
        "thread": Model.__call__.__get__(model),
        "awaitable": returning_a_coroutine(model),
    }

    made = asyncio.run(ops.acall_llm(ways[how], system, user, "World", temperature=node(0.5)))
    alike = ops.call_llm(model, system, user, "World", temperature=0.5)

    assert (made.data, alike.data) == ("answer 1", "answer 2")
    assert model.calls[0] == model.calls[1]
    assert made.inputs.keys() == alike.inputs.keys()
    assert (made.inputs["system_prompt"], made.op_name) == (system, "call_llm")
    made.backward("shorter")
    assert user.feedback


def test_models_are_awaited_at_the_same_time() -> None:
    begun = 0
    all_there: asyncio.Event

    async def model(messages: Any) -> Any:
        nonlocal begun
        begun += 1
        if begun == 5:
            all_there.set()
        await all_there.wait()
        return Model()(messages=messages)

    async def together() -> list[Any]:
        nonlocal all_there
        all_there = asyncio.Event()
        return await asyncio.gather(*(ops.acall_llm(model, None, str(at)) for at in range(5)))

    assert [made.data for made in asyncio.run(together())] == ["answer 1"] * 5


def test_the_default_model_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.MODELS, "get", lambda _: Async)
    assert asyncio.run(ops.acall_llm("Be kind.", "Hello")).data == "answer 1"


def test_an_awaited_call_that_fails_can_be_told() -> None:
    async def model(**_: Any) -> Any:
        message = "no answer"
        raise TimeoutError(message)

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(ops.acall_llm(model, "Be kind.", "Hello"))

    error: Any = caught.value
    assert error.exception_node.data == "(TimeoutError) no answer"
    assert isinstance(error, ExecutionError)


def test_a_call_that_is_cancelled_leaves_no_node() -> None:
    ended: list[bool] = []

    async def model(**_: Any) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def cancelled() -> None:
        task = asyncio.create_task(ops.acall_llm(model, None, "Hello"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert ended == [True]


@pytest.mark.parametrize("name", ["self", "op", "x", "fun", "args", "kwargs", "name"])
def test_names_of_ours_are_free_for_users(name: str) -> None:
    value = node(5)
    given = {name: value}

    assert ops.make_dict(**given).data == {name: 5}
    assert node(f"{{{name}}}!").format(**given).data == "5!"
    assert node(dict)(**given).data == {name: 5}
    table = node({})
    table.update(**given)
    assert table.data == {name: 5}
    for made in (ops.make_dict(**given), node(f"{{{name}}}").format(**given)):
        assert any(parent is value for parent in made.parents)
        assert len(made.inputs) == len(made.parents)
