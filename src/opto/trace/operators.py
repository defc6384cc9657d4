"""The operators as functions, on nodes and plain values alike.

``operators.add(x, y)`` is ``x + y``; the names are those of `table`. `call_llm` asks a model.
"""

from __future__ import annotations

from typing import Any

from opto.registry import Registry
from opto.trace.core import MessageNode, Node, apply
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


def _ask(model: Any, messages: list[dict[str, str]], options: dict[str, Any]) -> str:
    reply = model(messages=messages, **options)
    return str(reply.choices[0].message.content)


def call_llm(*prompts: Any, **options: Any) -> MessageNode[str]:
    """Ask a model: the first prompt is the system's, the others are the user's.

    Args:
        prompts: nodes or texts. A model (a callable that isn't a node of a text) may stand first;
            otherwise the default one is asked. A system prompt of None is left out.
        options: passed to the model.

    Raises:
        ExecutionError: if the call fails.
    """
    model: Any = None
    rest = list(prompts)
    if rest and callable(rest[0]._data if isinstance(rest[0], Node) else rest[0]):
        first = rest.pop(0)
        model = first._data if isinstance(first, Node) else first

    def ask(system_prompt: Any = None, *user_prompts: Any, **settings: Any) -> str:
        chosen = model if model is not None else MODELS.get("default")()
        texts = [text for text in user_prompts if text is not None]
        messages = [{"role": "system", "content": str(system_prompt)}]
        messages = [] if system_prompt is None else messages
        messages.append({"role": "user", "content": "\n\n".join(str(text) for text in texts)})
        return _ask(chosen, messages, settings)

    names = ("system_prompt", *(f"args_{index}" for index in range(len(rest) - 1)))
    return apply(Op("call_llm", _CALL_LLM, names[: len(rest)], ask), *rest, **options)


_CALL_LLM = "[call_llm] This is an operator: the answer of a language model to the prompts."
