"""What values a number or a choice may take: given, or read from what is said of a parameter."""

from __future__ import annotations

import enum
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from opto.errors import InvalidArgument, ProposalError
from opto.optimizers.optimizer import Parameter

_NUMBER = r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
_RANGES = tuple(
    re.compile(text, re.IGNORECASE)
    for text in (
        rf"\bbetween\s+{_NUMBER}\s+and\s+{_NUMBER}",
        rf"\bfrom\s+{_NUMBER}\s+to\s+{_NUMBER}",
        rf"\bin\s*\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]",
        rf"{_NUMBER}\s*(?:<=|≤)\s*\w+\s*(?:<=|≤)\s*{_NUMBER}",
        rf"\bat least\s+{_NUMBER}\D+?\bat most\s+{_NUMBER}",
    )
)
_LITERAL = re.compile(r"\bLiteral\[(.+?)\]")
_CHOICES = re.compile(r"\bone of:?\s+(.+?)(?:\.\s*)?$", re.IGNORECASE)

_EACH = re.compile(
    r"(?:each|every|all)\b(?: of them| items?| elements?| values?| numbers?)?\s*", re.IGNORECASE
)
_SUBJECT = (
    r"(?:(?:it |[\w ]+ )?(?:must|should|has to) (?:stay|be) |(?:an? )?(?:whole |real )?"
    r"(?:number|integer|int|float|value|share|rate)s?,? )?"
)
_ONE_SIDED: tuple[tuple[re.Pattern[str], Callable[[float, float], bool]], ...] = tuple(
    (re.compile(rf"{_SUBJECT}(?:{words})\.?", re.IGNORECASE), holds)
    for words, holds in (
        (rf"(?:at least|no less than|not less than|>=|≥) ?(?P<limit>{_NUMBER})", operator.ge),
        (rf"(?:at most|no more than|not more than|<=|≤) ?(?P<limit>{_NUMBER})", operator.le),
        (rf"(?:greater than|more than|larger than|above|>) ?(?P<limit>{_NUMBER})", operator.gt),
        (rf"(?:less than|smaller than|below|<) ?(?P<limit>{_NUMBER})", operator.lt),
        (r"positive|above zero", operator.gt),
        (r"non-?negative|not negative|(?:[\w ]+ )?(?:must|may) not be negative", operator.ge),
    )
)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; with `log` small ones count as much as large."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            message = f"a range goes from a lower to a higher number, not {self.low} to {self.high}"
            raise InvalidArgument(message)
        if self.log and self.low <= 0:
            message = f"a logarithmic range must be above 0, not from {self.low}"
            raise InvalidArgument(message)


