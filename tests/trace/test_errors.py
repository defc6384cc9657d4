from __future__ import annotations

from opto import errors
from opto.trace import errors as ours


def test_they_are_those_of_the_package() -> None:
    assert ours.ExecutionError is errors.ExecutionError
    assert ours.TraceMissingInputsError is errors.TraceMissingInputsError
    assert sorted(ours.__all__) == ["ExecutionError", "TraceMissingInputsError"]
