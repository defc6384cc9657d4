"""OptoPrime for batches, under the name that the original had for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opto.optimizers.optimizer import Parameter
from opto.optimizers.optoprime import OptoPrime


class OptoprimeBatchOpt(OptoPrime):
    """`OptoPrime` that names the variables once more at the end of the prompt.

    Batches need no optimizer of their own: any takes several outputs in one step.

    Args:
        parameters: what to change.
        llm: the model; None for the default one.
        highlight_variables: see `OptoPrime`.
        settings: other arguments of `OptoPrime`.
    """

    def __init__(
        self,
        parameters: list[Parameter],
        llm: Callable[..., Any] | None = None,
        *,
        highlight_variables: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, llm, highlight_variables=highlight_variables, **settings)
