"""Models by the name of a profile: ``LLM(profile="cheap")``.

A profile is a table of arguments for `LLM`. It is looked for in the environment
(``OPTO_PROFILE_CHEAP=gpt-4o-mini``), in ``opto.toml`` (``[llm.profiles.cheap]``) and in
``pyproject.toml`` (``[tool.opto.llm.profiles.cheap]``) of the working folder or the nearest one
above it that has such a file, and then among those that were registered or are built in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from opto.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLE = "OPTO_PROFILE_"
BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "premium": {"model": "gpt-5"},
    "cheap": {"model": "gpt-4o-mini"},
    "fast": {"model": "gpt-4o-mini"},
    "reasoning": {"model": "o4-mini"},
}
_FILES = {"opto.toml": ("llm", "profiles"), "pyproject.toml": ("tool", "opto", "llm", "profiles")}


def profile(name: str, registered: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """The arguments of a profile; raises `UsageError`, which lists those that there are."""
    variable = os.environ.get(f"{VARIABLE}{name.upper().replace('-', '_')}", "").strip()
    if variable:
        return {"model": variable}
    known = {**BUILT_IN, **(registered or {}), **of_files(Path.cwd())}
    if name not in known:
        message = f"unknown profile: {name!r}; known: {', '.join(sorted(known))}"
        raise UsageError(message)
    return dict(known[name])


def names_of_profiles(folder: Path) -> list[str]:
    """The names of all that are built in, or stand in the environment or the files of `folder`."""
    set_here = [
        name.removeprefix(VARIABLE).lower().replace("_", "-")
        for name in os.environ
        if name.startswith(VARIABLE)
    ]
    return sorted({*BUILT_IN, *set_here, *of_files(folder)})


def of_files(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The profiles of the files that count in `folder`."""
    found: dict[str, Mapping[str, Any]] = {}
    for name in reversed(_FILES):  # opto.toml goes before
        for where in (folder, *folder.parents):
            path = where / name
            if path.is_file():
                found.update(_of_file(path, _FILES[name]))
                break
    return found


def _of_file(path: Path, keys: tuple[str, ...]) -> dict[str, Mapping[str, Any]]:
    try:
        data: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path} can't be read: {error}"
        raise UsageError(message) from None
    for key in keys:
        data = cast("dict[str, Any]", data).get(key, {}) if isinstance(data, dict) else {}
    if not isinstance(data, dict):
        message = f"{path}: {'.'.join(keys)} should be a table of tables"
        raise UsageError(message)
    profiles = cast("dict[str, Any]", data)
    for name, settings in profiles.items():
        if not isinstance(settings, dict):
            message = f"{path}: profile {name!r} should be a table like {{ model = 'gpt-4o' }}"
            raise UsageError(message)
        if "api_key" in settings:
            message = f"{path}: profile {name!r} holds an api_key; keys belong in the environment"
            raise UsageError(message)
    return profiles
