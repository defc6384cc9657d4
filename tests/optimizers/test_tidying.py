from __future__ import annotations

import pytest

from opto.errors import ProposalError
from opto.optimizers.tidying import tidied

OLD = 'def f(xs):\n    """Add.\n\n    Up.\n    """\n    return 1'


def test_the_docstring_comes_back_and_calls_go() -> None:
    reply = "import math\n\ndef f(xs):\n    return sum(xs)\n\nprint(f([1]))\nf([2])\n"
    new = 'def f(xs):\n    """Add.\n\n    Up.\n    """\n    return sum(xs)'
    assert tidied(reply, OLD) == f"import math\n{new}"


def test_an_own_docstring_stays() -> None:
    reply = 'def f(xs):\n    """Mine."""\n    return 2'
    assert tidied(f"```python\n{reply}\n```", OLD) == reply


def test_without_an_old_docstring_nothing_is_added() -> None:
    assert tidied("def f(xs):\n    return 2", "def f(xs):\n    return 1") == (
        "def f(xs):\n    return 2"
    )


def test_one_line_has_no_room_for_it() -> None:
    assert tidied("def f(xs): return 2", OLD) == "def f(xs): return 2"


def test_decorators_helpers_and_indented_code() -> None:
    helper = "@cache\ndef g(x):\n  return x"
    reply = f"{helper}\n\ndef f(xs):\n  @cache\n  def h():\n    return 1\n  return h"
    found = tidied(reply, OLD)
    assert found.startswith("@cache\ndef g(x):\n  return x\ndef f(xs):\n  ")
    assert '  """Add.' in found
    assert found.endswith("  @cache\n  def h():\n    return 1\n  return h")
    compile(found, "x", "exec")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("def f(self, x): return 1", "def f(x): return 2", "def f(self, x): return 2"),
        ("def f(self): return 1", "def f(): return 2", "def f(self): return 2"),
        ("def f(self, x): return 1", "def f(self, x): return 2", "def f(self, x): return 2"),
        ("def f(self, x): return 1", "def f(y): return 2", "def f(y): return 2"),
    ],
)
def test_a_method_gets_its_self_back(old: str, new: str, found: str) -> None:
    assert tidied(new, old) == found


def test_of_two_versions_the_last_stays() -> None:
    first, helper, last = (
        "def f(xs):\n    return 1",
        "def g(x):\n    return x",
        "def f(xs): return 2",
    )
    assert tidied(f"{first}\n\n{helper}\n\n{last}", OLD) == f"{helper}\n{last}"


def test_two_versions_stay_where_the_first_may_be_used() -> None:
    text = "def f(xs): return 1\nold = f\ndef f(xs): return old(xs) + 1"
    assert tidied(text, OLD) == text


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(ProposalError, match="not valid Python"):
        tidied("def f(:", OLD)
