"""Every exception that opto raises.

    OptoError
    ├── UsageError (ValueError)                  a call that can't be right, whatever the data
    │   ├── WrongType (TypeError, AssertionError)
    │   ├── InvalidArgument (AssertionError)
    │   ├── UnknownName (KeyError)               a name that no registry knows
    │   ├── SourceNotFound (OSError)             trainable code whose text Python can't find
    │   ├── NotPlainData (TypeError)             a value for no other process, nor for a file
    │   ├── ParameterFileError (AssertionError)  a file of parameters is damaged or doesn't fit
    │   ├── CannotIsolate (RuntimeError)         code can't be run in a process of its own
    │   └── MissingExtra (ImportError)           an optional dependency isn't installed
    ├── GraphError
    │   ├── AlreadyPropagated (AttributeError)   backward over a consumed graph
    │   ├── PropagationError (ValueError)        a propagator broke its contract
    │   └── TraceMissingInputsError              a bundle read a node that isn't among its inputs
    ├── ExecutionError                           traced code raised; carries the exception node
    ├── CodeFailed                               code in a process of its own raised or was ended
    ├── MalformedMessage (ValueError)            another process sent what is no message
    ├── ProposalError                            a model's reply that can't be used; carries it
    ├── StoreUnusable (OSError)                  a file of stored replies can't be used
    └── ModelError                               a call of a language model failed
        ├── NoModel                              none is configured
        ├── WeightsError                         local weights are missing or wrong
        ├── RateLimited
        ├── QuotaExceeded
        ├── AuthenticationFailed
        ├── ContextTooLong
        ├── BadRequest
        ├── ContentFiltered
        ├── ServerError
        ├── Timeout (TimeoutError)
        ├── Disconnected (ConnectionError)
        ├── BadResponse
        │   └── OversizedResponse
        ├── MismatchedReply                      a reply that isn't what the schema asks for
        ├── CircuitOpen                          the model failed too often; it isn't asked for now
        ├── NotRecorded                          a call that the recording doesn't have
        └── BudgetExceeded

Some classes also derive from a builtin, because that is what the callers of the original catch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol


class OptoError(Exception):
    """Root of all errors of this library."""


# ---- usage ---------------------------------------------------------------------------------------


class UsageError(OptoError, ValueError):
    """The call is wrong; the message says what was given, what was expected and what to do."""


class WrongType(UsageError, TypeError, AssertionError):
    """An argument of the wrong type (an ``AssertionError`` too, as the original raised)."""


class InvalidArgument(UsageError, AssertionError):
    """An argument whose value can't be used (an ``AssertionError`` too, as the original raised)."""


class UnknownName(UsageError, KeyError):
    """A name that isn't registered.

    Attributes:
        name: the name asked for.
        known: the names there are.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        listed = ", ".join(self.known) or "none"
        super().__init__(f"unknown {kind}: {name!r}; known: {listed}")

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, str, tuple[str, ...]]]:
        return type(self), (self.kind, self.name, self.known)


class SourceNotFound(UsageError, OSError):
    """The source text of a function is needed and can't be found."""


class MissingExtra(UsageError, ImportError):
    """An optional dependency isn't installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra, self.purpose = package, extra, purpose
        super().__init__(
            f"{purpose} needs the package {package!r}, which isn't installed; "
            f"run: pip install 'trace-opt[{extra}]'"
        )

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str, str]]:
        return type(self), (self.package, self.extra, self.purpose)


# ---- graph ---------------------------------------------------------------------------------------


class GraphError(OptoError):
    """The graph can't be walked as asked."""


class AlreadyPropagated(GraphError, AttributeError):
    """Feedback was already propagated through this part of the graph without ``retain_graph``."""


class PropagationError(GraphError, ValueError):
    """A propagator returned something that isn't feedback for the node's parents."""


class TraceMissingInputsError(GraphError):
    """A bundled function read a node that isn't among its inputs.

    Attributes:
        message: the text of the error.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# ---- execution -----------------------------------------------------------------------------------


class FailedOperation(Protocol):
    """What an ``ExecutionError`` needs of the node it carries."""

    @property
    def exception_text(self) -> str:
        """``(<type>) <message>`` of the exception."""
        ...

    @property
    def exception_report(self) -> str:
        """The traceback of the exception, formatted."""
        ...


class ExecutionError(OptoError):
    """Traced code raised an exception.

    The instance raised is also an instance of the original exception's type where Python allows
    that, so ``except KeyError`` works on traced code as on plain code.

    Attributes:
        exception_node: the node that stands for the failed operation; call ``backward`` on it.
    """

    exception_node: Any

    def __init__(self, exception_node: FailedOperation) -> None:
        Exception.__init__(self, exception_node.exception_text)
        self.args = (exception_node.exception_text,)
        self.exception_node = exception_node

    def __str__(self) -> str:
        return f"\n\n{self.exception_node.exception_report}"

    def __reduce__(self) -> tuple[Any, ...]:
        return self.exception_node.as_error, ()


class NotPlainData(UsageError, TypeError):
    """A value isn't plain data, or too much of it: no process or file can be given it."""


