from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import pytest

from opto import errors
from opto.errors import MissingExtra, ModelError, OptoError, ProposalError, UnknownName

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, BaseException)
}


class Failed:
    """A stand-in for a node of a failed operation."""

    exception_text = "(KeyError) 'x'"
    exception_report = "Traceback ..."


def made(kind: Any) -> Exception:
    if kind is UnknownName:
        return UnknownName("shape", "x", ["b", "a"])
    if kind is MissingExtra:
        return MissingExtra("graphviz", "viz", "drawing")
    if kind is ProposalError:
        return ProposalError("no value", reply="{")
    if kind is errors.ExecutionError:
        return errors.ExecutionError(Failed())
    if issubclass(kind, ModelError):
        found: Exception = kind("why", provider="p", model="m", attempts=2, retry_after=1.5)
        return found
    other: Exception = kind("why")
    return other


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_all_have_one_root(kind: type[Exception]) -> None:
    assert issubclass(kind, OptoError)
    assert inspect.getdoc(kind)


def test_the_tree_at_the_top_is_the_tree() -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if "── " in line]
    drawn = {match[1] for line in lines if (match := re.search(r"── (\w+)", line))}
    builtin = {
        match[1]: set(re.findall(r"\w+", match[2]))
        for line in lines
        if (match := re.search(r"── (\w+) \(([^)]+)\)", line))
    }

    assert drawn == set(CLASSES) - {"OptoError"}
    for name, bases in builtin.items():
        assert bases <= {base.__name__ for base in CLASSES[name].__mro__}


@pytest.mark.parametrize(
    "kind", [kind for name, kind in CLASSES.items() if name != "ExecutionError"], ids=str
)
def test_they_survive_pickling(kind: type[Exception]) -> None:
    error = made(kind)

    twin = pickle.loads(pickle.dumps(error))

    assert type(twin) is kind
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


def test_what_they_say() -> None:
    assert str(made(UnknownName)) == "unknown shape: 'x'; known: a, b"
    assert str(made(MissingExtra)) == (
        "drawing needs the package 'graphviz', which isn't installed; "
        "run: pip install 'trace-opt[viz]'"
    )
    failed: Any = made(errors.ExecutionError)
    assert failed.args == ("(KeyError) 'x'",)
    assert str(failed) == "\n\nTraceback ..."
    assert isinstance(failed.exception_node, Failed)
    missing = errors.TraceMissingInputsError("x:0")
    assert missing.message == str(missing) == "x:0"
    proposal: Any = made(ProposalError)
    assert (proposal.reason, proposal.reply) == ("no value", "{")
    model: Any = made(errors.RateLimited)
    assert (model.provider, model.model, model.attempts) == ("p", "m", 2)
    assert (model.retry_after, model.request_id, model.status) == (1.5, None, None)
