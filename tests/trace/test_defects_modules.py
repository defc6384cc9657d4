"""Faults of the original's modules, containers and import: none may be ours."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest

from opto.trace import Module, bundle, model
from opto.trace.containers import Map, Seq
from tests.trace.helpers import node, same_nodes


class UserModel:
    """Not to be replaced."""

    tag = "mine"


@model
class User:
    """A class whose decorated name would be that of another."""

    def forward(self) -> int:
        return 1


# ---- finding parameters --------------------------------------------------------------------------


@pytest.mark.covers("A69")
@pytest.mark.parametrize("decorate", [False, True])
def test_a_result_over_a_parameter_warns(decorate: bool) -> None:
    class Plain(Module):
        def __init__(self) -> None:
            self.w: Any = node(1, trainable=True)
            self.other: Any = 0

        def grow(self) -> None:
            self.w += 1

    made = model(Plain)() if decorate else Plain()

    with pytest.warns(UserWarning, match=r"'w' was the parameter int:0.*no parameter any more"):
        made.grow()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.other = made.w + 1  # no parameter stood there
        made.w = node(2, trainable=True)  # one parameter after another


@pytest.mark.covers("A71", "S6.2.3")
def test_finding_parameters_evaluates_no_property() -> None:
    class Lazy(Module):
        def __init__(self) -> None:
            self.a = node(1, trainable=True)

        @property
        def score(self) -> Any:
            message = "not ready"
            raise ValueError(message)

    made = Lazy()

    assert same_nodes(made.parameters(), [made.a])
    assert list(made.parameters_dict()) == ["a"]


@pytest.mark.covers("A72", "S6.2.3")
def test_parameters_in_lists_and_dicts_are_found() -> None:
    class Many(Module):
        def __init__(self) -> None:
            self.first = node(0, trainable=True)
            self.list = [node(1, trainable=True), self.first]
            self.dict = {"k": node(2, trainable=True), "deep": [(node(3, trainable=True),)]}

    made = Many()

    assert sorted(found.data for found in made.parameters()) == [0, 1, 2, 3]


@pytest.mark.covers("A77", "S6.3.2")
@pytest.mark.parametrize("value", ["hello", [1, 2], {"a": 1}])
def test_a_node_is_one_item_of_a_seq(value: Any) -> None:
    parameter = node(value, trainable=True)

    made = Seq(parameter)

    assert len(made) == 1
    assert made[0] is parameter
    assert same_nodes(made.parameters(), [parameter])


@pytest.mark.covers("A46", "A71")
def test_listing_the_parameters_of_a_module_runs_none_of_its_code() -> None:
    class Learner(Module):
        @bundle(trainable=True)
        def act(self) -> int:
            return 1

    made = Learner()
    made.act.parameter._set("def act(self) return")

    assert same_nodes(made.parameters(), [made.act.parameter])


# ---- model ---------------------------------------------------------------------------------------


@pytest.mark.covers("A73")
def test_a_model_has_class_attributes_and_properties() -> None:
    @model
    class Limited:
        LIMIT = 3

        @property
        def doubled(self) -> int:
            return 2 * self.LIMIT

        def forward(self) -> int:
            return self.doubled

    made: Any = Limited()

    assert made() == 6
    assert made.parameters() == []


@pytest.mark.covers("A74", "S6.5.2")
def test_a_model_keeps_its_name_and_takes_no_other() -> None:
    assert UserModel.tag == "mine"
    assert User.__name__ == User.__qualname__ == "User"
    assert User.__module__ == __name__
    assert (User.__doc__ or "").startswith("A class whose")


def exported(made: Any, path: Path) -> Any:
    """Export and import again."""
    made.export(str(path))
    spec = importlib.util.spec_from_file_location("exported_program", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@model
class Prompted:
    """To be exported."""

    def __init__(self) -> None:
        self.prompt = node("hi", trainable=True)


@pytest.mark.covers("A76", "S6.6.2")
@pytest.mark.parametrize(
    "text", ["__import__('os').environ['SPOILT']", "1 + 1", 'it\'s "so"\\\n', "'''", ""]
)
def test_texts_are_exported_as_texts(text: str, tmp_path: Path) -> None:
    made: Any = Prompted()
    made.prompt._set(text)

    module = exported(made, tmp_path / "out.py")

    assert module.Prompted().prompt == text


# ---- maps ----------------------------------------------------------------------------------------


@pytest.mark.covers("A72", "S6.3.2")
def test_keys_and_values_of_a_map_are_found() -> None:
    key, value = node("k", trainable=True), node(1, trainable=True)

    made = Map({key: value, "plain": 2})

    assert same_nodes(made.parameters(), [key, value])


# ---- import --------------------------------------------------------------------------------------


def run_script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    script = folder / "script.py"
    script.write_text(textwrap.dedent(text), "utf-8")
    return subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.mark.covers("A68")
def test_a_user_s_trace_py_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "trace.py").write_text("print('executed')\n", "utf-8")

    done = run_script(tmp_path, "import opto.trace, opto.trace.operators\nprint('done')\n")

    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.covers("A103", "A65", "A81")
def test_importing_looks_at_no_stack(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        import inspect
        def forbidden(*args, **kwargs):
            raise AssertionError("stack")
        for name in ("stack", "getframeinfo", "getsource", "getsourcelines"):
            setattr(inspect, name, forbidden)
        import opto.trace
        print(opto.trace.node(1) + 1)
        """,
    )

    assert done.stderr == ""
    assert "data=2" in done.stdout


@pytest.mark.covers("A65", "A103")
def test_decorating_looks_at_no_stack_and_reads_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **kwargs: object) -> Any:
        raise AssertionError(args)

    for name in ("stack", "getframeinfo", "getsource", "getsourcelines", "signature"):
        monkeypatch.setattr(inspect, name, forbidden)

    @bundle()
    def same(x: int) -> int:
        return x

    assert same.name.endswith("same")
