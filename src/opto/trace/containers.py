"""Things that hold parameters: finding them, naming them, copying them."""

from __future__ import annotations

import copy
import os
from collections import UserDict, UserList
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from opto.errors import InvalidArgument
from opto.trace.core import Node
from opto.trace.files import FILES
from opto.trace.holding import NodeContainer as NodeContainer
from opto.trace.parameters import ParameterNode, set_all

if TYPE_CHECKING:
    from typing_extensions import Self

RESERVED = "__TRACE_RESERVED_"
"""Names of attributes that the tracer puts on instances start so."""


class ParameterContainer(NodeContainer):
    """Something with parameters in its attributes, at any depth."""

    def parameters_dict(self) -> dict[str, Any]:
        """Return the parameters and containers in the attributes, by attribute name, sorted.

        Parameters in a plain list, tuple or dict stand under ``<attribute>.<index or key>``.
        Nothing is run to find them: no property is evaluated, no code compiled.
        """
        found: dict[str, Any] = {}
        for name, value in sorted(self._attributes().items()):
            found.update(_parameters_in(name, value, ()))
        return found

    def _attributes(self) -> dict[str, Any]:
        """Return what may hold parameters: the instance's attributes and its bundled methods."""
        own = {
            name: value
            for name, value in _instance_attributes(self).items()
            if not name.startswith(RESERVED)
        }
        for base in type(self).__mro__:
            for name, value in vars(base).items():
                if isinstance(value, property):  # the getter alone, it isn't called
                    value = value.fget  # noqa: PLW2901 - what stands behind it
                    own.setdefault(name, value)
                elif isinstance(value, CodeContainer) and name not in own:
                    own[name] = getattr(self, name) if value.trainable else value
                elif isinstance(value, (ParameterNode, ParameterContainer)):
                    own.setdefault(name, value)
        return own

    def named_parameters(self) -> dict[str, ParameterNode[Any]]:
        """Return all parameters by dotted path; one that is shared stands under its first path."""
        found: dict[str, ParameterNode[Any]] = {}
        seen: set[int] = {id(self)}
        stack = [(name, value) for name, value in reversed(self.parameters_dict().items())]
        while stack:
            path, value = stack.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, ParameterNode):
                found[path] = value
            else:
                inner = value.parameters_dict().items()
                stack.extend((f"{path}.{name}", item) for name, item in reversed(list(inner)))
        return found

    def parameters(self) -> list[Any]:
        """Return all parameters, each once, those of nested containers included."""
        return list(self.named_parameters().values())

    def get_parameter(self, path: str) -> Any:
        """Return the parameter at a dotted path.

        Raises:
            InvalidArgument: if there is none; the message lists the paths.
        """
        known = self.named_parameters()
        if path not in known:
            message = f"no parameter at {path!r}; there are: {', '.join(known) or 'none'}"
            raise InvalidArgument(message)
        return known[path]

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the values of all parameters by dotted path."""
        return {path: copy.deepcopy(p._data) for path, p in self.named_parameters().items()}

    def load_state_dict(self, state: Mapping[str, Any], *, strict: bool = True) -> None:
        """Set the values of parameters by dotted path; all or none.

        Raises:
            InvalidArgument: if paths are unknown, or, when `strict`, missing.
        """
        known = self.named_parameters()
        unknown = [path for path in state if path not in known]
        missing = [path for path in known if strict and path not in state]
        if unknown or missing:
            message = (
                f"the state doesn't fit: unknown paths {unknown or 'none'}, "
                f"missing paths {missing or 'none'}; there are: {', '.join(known) or 'none'}"
            )
            raise InvalidArgument(message)
        set_all({known[path]: copy.deepcopy(value) for path, value in state.items()}, {})

    def save(self, file_name: str | os.PathLike[str]) -> None:
        """Write all parameters to a text file, whole or not at all; folders are made.

        Raises:
            NotPlainData: if a value can't be written; the message names the parameter.
        """
        FILES.get("default").save(file_name, self.named_parameters(), holder=self, state={})

    def load(self, file_name: str | os.PathLike[str], *, allow_pickle: bool = False) -> None:
        """Set all parameters from a file that `save` wrote, or none; no code is run.

        Args:
            file_name: the file.
            allow_pickle: also read pickles of the original; nothing in them is called.

        Raises:
            ParameterFileError: if the file is damaged, newer, or has not just these parameters.
        """
        known = self.named_parameters()
        files = FILES.get("default")
        files.read(file_name, known, holder=self, state=(), allow_pickle=allow_pickle).apply()

    def copy(self) -> Self:
        """Return a deep copy that shares the parameters, which are the same objects in both."""
        return copy.deepcopy(self, {id(p): p for p in self.parameters()})


class CodeContainer(ParameterContainer):
    """A function whose source may be a parameter; `bundle` makes them."""

    parameter: Any = None
    trainable: bool = False


def trainable_method(method: object) -> bool:
    """Whether this is a bundled function with trainable code."""
    return isinstance(method, CodeContainer) and method.trainable


def _instance_attributes(obj: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in type(obj).__mro__:
        for name in getattr(base, "__slots__", ()):
            if not name.startswith("__"):
                try:
                    found[name] = object.__getattribute__(obj, name)
                except AttributeError:  # a slot that was never set
                    continue
    found.update(getattr(obj, "__dict__", {}))
    return found


def _parameters_in(path: str, value: Any, above: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Yield (path, parameter or container); `above` holds the ids of the lists around."""
    if isinstance(value, partial) and trainable_method(value.func):
        message = (
            f"{path} wraps a trainable function: A trainable method cannot be a wrapped by "
            "functools.partial. Pass the arguments in a function of your own"
        )
        raise InvalidArgument(message)
    if isinstance(value, ParameterNode):
        yield path, value
    elif isinstance(value, CodeContainer):
        if value.trainable:
            yield path, value.parameter
    elif isinstance(value, ParameterContainer):
        yield path, value
    elif isinstance(value, (list, tuple, dict)) and id(value) not in above:
        items: Any = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(item, (NodeContainer, Node, list, tuple, dict)):
                yield from _parameters_in(f"{path}.{key}", item, (*above, id(value)))


