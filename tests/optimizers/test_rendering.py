from __future__ import annotations

from opto.optimizers.optoprime import EXAMPLE
from opto.optimizers.problem import Entry
from opto.optimizers.prompts import Prompts
from opto.optimizers.rendering import SYMBOLS, constraints_text, instance_of, values_text

TEMPLATE = Prompts().text("optoprime.problem")


def test_values_are_written_as_the_original_does() -> None:
    entries = {
        "x0": Entry(1, "odd", "int"),
        "s0": Entry("text", None, "str"),
        "__code0": Entry("def f():\n    return 1", "keep the name", "code"),
    }
    assert (
        values_text(entries) == "(int) x0=1\n(str) s0=text\n(code) __code0:def f():\n    return 1"
    )
    assert constraints_text(entries) == "(int) x0: odd\n(code) __code0: keep the name"


def test_the_sections_in_their_order() -> None:
    text = str(instance_of(EXAMPLE, objective="Do it.", template=TEMPLATE, limit=100))
    titles = [line for line in text.splitlines() if line.startswith("#")]
    assert titles == list(SYMBOLS.values())
    assert "#Instruction\nDo it.\n\n#Code\nadd0 = add(x=a0, y=b0)\n" in text


def test_masked_sections_are_empty() -> None:
    instance = instance_of(
        EXAMPLE, objective="Do it.", template=TEMPLATE, limit=100, mask=["#Inputs", "code"]
    )
    assert instance.inputs == instance.code == ""
    assert instance.variables == "(int) a0=5"


def test_dollars_in_values_are_no_placeholders() -> None:
    text = str(instance_of(EXAMPLE, objective="Pay $feedback.", template=TEMPLATE, limit=100))
    assert "Pay $feedback." in text
