"""What tracing needs of whoever writes and reads files of parameters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from opto.registry import Registry
from opto.trace.origin import Origin
from opto.trace.parameters import ParameterNode, set_all

_NONE: Mapping[ParameterNode[Any], Origin] = MappingProxyType({})


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        values: the value of each parameter.
        state: anything else: plain data by name.
        origins: where the values are from; of those that are missing that is unknown.
    """

    values: dict[ParameterNode[Any], Any]
    state: dict[str, Any]
    origins: Mapping[ParameterNode[Any], Origin] = _NONE

    def apply(self) -> None:
        """Set the parameters, all or none."""
        set_all(self.values, self.origins)


class ParameterFiles(Protocol):
    """A way to keep parameters in a file."""

    def save(
        self,
        file_name: str | os.PathLike[str],
        parameters: Mapping[str, ParameterNode[Any]],
        *,
        holder: object,
        state: Mapping[str, Any],
    ) -> None:
        """Write parameters, by path, and the state; all of it or nothing."""

    def read(
        self,
        file_name: str | os.PathLike[str],
        parameters: Mapping[str, ParameterNode[Any]],
        *,
        holder: object,
        state: Iterable[str],
        allow_pickle: bool,
    ) -> Contents:
        """Return what fits the parameters and the names of state; change and run nothing.

        Raises:
            ParameterFileError: if the file is damaged or doesn't fit.
        """
        ...


FILES: Registry[ParameterFiles] = Registry("parameter file format", group="opto.parameter_files")
"""Where ``save`` and ``load`` find the format; the entry point ``default`` is `opto.records`."""
