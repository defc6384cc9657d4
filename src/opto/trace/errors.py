"""The errors of tracing, under the path that users import."""

from opto.errors import ExecutionError as ExecutionError
from opto.errors import TraceMissingInputsError as TraceMissingInputsError

__all__ = ["ExecutionError", "TraceMissingInputsError"]
