from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.trace import bundle, model
from opto.trace.code import Loaded, Surroundings, load_in_process
from opto.trace.containers import Seq
from opto.trace.files import Contents
from opto.trace.nodes import ParameterNode
from opto.trace.origin import AUTHOR, UNKNOWN, FromFile, FromModel, Origin, origin_of
from opto.trace.parameters import set_all
from tests.trace.helpers import node

MODEL = FromModel("5eed", 3, "small")
FILE = FromFile("learned.txt", "ab" * 32, MODEL)
ORIGINS = [AUTHOR, UNKNOWN, MODEL, FromModel("5eed", 1), FILE, FromFile("x.txt", "cd" * 32)]
PROPOSED = "def act(self, x):\n    return x + 2\n"


@model
class Agent:
    def __init__(self) -> None:
        self.prompt = node("Be brief.", trainable=True, name="prompt")

    @bundle(trainable=True, execution="inprocess")
    def act(self, x: int) -> int:
        return x + 1


@bundle(trainable=True, execution="inprocess")
def double(x: int) -> int:
    return 2 * x


def agent() -> Any:
    """A new one; what `model` adds to a class isn't known to type checkers."""
    return Agent()


def proposed(value: Any = "a text", **options: Any) -> Any:
    """A parameter whose value a model proposed."""
    made: Any = ParameterNode("first", **options)
    made._set(value)
    made.origin = MODEL
    return made


# ---- what is known -------------------------------------------------------------------------------


def test_what_the_program_says_is_the_authors() -> None:
    assert node(1, trainable=True).origin == AUTHOR
    assert node(node([1]), trainable=True).origin == AUTHOR
    assert agent().act.parameter.origin == AUTHOR
    assert agent().prompt.origin == AUTHOR


def test_what_was_computed_is_not() -> None:
    assert node(node(1) + 1, trainable=True).origin == UNKNOWN


def test_what_was_set_by_hand_is_unknown() -> None:
    for change in (
        lambda p: p._set("another"),
        lambda p: setattr(p, "_data", "another"),
        lambda p: p._set(node("another")),
    ):
        parameter = proposed()
        change(parameter)
        assert parameter.origin == UNKNOWN


def test_a_change_in_place_is_unknown_too() -> None:
    parameter = proposed([1])
    parameter.append(2)

    assert parameter.data == [1, 2]
    assert parameter.origin == UNKNOWN


def test_code_is_the_authors_by_its_text_alone() -> None:
    program = agent()
    code = program.act.parameter
    text = str(code._data)
    code._set(PROPOSED)
    code.origin = AUTHOR  # whoever says so
    assert code.origin == UNKNOWN

    code._set("".join(list(text)))  # another object, the same text
    code.origin = MODEL
    assert code.origin == AUTHOR


@pytest.mark.parametrize("value", [[1, 2.5], "text", 3.75, None, 10**30], ids=repr)
@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda p: p.detach(), lambda p: pickle.loads(pickle.dumps(p))],
)
def test_copies_and_pickles_keep_it(again: Callable[[Any], Any], value: Any) -> None:
    parameter = proposed(value)

    assert again(parameter).origin == MODEL
    parameter._data = "by hand"
    assert again(parameter).origin == UNKNOWN


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda a: a.copy(), lambda a: pickle.loads(pickle.dumps(a))]
)
def test_copies_of_programs_keep_it(again: Callable[[Any], Any]) -> None:
    program = agent()
    assert again(program).act.parameter.origin == AUTHOR
    program.act.parameter._set(PROPOSED)
    program.act.parameter.origin = MODEL

    twin = again(program)
    assert twin.act.parameter.origin == MODEL
    assert twin.act(1).data == 3
    assert agent().act.parameter.origin == AUTHOR


def test_a_parameter_made_of_another_keeps_it() -> None:
    assert node(proposed(), trainable=True).origin == MODEL


def test_instances_of_a_class_whose_code_was_changed_keep_it() -> None:
    class Worker:
        @bundle(trainable=True, execution="inprocess")
        def act(self, x: int) -> int:
            return x

    shared: Any = Worker.__dict__["act"].parameter
    shared._set(PROPOSED)
    shared.origin = MODEL

    own: Any = Worker().act.parameter
    assert own.origin == MODEL
    assert own is not shared


def test_a_bundle_pickled_alone_keeps_it() -> None:
    code: Any = double.parameter
    text = code._data
    try:
        code._set("def double(x):\n    return 3 * x\n")
        code.origin = MODEL
        twin = pickle.loads(pickle.dumps(double))
    finally:
        code._set(text)

    assert twin.parameter.origin == MODEL
    assert double.parameter is not None
    assert double.parameter.origin == AUTHOR


# ---- setting -------------------------------------------------------------------------------------


class Picky(ParameterNode[Any]):
    __slots__ = ()

    def _set(self, value: Any) -> None:
        super()._set(value)
        if value == "bad":
            raise RuntimeError("bad")


def test_all_or_none_are_set_with_their_origins() -> None:
    one, other = proposed(), Picky("x")
    with pytest.raises(RuntimeError, match="bad"):
        set_all({one: "new", other: "bad"}, {one: FILE, other: FILE})
    assert (one.data, one.origin) == ("a text", MODEL)
    assert (other.data, other.origin) == ("x", AUTHOR)

    set_all({one: "new", other: "good"}, {one: FILE})
    assert (one.origin, other.origin) == (FILE, UNKNOWN)


