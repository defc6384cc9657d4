"""Which things of this process code elsewhere may call back to.

Declared is what the author's own code names, or a helper that it uses: a bundled function, a model,
`call_llm`. What `Policy(capabilities=...)` lists is declared too, whatever it is. Nodes may be
read, as data may.
"""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from opto.execution.limits import is_allowed
from opto.trace.code import Namespace, Surroundings
from opto.trace.function import FunModule
from opto.trace.operators import call_llm

_MOST_FUNCTIONS = 1_000
_OPTIONS = frozenset(
    {"max_tokens", "temperature", "top_p", "stop", "seed", "response_format", "n", "timeout"}
)


class Granted(NamedTuple):
    """A callable that the user listed by name."""

    function: Callable[..., Any]
    name: str


class Space(NamedTuple):
    """Names with values: a module of which a part may be used, or a reply of a model."""

    values: Mapping[str, Any]


def is_model(value: Any) -> bool:
    """Whether `value` is a model as this library's are; others are listed by name."""
    kind = type(value)
    return callable(value) and hasattr(kind, "acall") and hasattr(value, "abilities")


def is_function(value: Any) -> bool:
    """Whether `value` is something that may be called back to if it is declared."""
    return isinstance(value, (FunModule, Granted)) or value is call_llm or is_model(value)


def described(value: Any) -> str:
    """Return what `value` is, in words."""
    if isinstance(value, FunModule):
        return "a bundled function"
    return "call_llm" if value is call_llm else "a model"


def call(function: Any, way: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call what was granted, with arguments that nobody vouches for.

    A model gets messages of text and the usual options, nothing that says where to send them.

    Raises:
        TypeError: if it gets something else.
    """
    if isinstance(function, Granted):
        return function.function(*args, **kwargs)
    if function is call_llm or is_model(function):
        surplus = sorted(set(kwargs) - _OPTIONS - {"messages"})
        if surplus:
            message = f"option {surplus[0]!r} can't be set from here; those are {sorted(_OPTIONS)}"
            raise TypeError(message)
        if is_model(function):
            _check_messages(
                *args, **{"messages": kwargs["messages"]} if "messages" in kwargs else {}
            )
            made = function.acall(*args, **kwargs) if way == "acall" else function(*args, **kwargs)
            return _replied(made) if inspect.isawaitable(made) else _reply(made)
    return function(*args, **kwargs)


def _check_messages(messages: Any) -> None:
    for message in messages:
        if any(type(message.get(key)) is not str for key in ("role", "content")):
            text = "each message has a role and a content, both text"
            raise TypeError(text)


async def _replied(made: Any) -> Any:
    return _reply(await made)


def _reply(made: Any) -> Any:
    """Return what is told of a model's reply: the texts, why they ended, the tokens."""
    choices = getattr(made, "choices", None)
    if choices is None:
        return made
    usage = getattr(made, "usage", None)
    tokens = {
        name: count
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
        if type(count := getattr(usage, name, None)) is int
    }
    told = [
        Space(
            {
                "message": Space({"role": "assistant", "content": choice.message.content}),
                "finish_reason": getattr(choice, "finish_reason", None),
            }
        )
        for choice in choices
    ]
    text = told[0].values["message"].values["content"] if told else None
    return Space({"choices": told, "usage": Space(tokens), "text": text})


# ---- what is declared ----------------------------------------------------------------------------


class Used(NamedTuple):
    """What a function names, and what the functions that it uses name.

    Attributes:
        names: globals and what it closes over.
        attributes: what it reads of anything.
    """

    names: frozenset[str]
    attributes: frozenset[str]


def used_by(
    fun: Callable[..., Any],
    helpers: Mapping[str, Any],
    allowed: frozenset[str],
    kind: type | None = None,
) -> Used:
    """Return what a function uses.

    Args:
        fun: the author's function.
        helpers: what was local where it was defined.
        allowed: modules whose functions aren't followed, since those are imported inside.
        kind: the class of its object, if it is a method.
    """
    names: set[str] = set()
    attributes: set[str] = set()
    seen: set[int] = set()
    waiting: list[Any] = [fun]
    while waiting and len(seen) < _MOST_FUNCTIONS:
        plain = inspect.unwrap(waiting.pop())
        if id(plain) in seen or not isinstance(plain, types.FunctionType):
            continue
        if seen and is_allowed(plain.__module__ or "", allowed):
            continue
        seen.add(id(plain))
        used, read = _named_in(plain.__code__)
        names |= used
        attributes |= read
        space = Namespace(Surroundings(plain, helpers, ""))
        waiting.extend(_found(used, read, space, kind))
    return Used(frozenset(names), frozenset(attributes))


def _named_in(code: types.CodeType) -> tuple[set[str], set[str]]:
    names = set(code.co_freevars)
    attributes: set[str] = set()
    for step in dis.get_instructions(code):
        if step.opname in _READING:
            attributes.add(str(step.argval))
        elif step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            names.add(str(step.argval))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = _named_in(constant)
            names |= inner[0]
            attributes |= inner[1]
    return names, attributes


_READING = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"})
_MISSING = object()


def _found(
    names: Iterable[str], attributes: Iterable[str], space: Mapping[str, Any], kind: type | None
) -> Iterator[Any]:
    """Yield what names stand for, and methods of the object's class."""
    for name in names:
        found = _MISSING
        with suppress(KeyError):
            found = space[name]
        yield found
    for name in attributes if kind is not None else ():
        method = inspect.getattr_static(kind, name, None)
        yield getattr(method, "__func__", method)
