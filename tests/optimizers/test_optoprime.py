from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from opto.errors import ContextTooLong, Disconnected, InvalidArgument, ProposalError
from opto.llm.base import Abilities, Choice, Completion, Message
from opto.optimizers import OptoPrime, OptoprimeBatchOpt
from opto.optimizers.optimizer import UpdateDict
from opto.optimizers.problem import Entries
from opto.testing import ScriptedModel
from opto.trace import GRAPH, ParameterNode, bundle, node
from opto.trace.projections import BlackCodeFormatter
from tests.optimizers.helpful import PLAIN, ready_to_step


def says(**suggestion: Any) -> dict[str, Any]:
    return {"reasoning": "because", "answer": "", "suggestion": suggestion}


def largest(update: UpdateDict) -> float:
    return float(max(update.values()))


def ready(*replies: Any, **settings: Any) -> tuple[ParameterNode[int], OptoPrime, ScriptedModel]:
    return ready_to_step(OptoPrime, replies, **settings)


def test_a_step_asks_once_and_sets_the_value() -> None:
    x, optimizer, llm = ready(says(x0="5"))
    assert optimizer.step() == {x: 5}
    assert x.data == 5
    (call,) = llm.calls
    assert [message["role"] for message in call.messages] == ["system", "user"]
    assert call.options == {"max_tokens": 4096, "response_format": {"type": "json_object"}}


@pytest.mark.covers("C01")
def test_c01_keys_of_one_optimizer_are_its_own() -> None:
    keys = {"reasoning": "r", "answer": None, "suggestion": "s"}
    x, optimizer, llm = ready({"r": "why", "s": {"x0": 3}}, json_keys=keys)
    _, other, _ = ready()
    assert '"s": {' in optimizer.output_format_prompt
    assert '"s": {' not in other.output_format_prompt
    assert dict(other.default_json_keys)["suggestion"] == "suggestion"
    assert optimizer.step() == {x: 3}
    assert '"answer"' not in llm.calls[0].prompt


@pytest.mark.covers("C02")
def test_c02_terminate_counts_only_as_the_whole_answer() -> None:
    quoted = {"reasoning": "judge said 'Correct [TERMINATE]' before", "suggestion": {"x0": 5}}
    x, optimizer, _ = ready(json.dumps(quoted), "TERMINATE")
    assert optimizer.step() == {x: 5}
    assert optimizer.step() == {}
    assert optimizer.refused == []
    assert len(optimizer.log or []) == 2


@pytest.mark.covers("C03", "C04")
def test_c03_c04_extraction_of_suggestions() -> None:
    optimizer = OptoPrime([node("p", trainable=True)], llm=ScriptedModel())
    broken = '{"reasoning": "bad "quotes"", "suggestion": {"a0": "one", "b0": "two"}}'
    assert optimizer.extract_llm_suggestion(broken) == {"a0": "one", "b0": "two"}
    fenced = {"str0": "Answer in ```json ... ``` please"}
    reply = json.dumps({"suggestion": fenced})
    assert optimizer.extract_llm_suggestion(reply) == fenced
    assert optimizer.extract_llm_suggestion(reply, return_only_suggestion=False) == {
        "reasoning": "",
        "variables": fenced,
    }
    assert optimizer.extract_llm_suggestion("sorry") == {}
    strict = OptoPrime(optimizer.parameters, llm=ScriptedModel(), ignore_extraction_error=False)
    with pytest.raises(ProposalError):
        strict.extract_llm_suggestion("sorry")