def test_contents_of_a_format_that_says_nothing_are_of_unknown_origin() -> None:
    parameter = proposed()
    Contents({parameter: "from somewhere"}, {}).apply()

    assert (parameter.data, parameter.origin) == ("from somewhere", UNKNOWN)


def test_a_state_that_fails_halfway_changes_nothing() -> None:
    parameters = Seq(ParameterNode("a"), Picky("b"))
    with pytest.raises(RuntimeError, match="bad"):
        parameters.load_state_dict({"0": "changed", "1": "bad"})

    assert [p.data for p in parameters.parameters()] == ["a", "b"]


# ---- who is told ---------------------------------------------------------------------------------


def test_it_is_shown() -> None:
    parameter = proposed("Be brief. " * 50, name="prompt")
    shown = repr(parameter)

    assert shown.startswith("<ParameterNode prompt:0 = 'Be brief.")
    assert shown.endswith(", from model small, run 5eed, step 3>")
    assert len(shown) < 200


def test_origins_read_well() -> None:
    assert [str(origin) for origin in ORIGINS] == [
        "author",
        "unknown",
        "model small, run 5eed, step 3",
        "an optimizer, run 5eed, step 1",
        "file learned.txt (sha256 abababababab), which says: model small, run 5eed, step 3",
        "file x.txt (sha256 cdcdcdcdcdcd)",
    ]


def test_what_a_file_says_cannot_write_to_a_terminal() -> None:
    hostile = FromFile("x\x1b[2J", "\x07" * 64, FromModel("\n" * 9_999, 1, "\u202e"))

    assert str(hostile).isprintable()
    assert len(str(hostile)) < 2_000


@pytest.mark.parametrize("origin", ORIGINS)
def test_origins_are_plain_data_and_back(origin: Origin) -> None:
    assert origin_of(origin.as_plain()) == origin


def test_what_a_file_says_is_what_an_earlier_one_said() -> None:
    assert FILE.kept() == MODEL
    assert FromFile("y.txt", "ef" * 32, FILE).kept() == MODEL
    assert FromFile("y.txt", "ef" * 32, AUTHOR).kept() == AUTHOR
    assert FromFile("x.txt", "cd" * 32).kept() == FromFile("x.txt", "cd" * 32)


@given(
    st.one_of(
        st.none(),
        st.text(),
        st.integers(),
        st.dictionaries(
            st.one_of(st.sampled_from(["from", "run", "step", "model", "path", "said"]), st.text()),
            st.one_of(st.sampled_from(["model", "file", "author", True, 3]), st.text()),
        ),
    )
)
def test_anything_is_an_origin_or_one_kind_of_error(plain: Any) -> None:
    try:
        assert origin_of(plain).as_plain() == plain
    except ValueError as error:
        assert "origin" in str(error)  # noqa: PT017 - either is right


def test_a_truth_value_is_no_step() -> None:
    with pytest.raises(ValueError, match="wrong or missing: step"):
        origin_of({"from": "model", "run": "5eed", "step": True})


def test_exported_code_says_where_it_is_from(empty_home: Path) -> None:
    program = agent()
    program.export("x.py")
    assert "# From" not in Path("x.py").read_text("utf-8")
    program.act.parameter._set(PROPOSED)
    program.act.parameter.origin = FromModel("5eed", 3, "small\n    import os")
    program.export("x.py")

    text = Path("x.py").read_text("utf-8")
    assert (
        "    # From model 'small\\n    import os', run 5eed, step 3.\n    def act(self, x):" in text
    )
    space: dict[str, Any] = {}
    exec(text, space)
    assert space["Agent"]().act(1) == 3


# ---- execution decides by it ---------------------------------------------------------------------


class Seen:
    """A way of execution that notes what it is given."""

    def __init__(self) -> None:
        self.origins: list[Origin] = []

    def __call__(
        self, text: str, surroundings: Surroundings, filename: str, origin: Origin
    ) -> Loaded:
        self.origins.append(origin)
        return load_in_process(text, surroundings, filename, origin)


def test_the_way_of_execution_is_told_and_the_authors_text_never_asks_it() -> None:
    seen = Seen()

    @bundle(trainable=True, execution=seen)
    def f(x: int) -> int:
        return x

    code: Any = f.parameter
    text = code._data
    assert f(1).data == 1
    for number, origin in enumerate((MODEL, FILE, UNKNOWN)):
        code._set(f"def f(x):\n    return {number}\n")
        code.origin = origin
        assert f(1).data == number
    code._set(text)
    assert f(1).data == 1

    assert seen.origins == [MODEL, FILE, UNKNOWN]


def test_a_parameter_of_another_function_is_not_the_authors() -> None:
    seen = Seen()

    @bundle(trainable=True, execution=seen)
    def f(x: int) -> int:
        return x

    f.parameter = ParameterNode("def f(x):\n    return 5\n", is_code=True)
    assert f.parameter.origin == AUTHOR
    assert f(1).data == 5
    assert seen.origins == [UNKNOWN]


def test_it_is_known_how_code_ran() -> None:
    @bundle(trainable=True, execution="inprocess")
    def f(x: int) -> int:
        return x

    code: Any = f.parameter
    assert code.ran is None
    f(1)
    assert code.ran == "author"
    code._set("def f(x):\n    return 5\n")
    assert code.ran is None
    f(1)
    assert code.ran == "inprocess"
    assert copy.deepcopy(code).ran == "inprocess"
    code.origin = MODEL
    assert code.ran is None
