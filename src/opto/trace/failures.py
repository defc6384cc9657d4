"""What is kept of an exception, and how it is shown.

Kept are names and line numbers, never frames: those would hold every local variable of the failed
call. Sources are read when somebody asks for the text.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import textwrap
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from opto.errors import ExecutionError, InvalidArgument
from opto.trace.evidence import with_values
from opto.trace.ops import Op
from opto.trace.source import pick_definition

# Frames of what runs code are of no interest to who reads about the code.
# (`os.path`, since importing `pathlib` takes 7 ms.)
_ROOT = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
_HERE = tuple(f"{_ROOT}{os.sep}{name}{os.sep}" for name in ("trace", "execution"))
_TEXT_LIMIT = 100_000
_new = tuple.__new__  # of a named tuple: a third of the time


class Step(NamedTuple):
    """One call on the way to an exception.

    Attributes:
        file: name of the file of the code.
        name: name of the function.
        first: line at which the function starts.
        line: line that ran.
    """

    file: str
    name: str
    first: int
    line: int


class Failure(NamedTuple):
    """The facts of an exception.

    Attributes:
        kind: name of its class, without the module.
        qualified: the same, module-qualified unless it is a builtin.
        message: its text, bounded.
        first: text of its first argument ("" if it has none).
        steps: the calls between the operation and the place of the exception, outermost first,
            ours left out.
        sources: texts of files that exist in memory alone, by file name.
        notes: what was added to the exception (``__notes__``, as `BaseException.add_note` makes).
    """

    kind: str
    qualified: str
    message: str
    first: str
    steps: tuple[Step, ...]
    sources: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """``(<type>) <message>``."""
        return f"({self.qualified}) {self.message}"

    @property
    def summary(self) -> str:
        """``(<type>) <first argument>.``, the last line of the annotated source."""
        return f"({self.kind}) {self.first}." if self.first else f"({self.kind})."

    def report(self) -> str:
        """Return the traceback as Python prints it."""
        lines = ["Traceback (most recent call last):\n"]
        for step in self.steps:
            lines.append(f'  File "{step.file}", line {step.line}, in {step.name}\n')
            text = _line(step.file, step.line, self.sources)
            lines.extend([f"    {text}\n"] if text else [])
        last = f"{self.qualified}: {self.message}" if self.message else self.qualified
        return "\n".join(["".join([*lines, last]), *self.notes])

    def comment(self) -> str:
        """Return the source of each call with the failing line marked, outermost first."""
        blocks: list[tuple[list[str], int]] = []
        for step in self.steps:
            source = _block(step, self.sources)
            if source is None:
                break
            lines, first = source
            blocks.append((lines, step.line - first))
        marked: list[str] = []
        for number, (lines, index) in enumerate(blocks):
            innermost = number == len(blocks) - 1
            mark = self.summary if innermost else "Error raised in function call. See below."
            shown = list(lines)
            if 0 <= index < len(shown):
                shown[index] = f"{shown[index]} <--- {mark}"
            marked.append("\n".join(shown))
        return "\n\n".join([*marked, *self.notes, self.summary])


def failure_of(error: BaseException, sources: Mapping[str, str] | None = None) -> Failure:
    """Return the facts of `error`; for an `ExecutionError` those of what happened inside."""
    sources = sources or {}
    steps = _steps(error)
    if isinstance(error, SyntaxError) and error.filename in sources:
        steps = (Step(error.filename or "", "<module>", 1, error.lineno or 1),)
    if isinstance(error, ExecutionError):
        inner = error.exception_node._failure
        if inner is not None:
            merged = {**inner.sources, **sources}
            return inner._replace(steps=steps + inner.steps, sources=merged)  # type: ignore[no-any-return]  # a Failure
    kind = type(error)
    qualified = kind.__qualname__
    if kind.__module__ not in {"builtins", None}:
        qualified = f"{kind.__module__}.{qualified}"
    first = _text(error.args[0]) if error.args else ""
    notes = tuple(map(str, getattr(error, "__notes__", ())))
    return Failure(kind.__name__, qualified, _text(error), first, steps, sources, notes)


def explained(failure: Failure, op: Op, inputs: Sequence[Any]) -> Failure:
    """Return the failure of a call of proposed code with what it was given, and a place in it."""
    names = zip(op.arguments, inputs, strict=False)
    given = [(name, node._data) for name, node in names if not getattr(node, "is_code", False)]
    notes = with_values(failure.notes, given, failure.sources)
    return _located(failure, op.function)._replace(notes=notes)


def _located(failure: Failure, function: Any) -> Failure:
    """Return the failure of a call of code in memory with a place in that code.

    One whose arguments don't fit fails before a line ran: its place is where the function starts.
    """
    if any(step.file in failure.sources for step in failure.steps):
        return failure
    file, text = next(iter(failure.sources.items()))
    name = str(getattr(function, "__name__", ""))
    definition = pick_definition(ast.parse(text), name)
    line = 1 if definition is None else definition.lineno
    return failure._replace(steps=(*failure.steps, Step(file, name, line, line)))


def _steps(error: BaseException) -> tuple[Step, ...]:
    steps: list[Step] = []
    entry = error.__traceback__
    while entry is not None:
        code = entry.tb_frame.f_code
        file = code.co_filename
        if not file.startswith(_HERE):
            place = (file, code.co_name, code.co_firstlineno, entry.tb_lineno)
            steps.append(_new(Step, place))
        entry = entry.tb_next
    return tuple(steps)


def _text(value: object) -> str:
    try:
        return str(value)[:_TEXT_LIMIT]
    except Exception as error:  # noqa: BLE001 - the text of a foreign object; its failure is the text
        return f"<unprintable {type(value).__name__}: {type(error).__name__} in __str__>"


def _line(filename: str, number: int, sources: Mapping[str, str]) -> str:
    if filename in sources:
        lines = sources[filename].splitlines()
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return linecache.getline(filename, number).strip()


def _block(step: Step, sources: Mapping[str, str]) -> tuple[list[str], int] | None:
    """Return the lines of the function and the number of the first, or None if there are none."""
    text = sources.get(step.file)
    if text is not None:
        return text.splitlines(), 1
    lines = linecache.getlines(step.file)
    if not 0 < step.first <= len(lines):
        return None
    if step.name == "<module>":
        return [line.rstrip("\n") for line in lines], 1
    block = inspect.getblock(lines[step.first - 1 :])
    return textwrap.dedent("".join(block)).splitlines(), step.first


class Failed:
    """What a node knows of the exception that it stands for."""

    __slots__ = ()

    _data: Any
    _extra: dict[str, Any] | None

    @property
    def _failure(self) -> Failure | None:
        return (self._extra or {}).get("failure")

    @property
    def _cause(self) -> type[BaseException]:
        """The type of the original exception."""
        cause: type[BaseException] = (self._extra or {}).get("cause", Exception)
        return cause

    @property
    def exception_text(self) -> str:
        """``(<type>) <message>``."""
        return str(self._data)

    @property
    def exception_report(self) -> str:
        """The traceback of the exception, formatted."""
        return self.exception_text if self._failure is None else self._failure.report()

    def create_feedback(self, style: Literal["simple", "full"] = "simple") -> str:
        """Return the failure as feedback.

        Args:
            style: "simple" for ``(<type>) <message>``, "full" for the source with the failing line
                marked.
        """
        if style not in {"simple", "full"}:
            message = f"style must be 'simple' or 'full', not {style!r}"
            raise InvalidArgument(message)
        full = style == "full" and self._failure is not None
        return self._failure.comment() if full and self._failure else self.exception_text

    def as_error(self, original: BaseException | None = None) -> ExecutionError:
        """Return the error to raise: an instance of the original exception's type too.

        Args:
            original: the exception; what it knows beside its message is copied.
        """
        kind = error_class(self._cause)  # type: ignore[arg-type]  # types are hashable
        try:
            error = kind(self)
        except TypeError:  # made in a way of its own, as exception groups are
            return ExecutionError(self)
        if original is not None and kind is not ExecutionError:
            for name in _fields(self._cause):  # type: ignore[arg-type]  # types are hashable
                setattr(error, name, getattr(original, name, None))
            for name, value in vars(original).items():
                error.__dict__.setdefault(name, value)
        return error


@lru_cache(maxsize=256)
def error_class(cause: type[BaseException]) -> type[ExecutionError]:
    """Return the class to raise for an exception of type `cause`: an `ExecutionError` and that.

    It is plain `ExecutionError` where Python forbids the combination, and for the exceptions by
    which iterators end.
    """
    if not issubclass(cause, Exception) or issubclass(cause, (StopIteration, StopAsyncIteration)):
        return ExecutionError
    try:
        made = type("ExecutionError", (ExecutionError, cause), {})
    except TypeError:
        return ExecutionError
    made.__module__ = ExecutionError.__module__
    return made


@lru_cache(maxsize=256)
def _fields(cause: type[BaseException]) -> tuple[str, ...]:
    """Return the names of what an exception keeps outside its ``__dict__`` and ``args``."""
    return tuple(
        name
        for base in cause.__mro__
        for name, member in vars(base).items()
        if inspect.ismemberdescriptor(member) and base not in {Exception, BaseException}
    )