@pytest.mark.covers("C06")
@pytest.mark.parametrize(
    ("suggestion", "expected"),
    [
        ({"b0": "False"}, {"b0": False}),
        ({"b0": "no"}, {"b0": False}),
        ({"l0": [2]}, {"l0": [2]}),
        ({"l0": "a, b"}, None),
        ({"i0": "3.7"}, None),
        ({"i0": "seven"}, None),
        ({"i0": 2, "l0": "a, b"}, None),
    ],
)
def test_c06_suggestions_are_converted_or_refused(
    suggestion: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    parameters: list[ParameterNode[Any]] = [
        node(True, name="b", trainable=True),
        node([1], name="l", trainable=True),
        node(1, name="i", trainable=True),
    ]
    optimizer = OptoPrime(parameters, llm=ScriptedModel(), ignore_extraction_error=False)
    if expected is None:
        with pytest.raises(ProposalError):
            optimizer.construct_update_dict(suggestion)
        optimizer.ignore_extraction_error = True
        assert optimizer.construct_update_dict(suggestion) == {}
    else:
        update = optimizer.construct_update_dict(suggestion)
        assert {p.py_name: value for p, value in update.items()} == expected


@pytest.mark.covers("C07")
@pytest.mark.parametrize("text", ["Give a definite answer.", "default='a'"])
def test_c07_text_is_not_taken_for_code(text: str) -> None:
    p = node("x", name="p", trainable=True)
    optimizer = OptoPrime([p], llm=ScriptedModel())
    assert list(optimizer.construct_update_dict({"p0": text}).values()) == [text]


@pytest.mark.covers("C08")
def test_c08_the_problem_stays_in_the_prompt_with_example_and_memory() -> None:
    _, optimizer, llm = ready(says(x0=2), says(x0=3), include_example=True, memory_size=2)
    optimizer.step()
    optimizer.step()
    for call in llm.calls:
        assert "Now you see problem instance" in call.prompt
        assert "(int) add0=2" in call.prompt
    assert "tried before" not in llm.calls[0].prompt
    assert '"x0": "1"' in llm.calls[1].prompt


def test_memory_is_bounded() -> None:
    _, optimizer, llm = ready(*(says(x0=i) for i in range(5)), memory_size=2)
    for _ in range(5):
        optimizer.step()
    assert llm.calls[-1].prompt.count('"feedback": "more"') == 2


@pytest.mark.covers("C11")
def test_c11_the_example_response_is_right() -> None:
    for keys in (None, {"answer": None}, {"suggestion": "new"}):
        _, optimizer, _ = ready(json_keys=keys, include_example=True)
        response = json.loads(optimizer.example_response)
        assert response[optimizer.json_keys["suggestion"]] == {"a0": 9}  # 9 + 3 = 12, as wanted
        assert optimizer.example_response in optimizer.construct_prompt(optimizer.summarize())[1]


@pytest.mark.covers("C15")
def test_c15_an_unknown_name_is_told_to_the_model() -> None:
    x, optimizer, llm = ready(says(X_0=5), says(x0=5))
    assert optimizer.step() == {}
    assert "'X_0'" in optimizer.refused[0].reason
    optimizer.step()
    assert "no such variable: 'X_0'; the variables are: x0" in llm.calls[1].prompt
    assert x.data == 5


@pytest.mark.covers("C17")
def test_c17_own_titles_of_sections() -> None:
    _, optimizer, _ = ready(prompt_symbols={"variables": "#Knobs", "inputs": "#Code of old"})
    summary = optimizer.summarize()
    system, user = optimizer.construct_prompt(summary)
    assert "#Knobs\n(int) x0=1" in user
    assert "#Code of old\n(int) int0=1" in user
    for text in (system, user):
        assert "#Variables" not in text
        assert "#Code of old of old" not in text
    assert optimizer.problem_instance(summary, mask=["#Knobs"]).variables == ""
    assert optimizer.problem_instance(summary, mask=["#Code"]).code == ""
    assert optimizer.problem_instance(summary, mask=["#Code"]).inputs != ""
    assert "(int) add0=2" in str(optimizer.problem_instance(summary, mask=["#Inputs"]))


def test_titles_within_values_stay() -> None:
    x = node("see #Variables", name="x", trainable=True)
    optimizer = OptoPrime([x], llm=ScriptedModel(), prompt_symbols={"variables": "#Knobs"})
    optimizer.backward(x + "", "more")
    assert "x0=see #Variables" in optimizer.construct_prompt(optimizer.summarize())[1]


@pytest.mark.covers("C21")
def test_c21_code_that_is_not_valid_is_refused_before_projections() -> None:
    @bundle(trainable=True, projections=[BlackCodeFormatter()])
    def f(x: int) -> int:
        return x

    before = f.parameter.data
    name = f.parameter.py_name
    llm = ScriptedModel([says(**{name: "def f(x) return"})], abilities=PLAIN)
    optimizer = OptoPrime([f.parameter], llm=llm)
    optimizer.backward(f(1), "fb")
    assert optimizer.step() == {}
    assert f.parameter.data == before
    assert "not valid Python" in optimizer.refused[0].reason


@pytest.mark.covers("C22")
def test_c22_two_outputs_with_two_feedbacks() -> None:
    x = node(1, name="x", trainable=True)
    optimizer = OptoPrime([x], llm=ScriptedModel(), include_example=False)
    up, down = x + 1, x + 2
    optimizer.backward(up, "up")
    optimizer.backward(down, "down")
    assert "#Feedback\nadd0: up\nadd1: down" in optimizer.construct_prompt(optimizer.summarize())[1]


@pytest.mark.covers("C23")
def test_c23_long_values_are_shortened_but_never_parameters() -> None:
    x = node("p" * 9000, name="x", trainable=True)
    optimizer = OptoPrime([x], llm=ScriptedModel())
    optimizer.backward(x + node("A" * 300_000), "f" * 5000)
    prompt = optimizer.construct_prompt(optimizer.summarize())[1]
    assert len(prompt) < 20_000
    assert "(300000 characters in all)" in prompt
    assert "p" * 9000 in prompt
    assert "f" * 5000 in prompt


@pytest.mark.covers("C26")
def test_c26_a_failing_model_is_called_once_and_its_error_raised() -> None:
    x, optimizer, llm = ready(Disconnected("down"))
    with pytest.raises(Disconnected):
        optimizer.step()
    assert len(llm.calls) == 1
    assert x.data == 1


def test_a62_one_suggestion_changes_one_parameter() -> None:
    GRAPH.clear()
    many = [node(float(i), name="x", trainable=True) for i in range(11)]
    other = node(99.0, name="x1", trainable=True)
    llm = ScriptedModel([says(x1_0=5)], abilities=PLAIN)
    optimizer = OptoPrime([many[10], other], llm=llm)
    optimizer.backward(many[10] + other, "fb")
    assert "(float) x1_0=99.0\n" in optimizer.construct_prompt(optimizer.summarize())[1]
    assert optimizer.step() == {other: 5.0}
    assert optimizer.construct_update_dict({"x10": 5}) == {}


def test_all_or_nothing() -> None:
    x, y = node(1, name="x", trainable=True), node(2, name="y", trainable=True)
    optimizer = OptoPrime([x, y], llm=ScriptedModel([says(x0=5, y0="many")], abilities=PLAIN))
    optimizer.backward(x + y, "fb")
    assert optimizer.step() == {}
    assert (x.data, y.data) == (1, 2)
    assert optimizer.refused[0].reason.startswith("y0: expected an int")


# ---- how it asks ---------------------------------------------------------------------------------


def test_a_schema_is_asked_for_where_the_model_honours_it() -> None:
    x, optimizer, llm = ready(says(x0=5), abilities=Abilities(json_schema=True))
    assert optimizer.step() == {x: 5}
    wished = llm.calls[0].options["response_format"]
    schema = wished["json_schema"]["schema"]
    assert list(schema["properties"]) == ["reasoning", "answer", "suggestion"]
    assert schema["properties"]["suggestion"]["properties"] == {"x0": {"type": "integer"}}
    assert wished["json_schema"]["strict"]


def test_no_format_is_asked_for_if_not_wanted() -> None:
    _, optimizer, llm = ready(says(x0=5), use_json_object_format=False)
    optimizer.step()
    assert "response_format" not in llm.calls[0].options


def test_the_tagged_form() -> None:
    reply = "<reasoning>so</reasoning><variable><name>x0</name><value>\n5\n</value></variable>"
    x, optimizer, llm = ready(reply, form="tagged", include_example=True)
    assert optimizer.step() == {x: 5}
    assert "response_format" not in llm.calls[0].options
    assert optimizer.example_response in llm.calls[0].prompt
    assert "<variable>" in llm.calls[0].messages[0]["content"]


def test_an_answer_that_was_cut_off_is_asked_for_once_more_with_more_room() -> None:
    cut = Completion((Choice(Message("assistant", '{"suggestion": {"x0": 5'), "length"),))
    x, optimizer, llm = ready(cut, says(x0=57), max_tokens=10)
    assert optimizer.step() == {x: 57}
    assert [call.options["max_tokens"] for call in llm.calls] == [10, 20]
    _, optimizer, llm = ready(cut, cut)
    assert optimizer.step() == {}
    assert "cut off after 8192 tokens" in optimizer.refused[0].reason


def test_a_problem_too_long_for_the_model_is_folded_and_asked_once_more() -> None:
    x = node(1, name="x", trainable=True)
    llm = ScriptedModel([ContextTooLong("too long"), says(x0=2)], abilities=PLAIN)
    optimizer = OptoPrime([x], llm=llm)
    value: Any = x
    for _ in range(200):
        value = value + 1
    optimizer.backward(value, "fb")
    assert optimizer.step() == {x: 2}
    assert len(llm.calls[1].prompt) < 0.8 * len(llm.calls[0].prompt)
    assert "the operation above 197 times more" in llm.calls[1].prompt


def test_the_problem_fits_the_context() -> None:
    x = node(1, name="x", trainable=True)
    llm = ScriptedModel([says(x0=2)], abilities=Abilities(context_tokens=4096))
    optimizer = OptoPrime([x], llm=llm)
    value: Any = x
    for _ in range(500):
        value = value + 1
    optimizer.backward(value, "fb")
    optimizer.step()
    assert len(llm.calls[0].prompt) < 3 * 4096
    assert OptoPrime([x], llm=llm, problem_tokens=7).budget.problem == 7


def test_an_answer_takes_no_more_than_half_of_the_context() -> None:
    _, optimizer, llm = ready(says(x0=2), abilities=Abilities(context_tokens=2000))
    optimizer.step()
    assert llm.calls[0].options["max_tokens"] == 1000


def test_the_variables_can_be_named_at_the_end() -> None:
    _, optimizer, _ = ready(highlight_variables=True)
    user = optimizer.construct_prompt(optimizer.summarize())[1]
    assert user.endswith("What are your suggestions on variables x0?\n\nYour response:")


@bundle()
def add_length(x: int, y: str) -> int:
    """Add the length of y."""
    return x + len(y)


def test_the_optimizer_for_batches_names_them_by_itself() -> None:
    x = node(1, name="x", trainable=True)
    llm = ScriptedModel(["TERMINATE", "TERMINATE"], abilities=PLAIN)
    for optimizer in (
        OptoprimeBatchOpt([x], llm=llm),
        OptoprimeBatchOpt([x], llm=llm, highlight_variables=False),
    ):
        optimizer.zero_feedback()
        optimizer.backward(x + 1, "more")
        optimizer.step()
    named = ["What are your suggestions on variables x0?" in call.prompt for call in llm.calls]
    assert named == [True, False]


def test_a_subclass_may_write_values_in_its_own_way() -> None:
    class Own(OptoPrime):
        def repr_node_value(self, node_dict: Entries) -> str:
            return "\n".join(f"{name} is {value}" for name, (value, _) in node_dict.items())

        def repr_node_constraint(self, node_dict: Entries) -> str:
            return "\n".join(f"{name}: {said}" for name, (_, said) in node_dict.items() if said)

    x = node(1, name="x", trainable=True, constraint="odd")
    llm = ScriptedModel(["TERMINATE"], abilities=PLAIN)
    optimizer = Own([x], llm=llm)
    optimizer.backward(add_length(x, node("y" * 3000, name="y")), "more")
    optimizer.step()
    (prompt,) = [call.prompt for call in llm.calls]
    assert "#Variables\nx0 is 1\n\n#Constraints\nx0: odd\n" in prompt
    assert "y0 is yyy" in prompt
    assert "(3000 characters in all)" in prompt


def test_an_objective() -> None:
    _, optimizer, _ = ready(objective="Be $quick.")
    assert "#Instruction\nBe $quick.\n" in optimizer.construct_prompt(optimizer.summarize())[1]


def test_a_subclass_may_replace_texts() -> None:
    class Own(OptoPrime):
        representation_prompt = "You are a poet."
        final_prompt = "Go!"

    x = node(1, name="x", trainable=True)
    optimizer = Own([x], llm=ScriptedModel())
    optimizer.backward(x + 1, "more")
    system, user = optimizer.construct_prompt(optimizer.summarize())
    assert system.startswith("You are a poet.\n\nAnswer with one JSON object")
    assert user.endswith("Go!")


# ---- candidates ----------------------------------------------------------------------------------


def test_the_best_candidate_wins() -> None:
    x, optimizer, llm = ready(says(x0=3), "nonsense", says(x0=9), candidates=3, select=largest)
    assert optimizer.step() == {x: 9}
    assert len(llm.calls) == 3
    assert all(call.options["temperature"] for call in llm.calls)
    assert {call.options["seed"] for call in llm.calls} == {3, 4, 5}


def test_the_first_candidate_that_fits_wins_without_a_score() -> None:
    x, optimizer, _ = ready(says(x0="a"), says(x0=9), says(x0=9), candidates=3)
    assert optimizer.step() == {x: 9}


def test_a_candidate_that_makes_the_program_fail_loses() -> None:
    x, optimizer, _ = ready(says(x0=0), says(x0=4), candidates=2)

    def score(update: dict[Any, Any]) -> float:
        with optimizer.applied(update):
            value: float = (1 / x).data
            return value

    optimizer.select = score
    assert optimizer.step() == {x: 4}


def test_no_candidate_fits() -> None:
    x, optimizer, _ = ready("a", "b", candidates=2)
    assert optimizer.step() == {}
    assert x.data == 1
    assert len(optimizer.refused) == 1


def test_own_options_go_to_the_model() -> None:
    _, optimizer, llm = ready(says(x0=2), says(x0=2), candidates=2, options={"temperature": 0.1})
    optimizer.step()
    assert [call.options["temperature"] for call in llm.calls] == [0.1, 0.1]


# ---- logs ----------------------------------------------------------------------------------------


@pytest.mark.covers("S24.3")
def test_logs() -> None:
    _, optimizer, _ = ready(says(x0=2), "no")
    optimizer.step()
    optimizer.step()
    log = json.loads(json.dumps(optimizer.log))
    assert [entry["response"] for entry in log] == [json.dumps(says(x0=2)), "no"]
    assert set(log[0]) == {"system_prompt", "user_prompt", "response"}
    assert pickle.loads(pickle.dumps(optimizer.log)) == log
    assert optimizer.summary_log is not None
    assert "(int) x0=1" in optimizer.summary_log[0]["problem_instance"]
    _, silent, _ = ready(says(x0=2), log=False)
    silent.step()
    assert silent.log is None
    assert silent.summary_log is None


def test_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    _, optimizer, _ = ready(says(x0=2), says(x0=2), says(x0=2))
    optimizer.step()
    assert capsys.readouterr().out == ""
    optimizer.step(verbose="output")
    out = capsys.readouterr().out
    assert "because" in out
    assert "#Variables" not in out
    optimizer.step(verbose=True)
    assert "#Variables" in capsys.readouterr().out


def test_arguments_that_a_trainer_adds_are_taken() -> None:
    x, optimizer, _ = ready(says(x0=2))
    assert optimizer.step(verbose=False, num_threads=2) == {x: 2}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"json_keys": {"explanation": "e"}}, "json_keys has no explanation"),
        ({"prompt_symbols": {"knobs": "#K"}}, "prompt_symbols has no knobs"),
        ({"candidates": 0}, "at least 1"),
        ({"memory_size": -1}, "-1"),
        ({"prompts": "/nowhere"}, "there is no folder"),
        ({"temperatur": 1}, "OptoPrime has no argument temperatur"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        ready(**settings)


def test_a_copy_has_its_own_state_and_the_same_parameters() -> None:
    x, optimizer, _ = ready(says(x0=2), says(x0=3), memory_size=2)
    optimizer.step()
    twin = copy.deepcopy(optimizer)
    assert twin.parameters is optimizer.parameters
    assert twin.step() == {x: 3}
    assert (len(optimizer.log or []), len(twin.log or [])) == (1, 2)
    assert len(optimizer.memory) == 1
    assert pickle.loads(pickle.dumps(twin.summarize())) == twin.summarize()


def test_no_state_is_shared() -> None:
    _, one, _ = ready(says(x0=2))
    _, two, _ = ready()
    one.step()
    one.options["temperature"] = 1
    assert two.log == []
    assert two.options == {}
    assert two.memory is not one.memory


def test_a_copy_shares_what_was_written_down_and_goes_on_by_itself() -> None:
    _, optimizer, _ = ready(says(x0=2), says(x0=3))
    optimizer.step()
    twin = copy.deepcopy(optimizer)
    assert twin.log == optimizer.log
    assert twin.summary_log is not None
    assert optimizer.summary_log is not None
    assert twin.summary_log[0] is optimizer.summary_log[0]
    twin.step(bypassing=True)
    assert (len(twin.summary_log), len(optimizer.summary_log)) == (2, 1)
    assert (len(twin.log or ()), len(optimizer.log or ())) == (2, 1)
    optimizer._note(update={})
    assert "update" in twin.summary_log[-1]