class ParameterFileError(UsageError, AssertionError):
    """A file of parameters can't be read, or doesn't fit; no parameter was changed."""


class CannotIsolate(UsageError, RuntimeError):
    """Code can't be run in a process of its own; it was not run at all.

    Attributes:
        offenders: a line for each name that can't cross: the name, what it is, what to do.
        by_machine: whether it is this machine that can't do it, whatever the code.
    """

    def __init__(
        self, reason: str, offenders: Iterable[str] = (), *, by_machine: bool = False
    ) -> None:
        self.reason, self.offenders, self.by_machine = reason, tuple(offenders), by_machine
        super().__init__("\n  - ".join([reason, *self.offenders]))

    def __reduce__(self) -> tuple[Any, ...]:
        return _cannot_isolate, (self.reason, self.offenders, self.by_machine)


def _cannot_isolate(reason: str, offenders: Iterable[str], by_machine: object) -> CannotIsolate:
    return CannotIsolate(reason, offenders, by_machine=bool(by_machine))


class CodeFailed(OptoError):
    """Code in a process of its own raised an exception of no builtin type, or was ended.

    What is raised is of a subclass that bears the name of that exception.
    """


class MalformedMessage(OptoError, ValueError):
    """Another process sent bytes that are no message, or one over a limit."""


# ---- proposals -----------------------------------------------------------------------------------


class ProposalError(OptoError):
    """A model's reply that doesn't contain a usable proposal; no parameter was changed.

    Attributes:
        reply: the text of the reply.
        reason: why it can't be used, in words that a model can learn from.
        reasons: the same, each of several replies apart.
    """

    def __init__(self, reason: str, *, reply: str = "", reasons: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason, self.reply = reason, reply
        self.reasons = reasons or (reason,)

    def __reduce__(self) -> tuple[Any, ...]:
        return _proposal_error, (self.reason, self.reply, self.reasons)


def _proposal_error(reason: str, reply: str, reasons: tuple[str, ...]) -> ProposalError:
    return ProposalError(reason, reply=reply, reasons=reasons)


# ---- stores --------------------------------------------------------------------------------------


class StoreUnusable(OptoError, OSError):
    """A file of stored replies can't be used; nothing in it was changed."""


# ---- models --------------------------------------------------------------------------------------


class ModelError(OptoError):
    """A call of a language model failed.

    Attributes:
        provider: which back end was called ("" if none was).
        model: the name of the model.
        attempts: how many requests were made.
        request_id: the provider's id of the last request, if it sent one.
        retry_after: seconds after which the provider advises to try again, if it said so.
        status: the HTTP status, if there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        attempts: int = 0,
        request_id: str | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.provider, self.model, self.attempts = provider, model, attempts
        self.request_id, self.retry_after, self.status = request_id, retry_after, status

    def __reduce__(self) -> tuple[Any, ...]:
        return _model_error, (type(self), self.args, self.__dict__)


def _model_error(
    kind: type[ModelError], args: tuple[Any, ...], state: dict[str, Any]
) -> ModelError:
    error = kind(*args)
    error.__dict__.update(state)
    return error


class NoModel(ModelError):
    """No language model is configured; the message lists the ways to get one."""


class WeightsError(ModelError):
    """Local weights are missing, can't be fetched, or don't match their checksum."""


class RateLimited(ModelError):
    """The provider refuses for now (429)."""


class QuotaExceeded(ModelError):
    """The account's quota is used up; trying again won't help."""


class AuthenticationFailed(ModelError):
    """The provider refuses the key."""


class ContextTooLong(ModelError):
    """The prompt doesn't fit into the model's context."""


class BadRequest(ModelError):
    """The provider refuses the request as it stands (an unknown model or option, say)."""


class ContentFiltered(ModelError):
    """The provider refused to answer, or the model did."""


class ServerError(ModelError):
    """The provider failed (5xx)."""


class Timeout(ModelError, TimeoutError):
    """No answer within the total deadline."""


class Disconnected(ModelError, ConnectionError):
    """The connection could not be made or broke."""


class BadResponse(ModelError):
    """The answer isn't a chat completion."""


class OversizedResponse(BadResponse):
    """The answer is longer than the limit that was set; it was cut off."""


class MismatchedReply(ModelError):
    """A model's reply that isn't what the schema asks for, the second time, too.

    Attributes:
        reply: the text of the reply.
    """

    def __init__(self, message: str, *, reply: str = "", **about: Any) -> None:
        super().__init__(message, **about)
        self.reply = reply


class CircuitOpen(ModelError):
    """The model failed too often lately, so it was not asked."""


class NotRecorded(ModelError):
    """The recording that is replayed has no answer to the call, so it was not made."""


class BudgetExceeded(ModelError):
    """The call would cross a limit that was set, so it was not made."""
