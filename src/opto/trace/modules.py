"""Classes with parameters: `Module` to derive from, `model` to decorate with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, overload
from warnings import warn

from opto.trace.abstract import LEARNS
from opto.trace.containers import NodeContainer as NodeContainer
from opto.trace.containers import ParameterContainer as ParameterContainer
from opto.trace.containers import Seq as Seq
from opto.trace.core import MessageNode
from opto.trace.export_code import class_source
from opto.trace.parameters import ParameterNode as ParameterNode

T = TypeVar("T", bound=type[Any])
MODELS_EXECUTION = "__opto_execution__"


class Module(ParameterContainer):
    """A part of a program with parameters in its attributes; write `forward`."""

    def forward(self, /, *args: Any, **kwargs: Any) -> Any:
        """Do the work; called by calling the object."""
        message = f"{type(self).__name__} has no method forward; write one, or __call__"
        raise NotImplementedError(message)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call `forward`."""
        return self.forward(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, MessageNode) and value._flags & LEARNS:
            old = getattr(self, "__dict__", {}).get(name)
            if isinstance(old, ParameterNode) and old.trainable:
                warn(
                    f"attribute {name!r} was the parameter {old.name} and becomes the result "
                    f"{value.name}: it is no parameter any more. To change the parameter's value, "
                    "assign to its _data; to compute with it, use another name",
                    stacklevel=2,
                )
        object.__setattr__(self, name, value)


class Model(Module):
    """What `model` makes of a class."""

    def export(self, filename: str, projections: list[Any] | None = None) -> None:
        """Write the class as plain Python: no nodes, no bundles, current values and code.

        Args:
            filename: where to write.
            projections: applied in order to the text.
        """
        text = class_source(self)
        for projection in projections or ():
            text = projection(text)
        with open(filename, "w", encoding="utf-8") as file:  # noqa: PTH123 - see picture.py
            file.write(text)


@overload
def model(cls: T) -> T: ...
@overload
def model(*, execution: Any = ...) -> Callable[[T], T]: ...
def model(cls: Any = None, *, execution: Any = None) -> Any:
    """Make a class a `Module`: its parameters and those of its methods can be found and trained.

    The class keeps its name and module. One that is a `Module` already is returned as it is.

    Args:
        cls: the class.
        execution: how code runs that the author didn't write, for those of its methods that don't
            say themselves; see `bundle`.
    """
    if cls is None:
        return partial(_model, execution=execution)
    return _model(cls, execution)


def _model(cls: type, execution: Any) -> type:
    if issubclass(cls, Model):
        if execution is not None:
            setattr(cls, MODELS_EXECUTION, execution)
        return cls
    facts: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__opto_wrapped__": cls,
    }
    if execution is not None:
        facts[MODELS_EXECUTION] = execution
    metaclass: Any = type(cls)
    made: type = metaclass(cls.__name__, (cls, Model), facts)
    return made
