"""Several models, of which the first that answers does."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from opto.errors import BudgetExceeded, InvalidArgument, ModelError
from opto.llm.base import Completion
from opto.llm.breaker import Breaker
from opto.llm.own import as_model
from opto.llm.steps import Model, Request, Steps, asked
from opto.llm.stream import pieces_given
from opto.llm.wrapper import Wrapper, name_of

_log = logging.getLogger("opto.llm")


class Fallback(Wrapper):
    """The first of several models; when its call fails, the next is asked, and so on.

    A model that fails again and again is left out for a while (`Breaker`). A budget that is used
    up ends it, since it would be that of the next, too; and no other is asked when some of a
    stream was read. The last error says what all others were.

    Args:
        models: in the order in which they are asked; the first one's abilities are taken for all.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        if not models:
            message = "Fallback needs at least one model"
            raise InvalidArgument(message)
        self.models = tuple(Breaker(as_model(model)) for model in models)
        super().__init__(self.models[0])

    def steps(self, request: Request) -> Steps[Completion]:
        """Ask one after the other."""
        said: list[str] = []
        for model in self.models:
            try:
                return (yield from asked(model, request))
            except BudgetExceeded:
                raise
            except ModelError as error:
                said.append(str(error))
                if model is self.models[-1] or pieces_given():
                    if len(said) > 1:
                        error.args = ("no model answered: " + "; ".join(said),)
                    raise
                _log.warning("%s failed (%s); asking the next model", name_of(model), error)
        message = "no model"
        raise ModelError(message)

    def __repr__(self) -> str:
        return f"Fallback({', '.join(repr(model.llm) for model in self.models)})"