@dataclass(frozen=True)
class Choices:
    """A few values, of which one is taken."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            message = "there is nothing to choose from"
            raise InvalidArgument(message)


Bounds: TypeAlias = "Range | Choices"
Given: TypeAlias = "Bounds | tuple[float, float] | list[Any]"


def bounds_for(
    parameters: Sequence[Parameter],
    given: Mapping[Any, Given] | None,
    name_of: Callable[[Parameter], str],
) -> dict[Parameter, Bounds]:
    """Return the bounds of those parameters that have some.

    Args:
        parameters: the parameters.
        given: bounds by parameter or by its name, before what is read from descriptions: a pair of
            numbers, a list of choices, a `Range` or `Choices`.
        name_of: the name of a parameter.
    """
    left = dict(given or {})
    found: dict[Parameter, Bounds] = {}
    for parameter in parameters:
        keys = (parameter, name_of(parameter), parameter.name)
        named = next((key for key in keys if key in left), None)
        bounds = read_bounds(parameter) if named is None else _taken(left.pop(named))
        if bounds is not None:
            found[parameter] = bounds
    if left:
        known = ", ".join(name_of(parameter) for parameter in parameters)
        message = f"bounds for {', '.join(map(str, left))}, but the parameters are {known}"
        raise InvalidArgument(message)
    return found


def _taken(given: Given) -> Bounds:
    if isinstance(given, (Range, Choices)):
        return given
    if isinstance(given, tuple) and len(given) == 2:
        return Range(*given)
    if isinstance(given, list):
        return Choices(tuple(given))
    message = f"bounds are a pair (low, high), a list of choices, Range or Choices; got {given!r}"
    raise InvalidArgument(message)


def read_bounds(parameter: Parameter) -> Bounds | None:
    """Return the bounds that the type, the constraint or the description tells, None if none."""
    data = parameter._data
    if isinstance(data, bool):
        return Choices((False, True))
    if isinstance(data, enum.Enum):
        return Choices(tuple(type(data)))
    texts = (parameter._constraint, parameter.description_text)
    return next((found for text in texts for found in _said(data, text or "")), None)


def bounds_in(data: object, text: str) -> Bounds | None:
    """Return the bounds that a text tells of a value like `data`, None if it tells none."""
    return next(_said(data, text), None)


def within_bounds(parameter: Parameter, value: Any) -> Any:
    """Return a value if it keeps to what the constraint says; a description is but a hint.

    Raises:
        ProposalError: it is outside.
    """
    _check(parameter._data, value, parameter._constraint or "")
    return value


def _check(current: object, value: Any, text: str) -> None:
    """Raise `ProposalError` if a value doesn't keep to what a text says with certainty."""
    each = _EACH.match(text)
    if each and hasattr(value, "__iter__") and not isinstance(value, (str, bytes, dict)):
        examples = iter(_flat(current))
        example = next(examples, None)
        for item in _flat(value):
            _check(item if example is None else example, item, text[each.end() :])
        return
    bounds = bounds_in(current, text)
    if bounds is not None:
        within(bounds, value)
    elif isinstance(value, (int, float)) and not isinstance(value, (bool, enum.Enum)):
        for pattern, holds in _ONE_SIDED:
            limit = pattern.fullmatch(text.strip())
            if limit and not holds(value, float(limit.groupdict().get("limit") or 0)):
                message = f"{value} doesn't keep to the constraint: {text}"
                raise ProposalError(message)


def _flat(value: Any) -> Iterator[Any]:
    for item in value.tolist() if hasattr(value, "tolist") else value:
        if isinstance(item, (list, tuple)):
            yield from _flat(item)
        else:
            yield item


def within(bounds: Bounds, value: Any) -> Any:
    """Return a value if it is within bounds; raises `ProposalError` if it isn't."""
    if isinstance(bounds, Range) and not bounds.low <= value <= bounds.high:
        message = f"{value} isn't between {bounds.low:g} and {bounds.high:g}"
        raise ProposalError(message)
    if isinstance(bounds, Choices) and place_of(value, bounds) is None:
        message = f"{value!r} isn't one of {', '.join(map(str, bounds.values))}"
        raise ProposalError(message)
    return value


def place_of(value: object, choices: Choices) -> int | None:
    """Return which of the choices a value is (1 isn't True); None if it is none of them."""
    alike = (
        index
        for index, choice in enumerate(choices.values)
        if type(choice) is type(value) and choice == value
    )
    return next(alike, None)


def told(bounds: Bounds) -> str:
    """Return bounds in words, as they are read from a constraint."""
    if isinstance(bounds, Range):
        return f"between {bounds.low:g} and {bounds.high:g}"
    named = (value.name if isinstance(value, enum.Enum) else str(value) for value in bounds.values)
    return f"one of: {', '.join(named)}"


def _said(data: object, text: str) -> Iterator[Bounds]:
    if isinstance(data, bool) or not isinstance(data, (int, float, str)):
        return
    if isinstance(data, (int, float)) and not isinstance(data, enum.Enum):
        for pattern in _RANGES:
            if (match := pattern.search(text)) and float(match[1]) < float(match[2]):
                yield Range(float(match[1]), float(match[2]))
    if isinstance(data, enum.Enum):
        return
    choices = _choices(data, text)
    if any(type(choice) is type(data) and choice == data for choice in choices):
        yield Choices(choices)


def _choices(data: float | str, text: str) -> tuple[Any, ...]:
    """Return what a text says that a value of this type is one of; nothing if it doesn't."""
    match = _CHOICES.search(text) or _LITERAL.search(text)
    words = re.split(r",\s*(?:or\s+)?|\s+or\s+", match[1]) if match else []
    try:
        return tuple(type(data)(cast("str", word).strip(" '\"`")) for word in words)
    except ValueError:
        return ()
