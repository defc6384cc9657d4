"""A model with a budget of its own, beside those of `opto.llm.usage`."""

from __future__ import annotations

from opto.llm.accounting import counting
from opto.llm.base import Completion
from opto.llm.own import as_model
from opto.llm.steps import Ask, Model, Request, Steps
from opto.llm.tally import Budget, Tally
from opto.llm.wrapper import Wrapper


class Budgeted(Wrapper):
    """A model whose calls count for a tally; models with the same tally share its budget.

    Args:
        llm: any model.
        budget: the budget, or the tally that holds one.

    Attributes:
        tally: what was spent.
    """

    def __init__(self, llm: Model, budget: Budget | Tally) -> None:
        super().__init__(as_model(llm))
        self.tally = budget if isinstance(budget, Tally) else Tally(budget)

    def steps(self, request: Request) -> Steps[Completion]:
        """Ask while the tally counts."""
        with counting(self.tally):
            reply: Completion = yield Ask(self.llm, request)
        return reply
