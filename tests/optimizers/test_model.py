from __future__ import annotations

import contextvars
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from opto.errors import ExecutionError, ProposalError, ServerError, UnknownName, WrongType
from opto.llm import LLM
from opto.llm.base import Abilities, completion_of
from opto.optimizers import OPRO, OPROv2, OptoPrime, OptoPrimeV2, TextGrad
from opto.optimizers.model import MODELS, default_model, function_of, value_for
from opto.optimizers.optimizer import UpdateDict
from opto.testing import ScriptedModel
from opto.trace import bundle, node


def optimizer(**settings: Any) -> OptoPrime:
    return OptoPrime([node(1, name="x", trainable=True)], llm=ScriptedModel("hi"), **settings)


def test_the_default_model_comes_from_the_registry() -> None:
    made = default_model([{"model": "gpt-4o", "api_key": "sk-test"}])
    assert isinstance(made, LLM)
    assert made.model_name == "gpt-4o"
    assert isinstance(OptoPrime([node(1, trainable=True)]).llm, LLM)
    assert "default" in MODELS.names()
    with pytest.raises(UnknownName):
        MODELS.get("unknown")


def test_a_plain_function_is_a_model() -> None:
    def llm(messages: list[dict[str, str]], **_: Any) -> str:
        return f"{len(messages)} messages"

    x = node(1, trainable=True)
    assert OptoPrime([x], llm=llm).call_llm("s", "u") == "2 messages"


def test_a_function_may_call_the_messages_as_it_likes() -> None:
    def llm(m: list[dict[str, str]], **_: Any) -> str:
        return m[1]["content"]

    x = node(1, trainable=True)
    assert OptoPrime([x], llm=llm).call_llm("s", "u") == "u"


def test_a_client_of_an_official_library_is_a_model() -> None:
    class Messages:
        def create(self, **options: Any) -> dict[str, Any]:
            text = {"type": "text", "text": f"{options['system']}, {options['max_tokens']}"}
            return {"content": [text], "stop_reason": "end_turn", "usage": {}}

    class Anthropic:  # the shape that such clients have
        messages = Messages()

    x = node(1, trainable=True)
    assert OptoPrime([x], llm=Anthropic(), max_tokens=5).call_llm("s", "u") == "s, 5"  # type: ignore[arg-type]  # known by its shape


def test_what_is_no_model() -> None:
    with pytest.raises(WrongType, match=r"llm must be callable .* not str; .* LLM\('gpt-4'\)"):
        OptoPrime([node(1, trainable=True)], llm="gpt-4")  # type: ignore[arg-type]  # the point


def test_the_call_contract() -> None:
    made = optimizer(max_tokens=7, options={"top_p": 0.5})
    assert made.call_llm("s", "u", temperature=0.2) == "hi"
    (call,) = made.llm.calls  # type: ignore[attr-defined]  # a ScriptedModel
    assert call.messages == (
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
    )
    assert call.options == {"max_tokens": 7, "top_p": 0.5, "temperature": 0.2}
    assert made.log == [{"system_prompt": "s", "user_prompt": "u", "response": "hi"}]


# ---- concurrency ---------------------------------------------------------------------------------

MARK: contextvars.ContextVar[str] = contextvars.ContextVar("MARK", default="none")


def test_independent_calls_run_together_in_order_and_in_context() -> None:
    together = threading.Barrier(3, timeout=20)

    def call(index: int) -> Any:
        def run() -> tuple[int, str]:
            together.wait()
            return index, MARK.get()

        return run

    token = MARK.set("here")
    try:
        found = optimizer().concurrently([call(index) for index in range(3)])
    finally:
        MARK.reset(token)
    assert found == [(0, "here"), (1, "here"), (2, "here")]
    assert optimizer().concurrently([]) == []


def test_errors_of_calls_are_raised() -> None:
    def fail() -> None:
        message = "down"
        raise ServerError(message)

    with pytest.raises(ServerError):
        optimizer().concurrently([fail, fail])


