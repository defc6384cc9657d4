"""Bundled functions whose code was replaced, for the tests here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opto.execution import Policy, isolated
from opto.trace import bundle
from opto.trace.function import FunModule


def proposed(
    fun: Callable[..., Any], text: str, policy: Policy | str = isolated, **options: Any
) -> FunModule[Any]:
    """Return `fun` as a trainable function with the code `text`, which bears its name."""
    made: FunModule[Any] = bundle(trainable=True, execution=policy, **options)(fun)
    assert made.parameter is not None
    made.parameter._set(text)
    return made


def drawn(made: Any) -> Any:
    """What a node was made from, and what was read on the way, all the way up."""
    unseen = (made._extra or {}).get("external", ())
    name = made.name.split(":")[0]
    return name, made.data, [drawn(n) for n in made.parents], [drawn(n) for n in unseen]
