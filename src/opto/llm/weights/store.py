"""Where weights lie on this machine, and whether what lies there is what it should be."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from opto.errors import UnknownName, WeightsError
from opto.llm.weights.catalogue import Weights, resolve

CACHE_VARIABLE = "OPTO_CACHE"
_BLOCK = 1 << 22


def cache_folder() -> Path:
    """The folder for what can be fetched again: ``OPTO_CACHE``, or ``opto`` in the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "opto"


def models_folder() -> Path:
    """The folder of the weights."""
    return cache_folder() / "models"


def place_of(weights: Weights) -> Path:
    """Where `weights` lie, or would lie."""
    return models_folder() / weights.file


def is_present(name: str) -> bool:
    """Whether the weights of that name, or the file at that path, are here; looks, and no more."""
    try:
        weights_path(name)
    except (WeightsError, UnknownName):
        return False
    return True


def weights_path(name: str) -> Path:
    """The file with the weights of that name (see `resolve`), or `name` itself if it is a file.

    Raises:
        WeightsError: if they aren't here; it says how to fetch them.
        UnknownName: if there are none of that name.
    """
    path = as_file(name)
    if path is not None:
        return path
    weights = resolve(name)
    path = place_of(weights)
    found = path.stat().st_size if path.is_file() else None
    if found is None or (weights.size is not None and found != weights.size):
        wrong = "" if found is None else f" (the file there has {found} bytes, not {weights.size})"
        message = (
            f"the weights of {name!r} aren't in {path.parent}{wrong}; "
            f"run: opto model fetch {weights.name}"
        )
        raise WeightsError(message, model=name)
    return path


def checked_path(name: str) -> Path:
    """As `weights_path`, but the checksum is compared, too, unless that was done since it changed.

    Raises:
        WeightsError: if it is wrong; the file has then been deleted.
    """
    path = weights_path(name)
    if as_file(name) is None:
        weights = resolve(name)
        if weights.sha256 is not None and not _is_stamped(path, weights.sha256):
            if sha256_of(path) != weights.sha256:
                path.unlink()
                message = (
                    f"{path} isn't the file it should be: its checksum is wrong. It was deleted; "
                    f"run: opto model fetch {weights.name}"
                )
                raise WeightsError(message, model=name)
            stamp(path, weights.sha256)
    return path


def as_file(name: str) -> Path | None:
    """The path, if `name` is that of an existing file."""
    path = Path(name).expanduser()
    return path if path.suffix == ".gguf" and path.is_file() else None


def sha256_of(path: Path) -> str:
    """Checksum of the file at `path`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def stamp(path: Path, sha256: str) -> None:
    """Note beside the file that it was compared, in the state in which it is now."""
    _stamp_of(path).write_text(json.dumps(_state(path, sha256)), encoding="utf-8")


def _is_stamped(path: Path, sha256: str) -> bool:
    try:
        noted = json.loads(_stamp_of(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(noted == _state(path, sha256))


def _stamp_of(path: Path) -> Path:
    return path.with_name(path.name + ".checked")


def _state(path: Path, sha256: str) -> dict[str, str | int]:
    status = path.stat()
    return {"sha256": sha256, "size": status.st_size, "changed": status.st_mtime_ns}
