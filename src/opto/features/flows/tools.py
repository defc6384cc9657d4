"""Python functions that a model may call."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_type_hints

from opto.errors import InvalidArgument
from opto.trace import Node

_TYPES: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
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
            return self.functions[name](**cast("dict[str, Any]", arguments))
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is the model's to know
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
    known = _TYPES.get(getattr(hint, "__origin__", hint))
    return {"type": known} if known else {}


def _hints(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        return {}
