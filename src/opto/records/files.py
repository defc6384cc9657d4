"""Saving parameters to a file and reading them back: what the entry point ``default`` names."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from opto.errors import NotPlainData, ParameterFileError
from opto.records import atomic, pickles
from opto.records.parameter_file import MAX_BYTES, Document, Section, parsed, written
from opto.records.values import Writer
from opto.trace.files import Contents
from opto.trace.origin import AUTHOR, FromFile, Origin, origin_of
from opto.trace.parameters import ParameterNode

Parameters = Mapping[str, ParameterNode[Any]]

_FIELDS = frozenset({"type", "name", "description", "constraint", "origin", "value"})
_SHOWN = 20
_NUMBERS = frozenset({"int", "float", "complex"})


def save(
    file_name: str | os.PathLike[str],
    parameters: Parameters,
    *,
    holder: object,
    state: Mapping[str, Any],
) -> None:
    """Write parameters to a file: all of it, or what was there stays.

    Args:
        file_name: where; folders are made if they aren't there.
        parameters: what to write, by path.
        holder: whose they are.
        state: what else to write: plain data by name.

    Raises:
        NotPlainData: if a value can't be written; the message names the parameter.
        OSError: if the file can't be written.
    """
    sections = [_section(path, parameter) for path, parameter in parameters.items()]
    sections += [Section("state", name, {"value": value}) for name, value in state.items()]
    document = Document({"of": _name_of(holder)}, sections)
    atomic.write(Path(file_name), written(document))


def read(
    file_name: str | os.PathLike[str],
    parameters: Parameters,
    *,
    holder: object,
    state: Iterable[str],
    allow_pickle: bool,
) -> Contents:
    """Return what a file holds for the parameters; nothing is changed yet, and no code is run.

    Args:
        file_name: which file.
        parameters: what the file must hold, by path: neither more nor less.
        holder: whose they are.
        state: names of what else it may hold.
        allow_pickle: whether it may be a pickle, as the original wrote. Its data is read without
            calling or importing anything.

    Raises:
        ParameterFileError: if the file is damaged, of a newer version, or doesn't fit.
        OSError: if it can't be opened.
    """
    source = os.fsdecode(file_name)
    data = _content(source)
    if data[:1] == b"\x80":
        if not allow_pickle:
            message = (
                f"{source} is a pickle, as older programs wrote; if you know where it is from, "
                "pass allow_pickle=True, then save it anew"
            )
            raise ParameterFileError(message)
        found = _unpickled(data, source, parameters)
    else:
        found = _sorted(parsed(data, source), source)
    values, kinds, others, said = found
    known = set(state)
    wrong = [
        *_differing("parameters missing in the file", [p for p in parameters if p not in values]),
        *_differing("parameters of the file that aren't known", values.keys() - parameters.keys()),
        *_differing("state in the file that isn't known", others.keys() - known),
        *_mismatches(parameters, values, kinds),
    ]
    if wrong:
        lines = "\n".join(f"  - {line}" for line in wrong)
        message = f"{source} doesn't fit {_name_of(holder)}; nothing was changed.\n{lines}"
        raise ParameterFileError(message)
    return Contents(
        {parameters[path]: value for path, value in values.items()},
        others,
        _origins(parameters, said, source, data),
    )


# ---- writing -------------------------------------------------------------------------------------


def _section(path: str, parameter: ParameterNode[Any]) -> Section:
    value = parameter._data
    known = {
        "type": _kind(parameter, value),
        "name": parameter.name.partition(":")[0],  # the number differs from run to run
        "description": parameter.description_text,
        "constraint": parameter._constraint,
        "origin": parameter.origin.kept().as_plain(),
    }
    fields = {name: text for name, text in known.items() if text is not None}
    return Section("parameter", path, {**fields, "value": value})


def _kind(parameter: ParameterNode[Any], value: object) -> str:
    return "code" if parameter.is_code else type(value).__name__


def _name_of(holder: object) -> str:
    kind = type(holder)
    return f"{kind.__module__}.{kind.__qualname__}"


# ---- reading -------------------------------------------------------------------------------------


def _content(source: str) -> bytes:
    """Return what is in a file, if it is one of a bearable size."""
    with open(source, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            message = f"{source} is no ordinary file"
            raise ParameterFileError(message)
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        message = f"{source} is larger than {MAX_BYTES} bytes; no parameter file is"
        raise ParameterFileError(message)
    return data


def _open_without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe may never have a writer


class _Found(NamedTuple):
    """Values, types and said origins of parameters by path, and state by name."""

    values: dict[str, Any]
    kinds: dict[str, str]
    state: dict[str, Any]
    said: dict[str, Origin]


def _sorted(document: Document, source: str) -> _Found:
    values: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    others: dict[str, Any] = {}
    said: dict[str, Origin] = {}
    for kind, name, fields in document.sections:
        problem = _problem(kind, fields)
        if problem:
            message = f"{source}, section [{kind} {name}]: {problem}"
            raise ParameterFileError(message)
        if kind == "state":
            others[name] = fields["value"]
        else:
            values[name], kinds[name] = fields["value"], fields["type"]
            if "origin" in fields:
                said[name] = origin_of(fields["origin"])
    return _Found(values, kinds, others, said)


def _problem(kind: str, fields: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a section, if anything."""
    needed = {"parameter": {"type", "value"}, "state": {"value"}}.get(kind)
    if needed is None:
        return "sections are of a parameter or of state"
    unknown = fields.keys() - (_FIELDS if kind == "parameter" else needed)
    missing = needed - fields.keys()
    if unknown or missing:
        return f"unknown fields: {_listed(unknown)}; missing fields: {_listed(missing)}"
    if kind == "parameter":
        written_as, found = fields["type"], type(fields["value"]).__name__
        if found != ("str" if written_as == "code" else written_as):
            return f"the type says {written_as!r} and the value is of type {found}"
        try:
            origin_of(fields.get("origin", "unknown"))
        except ValueError as error:
            return str(error)
    return None


