"""No code of a parameter runs by listing, printing, copying, saving or loading it."""

from __future__ import annotations

import copy
import inspect
import pickle
import pprint
import pydoc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opto.optimizers import OptoPrime
from opto.testing import ScriptedModel
from opto.trace import bundle, model
from opto.trace.code import Loaded, Surroundings
from opto.trace.containers import Map, Seq
from opto.trace.nodes import node
from opto.trace.origin import FromModel, Origin

# Leaves a file wherever it is compiled and run, however it is written.
PLANTED = '''
open("ran", "w").close()
{kind} {name}(self, x=open("ran", "w").close()):
    """Doc."""
    open("ran", "w").close()
    yield 0
class Planted:
    open("ran", "w").close()
'''


def loads(text: str, surroundings: Surroundings, filename: str, origin: Origin) -> Loaded:
    """A way of execution that is noticed."""
    Path("ran").touch()
    raise AssertionError(text)


@model
class Program:
    limit = node(3, trainable=True)

    def __init__(self) -> None:
        self.prompt = node("Be brief.", trainable=True, name="prompt")
        self.parts = Seq(node(1, trainable=True), Map({"a": node(2, trainable=True)}))

    @bundle(trainable=True, execution=loads)
    def plain(self, x: int) -> Any:
        return x

    @bundle(trainable=True, execution=loads)
    def many(self, x: int) -> Any:
        yield x

    @bundle(trainable=True, execution=loads)
    async def later(self, x: int) -> Any:
        return x

    @property  # pyright: ignore[reportUntypedFunctionDecorator]  # what it gives is of any type
    @bundle(trainable=True, execution=loads)
    def size(self) -> Any:
        return 1


@bundle(trainable=True, execution=loads)
def alone(self: Any, x: int) -> Any:
    return x


def planted() -> Any:
    """A program in which a model put code that leaves a file wherever it runs."""
    program: Any = Program()
    codes = [parameter for parameter in program.parameters() if parameter.is_code]
    assert len(codes) == 4
    for code in codes:
        kind = "async def" if "async" in code._data else "def"
        name = code._data.split("(")[0].split()[-1]
        code._set(PLANTED.format(kind=kind, name=name))
        code.origin = FromModel("5eed", 1)
    return program


def codes_of(program: Any) -> list[Any]:
    return [parameter for parameter in program.parameters() if parameter.is_code]


ACTIONS: dict[str, Callable[[Any], object]] = {
    "parameters": lambda p: p.parameters(),
    "named": lambda p: p.named_parameters(),
    "dict": lambda p: p.parameters_dict(),
    "one": lambda p: p.get_parameter("plain"),
    "state": lambda p: p.load_state_dict(p.state_dict()),
    "str": lambda p: [str(code) for code in codes_of(p)],
    "repr": lambda p: [repr(code) for code in [*codes_of(p), p, p.plain, alone]],
    "format": lambda p: [f"{code}{p.plain}{p.many}" for code in codes_of(p)],
    "pprint": lambda p: pprint.pformat([p.parameters(), vars(p), p.state_dict()]),
    "dir": lambda p: [dir(code) for code in [*codes_of(p), p, p.plain]],
    "members of a parameter": lambda p: [inspect.getmembers(code) for code in codes_of(p)],
    "help": lambda p: [pydoc.render_doc(thing) for thing in (p, p.plain, type(p))],
    "signature": lambda p: [inspect.signature(m) for m in (p.plain, p.many, p.later)],
    "kind": lambda p: [inspect.iscoroutinefunction(m) for m in (p.plain, p.many, p.later)],
    "source": lambda p: [(m.info, dict(m.about), m.description) for m in (p.plain, p.many)],
    "facts": lambda p: [
        (c.origin, c.ran, c.description, c.info, c._constraint) for c in codes_of(p)
    ],
    "copy": lambda p: [copy.copy(p), copy.deepcopy(p), p.copy(), copy.copy(p.plain)],
    "copies of parameters": lambda p: [(copy.deepcopy(c), c.detach()) for c in codes_of(p)],
    "pickle": lambda p: pickle.loads(pickle.dumps([p, p.plain, codes_of(p)])),
    "save": lambda p: p.save("x.txt"),
    "load": lambda p: (p.save("x.txt"), p.load("x.txt"), Program().load("x.txt")),  # type: ignore[attr-defined]  # of a Module
    "save one": lambda p: (p.plain.save("x.txt"), p.plain.load("x.txt")),
    "export": lambda p: p.export("x.py"),
    "optimizer": lambda p: repr(OptoPrime(p.parameters(), llm=ScriptedModel([]))),
    "optimizer's file": lambda p: there_and_back(OptoPrime(p.parameters(), llm=ScriptedModel([]))),
    "feedback": lambda p: [code._add_feedback(code, "bad") for code in codes_of(p)],
    "compare": lambda p: [
        (c == c._data, hash(c), c in {c: 1}, bool(c), len(c)) for c in codes_of(p)
    ],
}


def there_and_back(optimizer: OptoPrime) -> None:
    optimizer.save("x.txt")
    optimizer.load("x.txt")


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_runs(action: str, empty_home: Path) -> None:
    program = planted()
    ACTIONS[action](program)

    assert not (empty_home / "ran").exists()
    assert len(codes_of(program)) == 4


def test_it_would_be_noticed(empty_home: Path) -> None:
    with pytest.raises(Exception, match="AssertionError"):
        planted().plain(1)
    assert (empty_home / "ran").exists()
