"""Counting calls and tokens of one model, whoever calls it."""

from __future__ import annotations

from opto.llm.base import UNKNOWN_USAGE, Completion, Usage
from opto.llm.steps import Model, Request, Steps, asked
from opto.llm.wrapper import Wrapper


class Metered(Wrapper):
    """A model that counts: `calls`, `failures` and `usage` (a sum), exact under threads.

    A call that fails counts as a call whose usage isn't known, since the provider may charge it.
    To count what is called within a block of code, whatever the model, use `opto.llm.usage`.
    """

    def __init__(self, llm: Model) -> None:
        super().__init__(llm)
        self.calls = self.failures = 0
        self.usage = Usage()

    def steps(self, request: Request) -> Steps[Completion]:
        """Ask and count."""
        reply: Completion | None = None
        try:
            reply = answer = yield from asked(self.llm, request)
        finally:
            with self._lock:
                self.calls += 1
                self.failures += reply is None
                self.usage += UNKNOWN_USAGE if reply is None else reply.usage
        return answer
