"""The operators as functions, on nodes and plain values alike.

``operators.add(x, y)`` is ``x + y``; the names are those of `table`. `call_llm` asks a model, and
`acall_llm` awaits one.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from opto.registry import Registry
from opto.trace.core import MessageNode, Node, apply, lift
from opto.trace.ops import Op
from opto.trace.table import FUNCTIONS

MODELS: Registry[Any] = Registry("model", group="opto.models")
"""Where `call_llm` finds a model; the entry point ``default`` makes one when it is called."""


class Operator:
    """An operator as a function.

    Attributes:
        name: its name.
        description: the sentence that a model reads.
    """

    def __init__(self, op: Op) -> None:
        self.op = op
        self.__name__ = self.__qualname__ = self.name = op.name
        self.__doc__ = self.description = op.description

    def __call__(self, /, *args: Any, **kwargs: Any) -> MessageNode[Any]:
        """Apply the operator to nodes or plain values; inputs get the names they are passed by."""
        return apply(self.op, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<operator {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.name,)


_FUNCTIONS = {row.op.name: Operator(row.op) for row in FUNCTIONS}


def _named(name: str) -> Operator:
    return _FUNCTIONS[name]


def __getattr__(name: str) -> Operator:
    try:
        return _FUNCTIONS[name]
    except KeyError:
        message = f"there is no operator {name!r}; there are: {', '.join(sorted(_FUNCTIONS))}"
        raise AttributeError(message) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *_FUNCTIONS})


def identity(x: Any) -> MessageNode[Any]:
    """Return a copy of `x`; left out of simple pictures."""
    return apply(_FUNCTIONS["clone"].op, x)


def call_llm(*prompts: Any, **options: Any) -> MessageNode[str]:
    """Ask a model: the first prompt is the system's, the others are the user's.

    Args:
        prompts: nodes or texts. A model (a callable that isn't a node of a text) may stand first;
            otherwise the default one is asked. A system prompt of None is left out.
        options: passed to the model.

    Raises:
        ExecutionError: if the call fails.
    """
    model, texts = _parted(prompts)

    def ask(*said: Any, **settings: Any) -> str:
        chosen = model if model is not None else MODELS.get("default")()
        return _text(chosen(messages=_messages(*said), **settings))

    return apply(_asking(len(texts), ask), *texts, **options)


async def acall_llm(*prompts: Any, **options: Any) -> MessageNode[str]:
    """As `call_llm`, without keeping the loop from other work while the model answers.

    A model with an ``acall``, or one that is a coroutine function, is awaited; any other is called
    in a thread. Cancelling the task cancels the call, and leaves no node.
    """
    model, texts = _parted(prompts)
    inputs = [lift(text) for text in texts]
    named = {name: lift(value, name) for name, value in options.items()}
    settings = {name: given._data for name, given in named.items()}
    messages = _messages(*(given._data for given in inputs))
    outcome: str | Exception
    try:
        chosen = model if model is not None else MODELS.get("default")()
        outcome = _text(await _answer(chosen, messages, settings))
    except Exception as error:  # noqa: BLE001 - raised where the node is made
        outcome = error

    def answered(*_: Any, **__: Any) -> str:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return apply(_asking(len(inputs), answered), *inputs, **named)


def _parted(prompts: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """The model, if there is one, and the prompts."""
    rest = list(prompts)
    if rest and callable(rest[0]._data if isinstance(rest[0], Node) else rest[0]):
        first = rest.pop(0)
        return (first._data if isinstance(first, Node) else first), rest
    return None, rest


def _messages(system_prompt: Any = None, *user_prompts: Any) -> list[dict[str, str]]:
    texts = [text for text in user_prompts if text is not None]
    messages = [{"role": "system", "content": str(system_prompt)}]
    messages = [] if system_prompt is None else messages
    return [*messages, {"role": "user", "content": "\n\n".join(str(text) for text in texts)}]


def _text(reply: Any) -> str:
    return str(reply.choices[0].message.content)


async def _answer(model: Any, messages: list[dict[str, str]], settings: dict[str, Any]) -> Any:
    own = getattr(model, "acall", None)
    waits = (
        own is not None or iscoroutinefunction(model) or iscoroutinefunction(type(model).__call__)
    )
    if waits:
        return await (model if own is None else own)(messages=messages, **settings)
    from asyncio import to_thread  # noqa: PLC0415 - loaded wherever there is a loop, not by us

    reply = await to_thread(model, messages=messages, **settings)
    return await reply if isawaitable(reply) else reply


def _asking(count: int, function: Callable[..., str]) -> Op:
    names = ("system_prompt", *(f"args_{index}" for index in range(count - 1)))
    return Op("call_llm", _CALL_LLM, names[:count], function)


_CALL_LLM = "[call_llm] This is an operator: the answer of a language model to the prompts."
