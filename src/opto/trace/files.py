"""What tracing needs of whoever writes and reads files of parameters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from opto.registry import Registry
from opto.trace.parameters import ParameterNode


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        values: the value of each parameter.
        state: anything else: plain data by name.
    """

    values: dict[ParameterNode[Any], Any]
    state: dict[str, Any]

    def apply(self) -> None:
        """Set the parameters, all or none."""
        before = {parameter: parameter._data for parameter in self.values}
        try:
            for parameter, value in self.values.items():
                parameter._set(value)
        except BaseException:
            for parameter, value in before.items():
                parameter._data = value
            raise


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
