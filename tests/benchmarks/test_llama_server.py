from __future__ import annotations

import pytest

from benchmarks.llama_server import with_loads_that_read

KERNELS = """\
#include "quants.h"
#include "ggml-quants.h"
#include <algorithm>
    alignas(64) tile_config_t tc = {};
    _tile_loadconfig(&tc);
"""


def test_the_kernels_are_mended_after_their_includes_and_before_the_configuration() -> None:
    lines = with_loads_that_read(KERNELS).splitlines()
    assert lines.index('#include "ggml-quants.h"') + 1 == lines.index(
        "#if defined(__AMX_INT8__) && defined(__GNUC__) && !defined(__clang__)"
    )
    assert lines[-2:] == [
        '    __asm__ volatile("" :: "m"(tc) : "memory");',
        "    _tile_loadconfig(&tc);",
    ]
    assert set(KERNELS.splitlines()) <= set(lines)


def test_other_sources_are_refused() -> None:
    with pytest.raises(SystemExit, match="isn't as expected"):
        with_loads_that_read(KERNELS * 2)