# ---- candidates ----------------------------------------------------------------------------------


def test_the_best_of_several() -> None:
    made = optimizer()
    (x,) = made.parameters

    def candidate(value: int) -> Any:
        def make() -> UpdateDict:
            if value == 7:
                message = "seven"
                raise ProposalError(message)
            return {x: value}

        return make

    def score(update: UpdateDict) -> float:
        if update[x] == 9:
            raise ExecutionError(Failed())
        return float(update[x])

    assert made.best([candidate(v) for v in (1, 7, 9, 5, 2)], score) == {x: 5}
    assert made.best([candidate(v) for v in (7, 2, 3)], None) == {x: 2}
    with pytest.raises(ProposalError, match="seven"):
        made.best([candidate(7), candidate(9)], score)
    with pytest.raises(ProposalError, match=r"the program failed with these values: \(X\) y"):
        made.best([candidate(9), candidate(7)], score)


class Failed:
    exception_text = "(X) y"
    exception_report = "a traceback"


def test_sampling() -> None:
    made = optimizer(options={"temperature": 0.1})
    assert made.sampling(1, 3) == {}
    assert made.sampling(2, 3) == {"temperature": 0.1, "seed": 3}
    x = node(1, trainable=True)

    def llm(**_: Any) -> Any:
        return completion_of("hi")

    plain = OptoPrime([x], llm=llm)
    assert set(plain.sampling(2, 3)) == {"temperature"}


# ---- conversion ----------------------------------------------------------------------------------


def test_code_parameters() -> None:
    @bundle(trainable=True)
    def f(x: int) -> int:
        """Doc."""
        return x

    assert function_of(f.parameter) == "f"
    f.parameter._data = "def f(x):\n    return helper(x)\n\ndef helper(x):\n    return x"
    assert function_of(f.parameter) == "f"
    assert value_for(f.parameter, "```\ndef f(x): return 2\n```") == "def f(x): return 2"
    with pytest.raises(ProposalError, match="expected code as text, got list"):
        value_for(f.parameter, ["def f(x): return 2"])
    with pytest.raises(ProposalError, match=r"must start with def f\(x\)"):
        value_for(f.parameter, "def f(y): return 2")
    assert function_of(node("def g(): pass", trainable=True)) is None


def test_converted_names_the_parameter_at_fault() -> None:
    made = optimizer()
    values: Mapping[str, object] = {"x0": "two"}
    with pytest.raises(ProposalError) as caught:
        made.converted(values, reply="r")
    assert caught.value.reason.startswith("x0: expected an int")
    assert caught.value.reply == "r"


def test_refusals_are_told_once_each() -> None:
    made = optimizer()
    assert made.refusals() == ""
    for reason in ("a", "b", "b", "c"):
        made.refused.append(ProposalError(reason))
    assert made.refusals().count("- ") == 2
    assert "- b\n- c" in made.refusals()


@pytest.mark.parametrize("kind", [OptoPrime, OptoPrimeV2, OPRO, OPROv2, TextGrad])
def test_no_model_is_asked_if_nothing_can_be_changed(kind: Any) -> None:
    x = node(1, name="x", trainable=True)
    optimizer = kind([x], llm=ScriptedModel([]))
    optimizer.backward(x + 1, "more")
    x.trainable = False
    assert optimizer.step() == {}


@pytest.mark.parametrize("kind", [OptoPrime, OptoPrimeV2, OPRO, OPROv2, TextGrad])
def test_hints_are_told_beside_constraints(kind: Any) -> None:
    x = node(1, name="x", trainable=True, description="a size")
    llm = ScriptedModel("TERMINATE", abilities=Abilities())
    optimizer = kind([x], llm=llm)
    optimizer.hints[x] = "between 0 and 5"
    optimizer.backward(x + 1, "more")
    optimizer.step()
    assert "a size; between 0 and 5" in llm.calls[-1].prompt
