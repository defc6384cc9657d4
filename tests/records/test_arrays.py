from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from opto.errors import NotPlainData, ParameterFileError
from opto.records import arrays
from opto.records.values import Writer
from tests.records.helpers import one
from tests.records.test_values import there_and_back

KINDS = st.one_of(
    arrays_of.boolean_dtypes(),
    arrays_of.integer_dtypes(endianness="?"),
    arrays_of.unsigned_integer_dtypes(endianness="?"),
    arrays_of.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    arrays_of.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    arrays_of.unicode_string_dtypes(max_len=5),
    arrays_of.byte_string_dtypes(max_len=5),
    arrays_of.datetime64_dtypes(),
)
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@given(arrays_of.arrays(KINDS, SHAPES))
def test_arrays_come_back_to_the_bit(value: Any) -> None:
    found = there_and_back(value)

    assert type(found) is np.ndarray
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    assert found.tobytes() == value.tobytes()
    assert found.flags.writeable


@given(
    KINDS.filter(lambda kind: kind.kind not in "SU").flatmap(
        lambda kind: arrays_of.arrays(kind, (1,))
    )
)
def test_scalars_come_back_to_the_bit(row: Any) -> None:
    value = row[0]
    found = there_and_back(value)

    assert type(found) is type(value)
    assert found.tobytes() == value.tobytes()


def test_numbers_can_be_read_in_a_diff() -> None:
    value = np.array([[0.1, 2.0], [3.5, -0.0]], dtype="<f4")

    assert Writer().lines(value) == ['array "<f4" 2 2', "  0.1 2.0", "  3.5 -0.0"]
    assert Writer().lines(np.float64(0.1)) == ['scalar "<f8"', "  0.1"]
    assert Writer().lines(np.array([True])) == ['array-bytes "|b1" 1', "  01"]


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.str_("x"),
        np.zeros(1, dtype="i4,i4"),
        np.ma.masked_array([1], mask=[True]),
        np.rec.array([(1,)], dtype=[("a", int)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_arrays_of_objects_and_kinds_of_arrays_are_refused(value: Any) -> None:
    with pytest.raises(NotPlainData, match="numpy"):
        Writer().lines(value)


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        ("array", []),
        ('array "|O" 1', ["1"]),
        ('array "<f8" 999999999999 999999999999', ["1.0"]),
        ('array "<f8" 2', ["1.0"]),
        ('array "<f8" 2', ["1.0 x"]),
        ('array "<f8" 1', ["1"]),
        ('array "|i1" 1', ["300"]),
        ('array "<U3" 1', ["abc"]),
        ('array "<f8,<f8" 1', ["1.0"]),
        ('array-bytes "<f8" 1', ["00"]),
        ('array-bytes "<f8" 999999999999', []),
        ('array-bytes "<U99999999" 1', []),
    ],
)
def test_what_is_no_array_is_refused(head: str, rows: list[str]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        arrays.value(head, rows)


def test_reading_needs_numpy_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one(np.zeros(2)).save(tmp_path / "x.txt")
    monkeypatch.setitem(sys.modules, "numpy", None)

    with pytest.raises(ParameterFileError, match="pip install numpy"):
        one(0).load(tmp_path / "x.txt")


def test_numpy_is_loaded_for_arrays_alone(tmp_path: Path) -> None:
    text = """
import sys
from opto.trace import Module, node
m = Module()
m.x = node([1.5, {"a": None}], trainable=True)
m.save("x.txt"); m.load("x.txt")
print("numpy" in sys.modules)
"""
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
