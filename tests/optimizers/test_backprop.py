from __future__ import annotations

from opto.optimizers.backprop import MOST_ASKED, Gradients, backward_waves
from opto.optimizers.problem import Entry, Problem, Step


def test_gradients() -> None:
    gradients = Gradients([("a", "one"), ("a", " one "), ("b", "")])
    assert gradients.text("a") == "one"
    assert gradients.text("b") == gradients.text("c") == ""
    gradients.add("a", "two")
    assert gradients.of("a") == ["one", "two"]
    assert gradients.text("a") == "- one\n- two"
    gradients.replace("a", ["three", " ", "four "])
    assert gradients.of("a") == ["three", "four"]
    gradients.replace("a", [""])
    assert gradients.of("a") == ["three", "four"], "an empty summary doesn't lose the feedback"


def test_waves_go_from_consumers_to_producers() -> None:
    steps = (
        Step(1, "p", "f", (("x", "v"),)),
        Step(1, "q", "f", (("x", "v"), ("y", "v"))),
        Step(1, "k", "f", (("x", "i"),)),
        Step(2, "r", "g", (("x", "p"), ("y", "q"), ("z", "k"))),
    )
    problem = Problem(steps, {}, {"v": Entry(1)}, {"i": Entry(1)}, {}, {"r": Entry(1)}, ())
    waves = [[(way.step.output, way.inputs) for way in wave] for wave in backward_waves(problem)]
    assert waves == [[("r", ("p", "q"))], [("p", ("v",)), ("q", ("v",))]]


def test_an_operation_of_many_inputs_comes_in_parts() -> None:
    many = MOST_ASKED * 2 + 1
    variables = {f"v{at}": Entry(at) for at in range(many)}
    step = Step(1, "r", "f", tuple((f"x{at}", name) for at, name in enumerate(variables)))
    problem = Problem((step,), {}, variables, {}, {}, {"r": Entry(1)}, ())
    (wave,) = backward_waves(problem)
    assert [len(way.inputs) for way in wave] == [MOST_ASKED, MOST_ASKED, 1]
    assert [name for way in wave for name in way.inputs] == list(variables)
