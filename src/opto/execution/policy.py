"""How code that the author didn't write is run: what is chosen, and within which limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from opto.execution.isolated import load_isolated
from opto.execution.limits import COMPUTING, Limits
from opto.execution.portable import load_portable
from opto.execution.transport import Transport
from opto.trace.code import EXECUTION, Execution, Loaded, Surroundings, load_in_process
from opto.trace.origin import UNKNOWN, Origin

Name = Literal["inprocess", "isolated", "portable"]


@dataclass(frozen=True)
class Policy:
    """A way to run proposed code; give it to `bundle(execution=...)` or `execution(...)`.

    Attributes:
        name: "isolated" for a locked process of its own, "portable" for an interpreter of a subset
            of Python, "inprocess" for no boundary at all.
        limits: what one candidate may use.
        imports: modules that the code may import, with all that is in them; "*" for any.
        capabilities: names of functions of this process that the code may call back to, besides
            those that the author's own code uses; of attributes of ``self`` too.
        paths: more folders that the code may read and import from.
        namespaces: whether to use namespaces where there are any; Landlock and the system-call
            filter are used in any case.
        transport: for "isolated", starts the processes in its place, in a container say; see
            `opto.execution.transport`. What they are locked with is then its business.
    """

    name: Name = "isolated"
    limits: Limits = field(default_factory=Limits)
    imports: frozenset[str] = COMPUTING
    capabilities: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    namespaces: bool = True
    transport: Transport | None = None

    def __call__(
        self, text: str, surroundings: Surroundings, filename: str, origin: Origin
    ) -> Loaded:
        """Load code under this policy; see `opto.trace.code.Loader`."""
        del origin  # whatever the author didn't write is treated alike
        loaded = _LOADERS[self.name](self, text, surroundings, filename)
        return loaded._replace(policy=self.name)


def _in_process(_: Policy, text: str, surroundings: Surroundings, filename: str) -> Loaded:
    return load_in_process(text, surroundings, filename, UNKNOWN)


_LOADERS: Mapping[str, Callable[[Policy, str, Surroundings, str], Loaded]] = {
    "inprocess": _in_process,
    "isolated": load_isolated,
    "portable": load_portable,
}

isolated = Policy("isolated")
portable = Policy("portable")
default = isolated


@contextmanager
def execution(policy: Execution) -> Iterator[None]:
    """Run proposed code by `policy` inside the block, unless a bundle or its class says otherwise.

    Args:
        policy: a `Policy`, or the name of one that is registered.
    """
    token = EXECUTION.set(policy)
    try:
        yield
    finally:
        EXECUTION.reset(token)
