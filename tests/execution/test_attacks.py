"""Each attack is contained: the host lives, tells what happened, and the next call is right."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opto.errors import ExecutionError
from opto.execution import Limits, Policy
from opto.trace import bundle
from tests.execution.probes import EACH, Probe

ANY = frozenset("*")  # so that the walls are tested, not the list of imports
SOON, LATE = 0.6, 30.0  # the wall limit, where it is what must hold, and where it must not matter
WAYS = {
    "isolated": Policy(imports=ANY),
    "without namespaces": Policy(imports=ANY, namespaces=False),
    "portable": Policy("portable", imports=ANY),
}
FOLLOWING = "def f(x):\n    return [len(x), sum(x), int('2'), str(x)]"
SERVED = [3, 6, 2, "[1, 2, 3]"]
# What an interpreter that isn't CPython does otherwise, and no worse.
OTHERWISE: dict[str, Callable[[Any], bool]] = {
    "a regular expression": lambda value: value is None,  # its engine doesn't go back
    "a lone surrogate": lambda value: value == "\N{REPLACEMENT CHARACTER}",
}


class Target:
    """What there is to attack."""

    def __init__(self, folder: Path) -> None:
        self.canary = secrets.token_hex(8)
        self.secret = folder / "secret"
        self.secret.write_text(self.canary, "ascii")
        self.outside = folder / "outside"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        os.environ["OPTO_TEST_CANARY"] = self.canary

    def facts(self) -> dict[str, Any]:
        return {
            "outside": str(self.outside),
            "secret": str(self.secret),
            "parent": os.getpid(),
            "port": self.listener.getsockname()[1],
        }

    def check(self, said: str) -> None:
        """Nothing was written, reached or learned."""
        assert not self.outside.exists()
        assert self.canary not in said
        with pytest.raises(BlockingIOError):
            self.listener.accept()


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    monkeypatch.setenv("OPTO_TEST_CANARY", "")
    target = Target(tmp_path)
    with closing(target.listener):
        yield target


def proposed(text: str, policy: Policy) -> Callable[[Any], Any]:
    """A function whose code was replaced by `text`."""

    @bundle(trainable=True, execution=policy)
    def f(x: Any) -> Any:
        """Return what it is given."""
        return x

    assert f.parameter is not None
    f.parameter._set(text)
    return lambda x: f(x).data


def served_after(attack: Probe, way: str, target: Target) -> Any:
    """Run an attack, check all that there is to check, and return what the next call gives."""
    patient = replace(WAYS[way], limits=Limits(seconds=LATE))
    seconds = SOON if "Timeout" in attack.error else LATE
    hurried = replace(patient, limits=Limits(seconds=seconds))
    begun = time.monotonic()
    try:
        value = proposed(attack.text, hurried)(target.facts())
    except ExecutionError as error:
        said = error.exception_node.create_feedback("full") + str(error)
        assert way == "portable" or re.search(attack.error, said), said
        assert "\x1b" not in said.replace(attack.text, "")
    else:
        differs = OTHERWISE.get(attack.name) if way == "portable" else None
        assert (differs or attack.value)(value), value
        said = repr(value) if attack.name != "10**5000" else ""

    assert time.monotonic() - begun < LATE  # far more than it takes: machines are shared
    target.check(said)
    return proposed(FOLLOWING, patient)([1, 2, 3])


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize("way", ["isolated", "without namespaces"])
@pytest.mark.parametrize("attack", EACH)
def test_attack(attack: Probe, way: str, target: Target) -> None:
    assert served_after(attack, way, target) == SERVED


@pytest.mark.parametrize("attack", EACH)
def test_attack_on_the_interpreter(attack: Probe, target: Target) -> None:
    pytest.importorskip("pydantic_monty")
    assert served_after(attack, "portable", target) == SERVED
