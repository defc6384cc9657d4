"""Facts of a call, put together when somebody asks."""

from __future__ import annotations

import inspect
from typing import Any

from opto.trace.failures import Failure
from opto.trace.ops import Op


def call_info(node: Any) -> dict[str, Any]:
    """Return what is known of the call that made `node`.

    Keys: fun, fun_name, _fun_name, doc, signature, source, line_number, file (of the function; None
    where there is none), inputs (``{"args": [...], "kwargs": {...}}`` as the function received
    them), output (what it returned, a node if it returned one), external_dependencies, and for a
    failed call error_comment and traceback.
    """
    op: Op = node._op
    extra: dict[str, Any] = node._extra or {}
    facts = dict(op.about) if op.about is not None else _of_operator(op.function)
    facts["fun_name"] = op.fun_name
    facts.setdefault("_fun_name", op.fun_name)
    received: tuple[Any, Any] | None = extra.get("received")
    if received is None:
        values = [parent._data for parent in node._inputs if not getattr(parent, "is_code", False)]
        received = (values, {})
    facts["inputs"] = {"args": list(received[0]), "kwargs": dict(received[1])}
    facts["output"] = extra.get("output", node._data)
    facts["external_dependencies"] = list(extra.get("external", ()))
    failure: Failure | None = extra.get("failure")
    facts["error_comment"] = None if failure is None else failure.comment()
    facts["traceback"] = None if failure is None else failure.report()
    return facts


def _of_operator(function: Any) -> dict[str, Any]:
    return {
        "fun": function,
        "doc": inspect.getdoc(function),
        "signature": None,
        "source": None,
        "line_number": None,
        "file": None,
    }
