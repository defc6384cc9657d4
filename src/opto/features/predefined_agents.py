"""An agent of one call, whose prompts can be trained."""

from __future__ import annotations

from typing import Any

from opto.errors import InvalidArgument
from opto.llm import LLM
from opto.llm.steps import Request, call
from opto.trace import bundle, node
from opto.trace.modules import Model

PLACEHOLDER = "{message}"


def call_llm(llm: Any, system_prompt: str, user_prompt_template: str, message: str) -> str:
    """Ask `llm`; raises `InvalidArgument` (a ``ValueError``) if the template has no {message}."""
    if PLACEHOLDER not in user_prompt_template:
        text = f"the user prompt needs the placeholder {PLACEHOLDER}: {user_prompt_template!r}"
        raise InvalidArgument(text)
    messages = [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": user_prompt_template.replace(PLACEHOLDER, message)},
    ]
    return call(llm, Request(messages, {})).text


class BasicLearner(Model):
    """A model with a system prompt and a template of the user's prompt, both parameters.

    Args:
        system_prompt: told first.
        user_prompt_template: told next, "{message}" in it replaced.
        llm: any model; the default one if None.
    """

    def __init__(
        self,
        system_prompt: str = "You're a helpful agent",
        user_prompt_template: str = "Query: {message}",
        llm: Any = None,
    ) -> None:
        self.system_prompt = node(system_prompt, trainable=True, name="system_prompt")
        self.user_prompt_template = node(
            user_prompt_template,
            trainable=True,
            name="user_prompt_template",
            constraint=f"holds the placeholder {PLACEHOLDER}",
        )
        self.llm = LLM() if llm is None else llm

    @bundle()
    def model(self, system_prompt: str, user_prompt_template: str, message: str) -> str:
        """Answer the message, as the system prompt says."""
        return call_llm(self.llm, system_prompt, user_prompt_template, message)

    def forward(self, message: Any) -> Any:
        """Answer."""
        return self.model(self.system_prompt, self.user_prompt_template, message)


Learner = BasicLearner
