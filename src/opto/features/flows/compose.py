"""`TracedLLM`: a model in a program, whose answers are nodes that feedback flows through."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from opto.errors import ModelError
from opto.features.flows.history import ChatHistory as ChatHistory
from opto.features.flows.tools import Toolbox, shown
from opto.llm import LLM, Completion
from opto.llm.own import as_model
from opto.llm.parts import Image, content
from opto.llm.steps import Request, Steps, arun, asked, done, run
from opto.trace import Node, node
from opto.trace.core import MessageNode, apply
from opto.trace.modules import Model
from opto.trace.ops import Op

_DESCRIPTION = "[{name}] This is an operator: the answer of a language model to the conversation."
_NUMBERS = itertools.count()


class TracedLLM(Model):
    """A model with a system prompt that can be trained, and, if wanted, a memory.

    The answer to a call is a node; its inputs are the system prompt, the turns before, the query
    and the results of tools.

    Args:
        system_prompt: told first; None for none.
        llm: any model; the default one if None.
        chat_history_on: whether each call is told of those before it.
        trainable: whether the system prompt is a parameter.
        model_name: begins the names of the nodes; ``TracedLLM<i>`` if None.
        tools: functions, also asynchronous ones, that the model may call; those that are bundled
            become nodes. What they take is read from their annotations: ``Literal``, ``list[int]``,
            ``Annotated[str, "the city"]``, ...
        options: of each call of the model, e.g. ``temperature``; ``max_rounds`` (5) is how often
            the model may ask for tools before it has to answer.

    Attributes:
        chat_history: the turns.
    """

    def __init__(
        self,
        system_prompt: Any = None,
        llm: Any = None,
        chat_history_on: bool = False,  # noqa: FBT001, FBT002 - the original's signature
        trainable: bool = False,  # noqa: FBT001, FBT002 - the original's signature
        model_name: str | None = None,
        tools: Sequence[Callable[..., Any]] = (),
        **options: Any,
    ) -> None:
        self.llm = as_model(LLM() if llm is None else llm)
        self.system_prompt: Node[Any] | None = None
        if system_prompt is not None:
            self.system_prompt = node(system_prompt, name="system_prompt", trainable=trainable)
        self.chat_history_on = chat_history_on
        self.chat_history = ChatHistory()
        self.model_name = model_name or f"TracedLLM{next(_NUMBERS)}"
        self.toolbox = Toolbox(tools)
        self.max_rounds = int(options.pop("max_rounds", 5))
        self.options = options

    def forward(
        self,
        user_query: Any,
        chat_history_on: bool | None = None,  # noqa: FBT001 - the original's signature
        *,
        images: Sequence[Image] = (),
    ) -> MessageNode[str]:
        """Answer; the node's value is the text.

        Args:
            user_query: a text, a list of content parts, or a node of one.
            chat_history_on: goes before the setting of the object.
            images: URLs, paths or bytes, told with the query.

        Raises:
            ExecutionError: if the model fails; it carries the node of the failed call.
        """
        call = _Call(self, user_query, images, chat_history=chat_history_on)
        return call.answer(_outcome(lambda: run(call.steps())))

    chat = forward

    async def aforward(
        self, user_query: Any, *, chat_history_on: bool | None = None, images: Sequence[Image] = ()
    ) -> MessageNode[str]:
        """As `forward`, without keeping the loop from other work."""
        call = _Call(self, user_query, images, chat_history=chat_history_on)
        try:
            outcome: Completion | ModelError = await arun(call.steps())
        except ModelError as error:
            outcome = error
        return call.answer(outcome)


def _outcome(work: Callable[[], Completion]) -> Completion | ModelError:
    try:
        return work()
    except ModelError as error:
        return error


class _Call:
    """One call: what the model is told, and the inputs that the answer's node will have."""

    def __init__(
        self, owner: Any, query: Any, images: Sequence[Image], *, chat_history: bool | None
    ) -> None:
        self.owner = owner
        self.remember = owner.chat_history_on if chat_history is None else chat_history
        text = query._data if isinstance(query, Node) else query
        name = f"{owner.model_name}_user_query"
        self.query: Node[Any] = query if isinstance(query, Node) else node(query, name=name)
        history = list(owner.chat_history) if self.remember else []
        self.messages: list[dict[str, Any]] = [turn.message() for turn in history]
        self.inputs: dict[str, Node[Any]] = {}
        if owner.system_prompt is not None:
            told = {"role": "system", "content": str(owner.system_prompt._data)}
            self.messages.insert(0, told)
            self.inputs["system_prompt"] = owner.system_prompt
        for at, turn in enumerate(history):
            self.inputs[f"history_{at}"] = turn.content
        self.inputs["user_query"] = self.query
        self.said = content(text if isinstance(text, list) else str(text), images)
        self.messages.append({"role": "user", "content": self.said})

    def steps(self) -> Steps[Completion]:
        """Ask, and do what the model asks for, until it answers."""
        tools = self.owner.toolbox
        for _ in range(self.owner.max_rounds):
            declared = {"tools": tools.declared()} if tools.functions else {}
            request = Request(self.messages, {**self.owner.options, **declared})
            reply = yield from asked(self.owner.llm, request)
            wanted = reply.choices[0].message.tool_calls
            if not wanted:
                return reply
            said = reply.choices[0].message.content
            told = {"role": "assistant", "content": said, "tool_calls": [dict(c) for c in wanted]}
            self.messages.append(told)
            for one in wanted:
                self._use(one, (yield from done(partial(tools.call, one))))
        # Services want the tools that a conversation speaks of, even if none may be used any more.
        last = {"tools": tools.declared(), "tool_choice": "none"} if tools.functions else {}
        request = Request(self.messages, {**self.owner.options, **last})
        return (yield from asked(self.owner.llm, request))

    def _use(self, wanted: Any, result: Any) -> None:
        name = f"tool_{sum(key.startswith('tool_') for key in self.inputs)}"
        self.inputs[name] = result if isinstance(result, Node) else node(result, name=name)
        told = {"role": "tool", "tool_call_id": wanted.get("id", ""), "content": shown(result)}
        self.messages.append(told)

    def answer(self, outcome: Completion | ModelError) -> MessageNode[str]:
        """The node of the answer."""

        def said(*_: Any) -> str:
            if isinstance(outcome, ModelError):
                raise outcome
            return outcome.text

        name = f"{self.owner.model_name}_response"
        operation = Op(name, _DESCRIPTION.format(name=name), tuple(self.inputs), said)
        response = apply(operation, *self.inputs.values())
        if self.remember:
            told = self.query if self.said == self.query._data else node(self.said)
            self.owner.chat_history.add(told, "user")
            self.owner.chat_history.add(response, "assistant")
        return response