def _origins(
    parameters: Parameters, said: Mapping[str, Origin], source: str, data: bytes
) -> dict[ParameterNode[Any], Origin]:
    """Return where the values of a file are from: that file, and what it says beside.

    That code is its author's is no file's word to give: the parameter knows its author's text.
    """
    checksum = hashlib.sha256(data).hexdigest()
    return {
        parameter: FromFile(
            source,
            checksum,
            None if parameter.is_code and said.get(path) == AUTHOR else said.get(path),
        )
        for path, parameter in parameters.items()
    }


def _unpickled(data: bytes, source: str, parameters: Parameters) -> _Found:
    values = pickles.parameters_of(data, source)
    writer = Writer()
    for path, value in values.items():
        try:
            writer.lines(value)
        except NotPlainData as error:
            message = f"{source} can't be read: parameter {path}: {error}"
            raise ParameterFileError(message) from None
    kinds = {path: type(value).__name__ for path, value in values.items()}
    for path, parameter in parameters.items():
        if parameter.is_code and kinds.get(path) == "str":
            kinds[path] = "code"  # a pickle doesn't say
    return _Found(values, kinds, {}, {})


def _mismatches(
    parameters: Parameters, values: Mapping[str, Any], kinds: Mapping[str, str]
) -> list[str]:
    """Return a line for each value of another type than the parameter's."""
    found: list[str] = []
    for path, parameter in parameters.items():
        if path in values:
            here, there = _kind(parameter, parameter._data), kinds[path]
            numbers = {here, there} <= _NUMBERS
            if here != there and not numbers and "NoneType" not in {here, there}:
                found.append(f"{path} is {here}, in the file {there}")
    return found


def _differing(what: str, names: Iterable[str]) -> list[str]:
    listed = sorted(names)
    return [f"{what}: {_listed(listed)}"] if listed else []


def _listed(names: Iterable[str]) -> str:
    known = sorted(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return (", ".join(name[:80] for name in known[:_SHOWN]) or "none") + more
