"""Names of parameters as a model reads and writes them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from opto.errors import ProposalError


@dataclass(frozen=True)
class Wanted:
    """A parameter that a reply may give a value for.

    Attributes:
        name: its name in the prompt.
        aliases: other names that mean it (``x:0`` for ``x0``).
        function: for code, the name of the function that it defines.
    """

    name: str
    aliases: tuple[str, ...] = ()
    function: str | None = None


class Names:
    """Finds the one parameter that a name in a reply means."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        self.wanted = tuple(wanted)
        self._exact = {item.name: item for item in self.wanted}
        self._close: dict[str, set[str]] = {}
        for item in self.wanted:
            for name in (item.name, *item.aliases):
                self._close.setdefault(folded(name), set()).add(item.name)

    def find(self, name: str) -> Wanted | None:
        """Return the parameter meant, or None if there is none or more than one."""
        if name in self._exact:
            return self._exact[name]
        close = self._close.get(folded(name), set())
        return self._exact[next(iter(close))] if len(close) == 1 else None

    def resolve(self, given: Iterable[tuple[str, object]], *, reply: str) -> dict[str, object]:
        """Map given names to the parameters' own; raises `ProposalError` if one isn't known."""
        values: dict[str, object] = {}
        unknown: list[str] = []
        for name, value in given:
            item = self.find(name)
            if item is None:
                unknown.append(shown(name))
            elif item.name in values and not same(values[item.name], value):
                message = f"{item.name} is given several different values; give one"
                raise ProposalError(message, reply=reply)
            else:
                values[item.name] = value
        if unknown:
            known = ", ".join(item.name for item in self.wanted) or "none"
            message = f"no such variable: {', '.join(unknown)}; the variables are: {known}"
            raise ProposalError(message, reply=reply)
        return values


def folded(name: str) -> str:
    """Return a name without regard to case, spaces, invisible characters and quotes."""
    plain = unicodedata.normalize("NFKC", name)
    kept = (
        c for c in plain if unicodedata.category(c) not in {"Cf", "Cc", "Zs"} and c not in "`'\"*$"
    )
    return "".join(kept).casefold()


def shown(name: str) -> str:
    """Return a name fit for a one-line message."""
    return repr(name if len(name) <= 60 else f"{name[:57]}...")


def same(first: object, second: object) -> bool:
    """Whether two values read from a reply are the same (1 and True aren't)."""
    return repr(first) == repr(second)
