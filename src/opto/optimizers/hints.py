"""Values by the annotations of fields: `Literal`, unions, lists of something, limits."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from opto.errors import ProposalError

Convert = Callable[[object, Any], object]
_EXAMPLES: tuple[tuple[type, Any], ...] = (
    (bool, False),
    (int, 0),
    (float, 0.0),
    (complex, 0j),
    (str, ""),
    (bytes, b""),
    (list, []),
    (tuple, ()),
    (set, set()),
    (frozenset, frozenset()),
    (dict, {}),
)
_LIMITS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("ge", "at least", lambda value, limit: value >= limit),
    ("gt", "more than", lambda value, limit: value > limit),
    ("le", "at most", lambda value, limit: value <= limit),
    ("lt", "less than", lambda value, limit: value < limit),
    ("min_length", "at least this long:", lambda value, limit: len(value) >= limit),
    ("max_length", "at most this long:", lambda value, limit: len(value) <= limit),
    ("multiple_of", "a multiple of", lambda value, limit: value % limit == 0),
)


def hints_of(kind: type) -> dict[str, Any]:
    """Return the annotations of a class by field; none if they can't be found out."""
    try:
        return get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - annotations are any code
        return {}


def by_hint(given: object, hint: Any, current: object, convert: Convert) -> object:
    """Return `given` as a value that an annotation allows.

    Args:
        given: what a reply has.
        hint: the annotation. One that isn't known leaves the decision to the present value.
        current: the present value.
        convert: converts to the type of an example.

    Raises:
        ProposalError: with a reason that says what was expected.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _limited(by_hint(given, args[0], current, convert), args[1:])
    if origin is Literal:
        return _literal(given, args)
    if origin in (Union, types.UnionType):
        return _one_of(given, args, current, convert)
    if origin in (list, set, frozenset, tuple, dict):
        return _filled(given, hint, current, convert)
    kind = _class_of(hint)
    if kind is not None and not isinstance(current, kind):
        return _new(given, kind, convert)
    return convert(given, current)


def _class_of(hint: Any) -> type | None:
    """Return the class that an annotation is; ``list[int]`` and ``Any`` are none, on any Python."""
    plain = isinstance(hint, type) and get_origin(hint) is None and hint is not Any
    return cast("type", hint) if plain else None


def _filled(given: object, hint: Any, current: object, convert: Convert) -> object:
    """Return a collection, each item as the annotation has it."""
    kind, args = get_origin(hint), get_args(hint)
    if kind is dict:
        return _mapping(given, args, current, convert)
    items = cast("Any", convert(given, current if isinstance(current, kind) else kind()))
    if kind is tuple and args[1:] != (...,):
        return cast("object", items)
    example = next(iter(cast("Any", current) or ()), None)
    made = [by_hint(item, args[0], example, convert) for item in items]
    try:
        return cast("object", kind(made))
    except TypeError:
        message = f"expected a {kind.__name__} of items that can be hashed"
        raise ProposalError(message) from None


def _limited(value: object, limits: tuple[Any, ...]) -> object:
    """Check the limits of ``Annotated``, as the package annotated-types and pydantic have them."""
    for limit in limits:
        for name, words, holds in _LIMITS:
            bound = getattr(limit, name, None)
            if bound is not None and not holds(value, bound):
                message = f"expected a value {words} {bound}, got {value!r}"
                raise ProposalError(message)
    return value


def _literal(given: object, choices: tuple[Any, ...]) -> object:
    text = str(given).strip().strip("'\"")
    readings = (
        [choice for choice in choices if type(choice) is type(given) and choice == given],
        [choice for choice in choices if isinstance(given, str) and str(choice) == text],
        [choice for choice in choices if str(choice).casefold() == text.casefold()],
    )
    for found in readings:
        if len(found) == 1:
            return cast("object", found[0])
    message = f"expected one of {', '.join(map(repr, choices))}, got {given!r}"
    raise ProposalError(message)


def _one_of(given: object, kinds: tuple[Any, ...], current: object, convert: Convert) -> object:
    """Return the value as the first kind that takes it; those that fit as it is come first."""
    empty = given is None or (
        isinstance(given, str) and given.strip().casefold() in {"none", "null"}
    )
    if empty and type(None) in kinds:
        return None
    left = [kind for kind in kinds if kind is not type(None)]

    def order(kind: Any) -> tuple[bool, bool]:
        plain = _class_of(get_origin(kind) or kind)
        if plain is None:
            return True, True
        return type(given) is not plain, not isinstance(current, plain)

    refused: list[str] = []
    for kind in sorted(left, key=order):
        try:
            return by_hint(given, kind, current, convert)
        except ProposalError as error:
            refused.append(error.reason)
    raise ProposalError("; or ".join(dict.fromkeys(refused)))


def _mapping(given: object, args: tuple[Any, ...], current: object, convert: Convert) -> object:
    known = cast("dict[object, object]", current if isinstance(current, dict) else {})
    entries = cast("Mapping[object, object]", convert(given, known))
    example = next(iter(known.values()), None)
    return {
        by_hint(key, args[0], key, convert): by_hint(
            item, args[1], known.get(key, example), convert
        )
        for key, item in entries.items()
    }


def _new(given: object, kind: type, convert: Convert) -> object:
    """Return a value of a class of which none is there yet."""
    example = next((value for known, value in _EXAMPLES if kind is known), None)
    if example is not None:
        return convert(given, example)
    if isinstance(given, kind):
        return given
    if issubclass(kind, enum.Enum):
        return convert(given, next(iter(kind)))
    if dataclasses.is_dataclass(kind):
        return _made(convert(given, {}), kind, convert)
    validate = getattr(kind, "model_validate", None)
    if validate is not None:
        try:
            return cast("object", validate(convert(given, {})))
        except ValueError as error:  # pydantic's own is one
            raise ProposalError(f"{kind.__name__} refuses these fields: {error}") from error
    message = f"expected a {kind.__qualname__}, got {type(given).__name__}: {str(given)[:80]}"
    raise ProposalError(message)


def _made(entries: Any, kind: Any, convert: Convert) -> object:
    hints = hints_of(kind)
    fields = {item.name for item in dataclasses.fields(kind) if item.init}
    if unknown := [key for key in entries if key not in fields]:
        message = f"expected one of the fields {', '.join(sorted(fields))}, got {unknown[0]!r}"
        raise ProposalError(message)
    try:
        return cast(
            "object",
            kind(**{k: by_hint(v, hints.get(k, Any), None, convert) for k, v in entries.items()}),
        )
    except ProposalError:
        raise
    except Exception as error:  # the class's own check of its fields
        message = f"{kind.__name__} refuses these fields: {error}"
        raise ProposalError(message) from error
