"""Where helper functions and classes are from: a module to import, or their source."""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
import textwrap
import types
from collections.abc import Mapping
from typing import Any

from opto.execution.limits import is_allowed
from opto.trace.code import Namespace, Surroundings
from opto.trace.core import Node
from opto.trace.function import FunModule


def is_librarys(module: str) -> bool:
    """Whether a module is this library's or an installed one: those aren't given by source."""
    file = getattr(sys.modules.get(module), "__file__", None)
    installed = sysconfig.get_paths()
    return module.partition(".")[0] == "opto" or (
        isinstance(file, str)
        and file.startswith((installed["stdlib"], installed["purelib"], installed["platlib"]))
    )


def space_of(value: Any) -> Mapping[str, Any]:
    """Return where the names are looked up that a function or class refers to."""
    if isinstance(value, type):
        return vars(sys.modules[value.__module__])
    return Namespace(Surroundings(inspect.unwrap(value), {}, ""))


def class_source(value: Any) -> str:
    """Return the source of a class; of a named tuple that was made by a call, one that makes it."""
    own = value.__name__
    try:
        return textwrap.dedent(inspect.getsource(value))
    except (OSError, TypeError):
        if value.__bases__ != (tuple,) or not hasattr(value, "_fields"):
            raise
    defaults = tuple(value._field_defaults.values())
    made = f"namedtuple({own!r}, {value._fields!r}, defaults={defaults!r})"
    ast.literal_eval(repr(defaults))
    return f"from collections import namedtuple\n{own} = {made}"


def home_of(name: str, value: Any, allowed: frozenset[str]) -> tuple[str, str] | None:
    """Return the allowed module that holds `value`, and under which name."""
    if isinstance(value, (types.ModuleType, FunModule, Node)):
        return None
    own = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    modules = [getattr(value, "__module__", None), type(value).__module__]
    for module in modules:
        found = sys.modules.get(module) if isinstance(module, str) else None
        if found is None or not is_allowed(found.__name__, allowed):
            continue
        for attribute in (own, name):
            if isinstance(attribute, str) and found.__dict__.get(attribute) is value:
                return found.__name__, attribute
    return None
