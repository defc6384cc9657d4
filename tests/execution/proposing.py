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
