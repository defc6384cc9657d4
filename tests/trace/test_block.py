from __future__ import annotations

import ast
import textwrap

from hypothesis import given
from hypothesis import strategies as st

from opto.trace.block import block_at


def block(text: str, start: int = 0) -> str | None:
    found = block_at(textwrap.dedent(text).splitlines(keepends=True), start)
    return None if found is None else found[0]


BODIES = st.lists(
    st.sampled_from(
        [
            "x = 1",
            "x = '''a\nb\n'''",
            'x = """\ndef g():\n    return 1\n"""',
            "x = [\n1,\n2,\n]",
            "x = (1 +\n  2)",
            "# a comment",
            "if x:\n        y = 1\n    else:\n        y = 2",
            "def inner():\n        return 1",
            "return x",
            "",
            "x = f('''\n)''')",
        ]
    ),
    min_size=1,
    max_size=6,
)


@given(BODIES, st.integers(0, 2), st.booleans())
def test_a_definition_is_found_whole(body: list[str], depth: int, decorated: bool) -> None:
    inner = "\n".join(f"    {line}" for line in ["z = 0", *body])
    head = "@deco(\n1)\n" if decorated else ""
    text = f"{head}def f(\n    a,\n    b=(1,\n2)):\n{inner}"
    one_file = [*text.splitlines(), "", "after = 1"]
    if "'''" in text or '"""' in text:
        depth = 0  # what stands in a text can't be moved
    lines = [f"{'    ' * depth}{line}\n" if line else "\n" for line in one_file]
    if depth:
        lines = [f"{'    ' * level}if True:\n" for level in range(depth)] + lines

    found = block_at(lines, depth)

    assert found is not None
    source, definition = found
    assert definition.name == "f"
    tree = ast.parse(source).body
    assert len(tree) == 1
    expected = ast.parse(text).body[0]
    assert ast.dump(tree[0]) == ast.dump(expected)


def test_comments_belong_to_the_block_they_are_indented_with() -> None:
    text = """\
        def f():
            x = 1
            # the end of f
        # about g
        def g(): pass
        """

    assert block(text) == "def f():\n    x = 1\n    # the end of f\n"


def test_the_last_lines_of_a_file() -> None:
    assert block("def f():\n    return 1") == "def f():\n    return 1"
    assert block("async def f(): pass") == "async def f(): pass"


def test_what_is_no_definition() -> None:
    assert block("f = lambda: 1\n") is None
    assert block("class A:\n    pass\n") is None
    assert block("def f(:\n") is None
    assert block("@deco\nx = 1\n") is None


def test_a_broken_file_is_given_up() -> None:
    text = "def f(\n" + "x\n" * 200

    assert block(text) is None
