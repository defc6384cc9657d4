from __future__ import annotations

import pytest

from opto.errors import InvalidArgument
from opto.optimizers.buffers import FIFOBuffer


@pytest.mark.parametrize(
    ("size", "kept"), [(0, []), (2, [3, 4]), (9, [1, 2, 3, 4]), (None, [1, 2, 3, 4])]
)
def test_the_last_items_are_kept(size: int | None, kept: list[int]) -> None:
    buffer: FIFOBuffer[int] = FIFOBuffer(size)
    for item in range(1, 5):
        buffer.add(item)
    assert list(buffer) == kept
    assert len(buffer) == len(kept)
    buffer.clear()
    assert list(buffer) == []


def test_a_negative_size() -> None:
    with pytest.raises(InvalidArgument, match="-1"):
        FIFOBuffer(-1)


def test_adding_while_reading() -> None:
    buffer: FIFOBuffer[int] = FIFOBuffer(3)
    buffer.add(1)
    for item in buffer:
        buffer.add(item + 1)
    assert list(buffer) == [1, 2]
