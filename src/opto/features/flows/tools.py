"""Python functions that a model may call."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from opto.errors import InvalidArgument
from opto.trace import Node

_TYPES: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    tuple: "array",
    set: "array",
    dict: "object",
    type(None): "null",
}
_UNNAMED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Toolbox:
    """Functions by name; bundled ones stay nodes when they are called."""

    def __init__(self, functions: Sequence[Callable[..., Any]] = ()) -> None:
        self.functions = {_name(function): function for function in functions}

    def declared(self) -> list[dict[str, Any]]:
        """As a model is told of them."""
        return [
            {"type": "function", "function": _declared(name, function)}
            for name, function in self.functions.items()
        ]

    def call(self, asked: Mapping[str, Any]) -> Any:
        """Do what the model asked for; what goes wrong is told to the model, as a text.

        Args:
            asked: one of the tool calls of a message.

        Returns:
            What the tool gives; something to await for one that is asynchronous.
        """
        function = cast("Mapping[str, Any]", asked.get("function") or {})
        name = str(function.get("name"))
        if name not in self.functions:
            return f"there is no tool {name!r}; there are: {', '.join(self.functions)}"
        try:
            arguments = json.loads(function.get("arguments") or "{}")
        except ValueError as error:
            return f"the arguments of {name} aren't JSON: {error}"
        if not isinstance(arguments, dict):
            return f"the arguments of {name} should be an object"
        try:
            result = self.functions[name](**cast("dict[str, Any]", arguments))
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is the model's to know
            return _failure(name, error)
        return _later(name, result) if inspect.isawaitable(result) else result


async def _later(name: str, result: Awaitable[Any]) -> Any:
    try:
        return await result
    except Exception as error:  # noqa: BLE001 - likewise
        return _failure(name, error)


def _failure(name: str, error: Exception) -> str:
    return f"{name} failed: {type(error).__name__}: {error}"


def shown(result: Any) -> str:
    """A tool's result as a model is told."""
    value = result._data if isinstance(result, Node) else result
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None) or getattr(function, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        message = f"a tool needs a name; {function!r} has none"
        raise InvalidArgument(message)
    return name


def _declared(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    plain = inspect.unwrap(getattr(function, "_fun", function))
    hints = _hints(plain)
    parameters = inspect.signature(function).parameters.values()
    named = [parameter for parameter in parameters if parameter.kind not in _UNNAMED]
    return {
        "name": name,
        "description": inspect.getdoc(function) or name,
        "parameters": {
            "type": "object",
            "properties": {one.name: _type(hints.get(one.name)) for one in named},
            "required": [one.name for one in named if one.default is inspect.Parameter.empty],
        },
    }


def _type(hint: Any) -> dict[str, Any]:
    """The JSON schema of what a parameter takes; empty if it may be anything."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        notes = [note for note in inner[1:] if isinstance(note, str)]
        return {**_type(inner[0]), **({"description": notes[0]} if notes else {})}
    if kind is Literal:
        return {"enum": list(inner)}
    if kind is Union or kind is getattr(types, "UnionType", None):
        choices = [_type(one) for one in inner]
        return {"anyOf": choices} if all(choices) else {}
    known = _TYPES.get(kind)
    if known == "array" and inner and (kind is not tuple or inner[1:] == (...,)):
        items = _type(inner[0])
        return {"type": known, **({"items": items} if items else {})}
    return {"type": known} if known else {}


def _hints(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError):
        return {}