class Seq(UserList[Any], ParameterContainer):
    """A list of parameters and other things.

    Args:
        args: the items, or one sequence of them. A node is an item, whatever its value.
    """

    def __init__(self, *args: Any) -> None:
        one = args[0] if len(args) == 1 else None
        sequence = hasattr(one, "__len__") and hasattr(one, "__getitem__")
        if sequence and not isinstance(one, (Node, str, bytes, Mapping)):
            super().__init__(one)
        else:
            super().__init__(args)

    def _attributes(self) -> dict[str, Any]:
        return {}

    def parameters_dict(self) -> dict[str, Any]:
        """Return the parameters and containers among the items, by index."""
        found: dict[str, Any] = {}
        for index, value in enumerate(self.data):
            found.update(_parameters_in(str(index), value, (id(self.data),)))
        return found


class Map(UserDict[Any, Any], ParameterContainer):
    """A dict of parameters and other things; keys may be parameters too."""

    def __init__(self, mapping: Mapping[Any, Any] | None = None) -> None:
        super().__init__(mapping or {})

    def parameters_dict(self) -> dict[str, Any]:
        """Return the parameters and containers among keys and values, by name of the key.

        Raises:
            InvalidArgument: if a key is a container.
        """
        found: dict[str, Any] = {}
        for key, value in self.data.items():
            if isinstance(key, ParameterContainer):
                message = "The key of a Map cannot be a container."
                raise InvalidArgument(message)
            name = key.name if isinstance(key, Node) else str(key)
            if isinstance(key, ParameterNode):
                found[f"key {name}"] = key
            found.update(_parameters_in(name, value, (id(self.data),)))
        return found
