from __future__ import annotations

import copy
import gc
import re
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto.errors import ExecutionError, InvalidArgument, UsageError
from opto.llm.base import Abilities
from opto.optimizers import HybridOptimizer, OptoPrime
from opto.optimizers.torch import ALGORITHMS, GradientPropagator, TorchOptimizer, gradient_of
from opto.testing import ScriptedModel, check_optimizer, check_propagator
from opto.trace import Module, bundle, node
from opto.trace.nodes import ParameterNode
from opto.trace.projections import Projection
from tests.optimizers.helpful import helpful
from tests.snippets import ROOT, blocks, execute

torch: Any = pytest.importorskip("torch")

PAGE = ROOT / "docs" / "how-to" / "train-with-gradients.md"
pytestmark = pytest.mark.filterwarnings("ignore:Failed to initialize NumPy")


def parameter(value: Any, name: str = "w") -> ParameterNode[Any]:
    made = ParameterNode(torch.as_tensor(value), name=name)
    made._data.requires_grad_()
    return made


def backward(output: Any, feedback: Any = "", *, retain: bool = False) -> None:
    output.backward(feedback, propagator=GradientPropagator(), retain_graph=retain)


@bundle()
def squared_error(prediction: Any, target: Any) -> Any:
    """Return the mean squared difference."""
    return ((prediction - target) ** 2).mean()


@bundle()
def layer(x: Any, weight: Any, bias: Any) -> Any:
    """Apply a layer with a non-linearity."""
    return torch.relu(x @ weight + bias)


# ---- gradients -----------------------------------------------------------------------------------


def test_several_ways_make_one_gradient() -> None:
    """A tensor that is used directly and through another result is counted once for each way."""
    x = parameter(3.0)
    y = x * 2
    z = x + y * x

    backward(z)

    assert gradient_of(x) == 1 + 4 * 3
    assert list(x.feedback) == [z]


OPERATIONS: tuple[Any, ...] = (
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / (abs(b) + 1),
    lambda a, b: a @ b,
    lambda a, b: -a + b[0],
    lambda a, b: (a * a + 1) ** 0.5 + 2 * b,
)


@given(
    st.lists(
        st.tuples(st.integers(0, len(OPERATIONS) - 1), st.integers(0, 50), st.integers(0, 50)),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 1000),
)
def test_gradients_are_those_of_torch(program: list[tuple[int, int, int]], seed: int) -> None:
    """Of any program of traced operations, whatever is shared between its branches."""
    torch.manual_seed(seed)
    start = [torch.randn(2, 2, dtype=torch.float64) for _ in range(3)]
    plain = [value.clone().requires_grad_() for value in start]
    traced = [parameter(value.clone()) for value in start]
    values: list[Any] = list(plain)
    nodes: list[Any] = list(traced)
    for operation, one, other in program:
        for known in (values, nodes):
            known.append(OPERATIONS[operation](known[one % len(known)], known[other % len(known)]))

    values[-1].sum().backward()
    backward(nodes[-1].call("sum"))

    for expected, found in zip(plain, traced, strict=True):
        gradient = gradient_of(found)
        if expected.grad is None:
            assert gradient is None
        else:
            assert torch.allclose(gradient, expected.grad)


def test_through_bundles_and_methods() -> None:
    weight, bias = parameter(torch.ones(2, 2)), parameter(torch.zeros(2))
    x = torch.tensor([[1.0, 2.0], [3.0, -9.0]])

    backward(squared_error(layer(x, weight, bias), torch.zeros(2, 2)).call("mean"))

    plain = torch.ones(2, 2, requires_grad=True)
    (torch.relu(x @ plain) ** 2).mean().backward()
    assert torch.equal(gradient_of(weight), plain.grad)
    assert gradient_of(bias).shape == (2,)


def test_through_functions_of_torch() -> None:
    x = parameter([1.0, -1.0])
    activated = bundle("[sigmoid] Squash each number.")(torch.sigmoid)(x)
    backward(activated.call("sum"))
    assert torch.allclose(gradient_of(x), torch.sigmoid(x.data) * (1 - torch.sigmoid(x.data)))


def test_a_batch_is_summed() -> None:
    x = parameter(2.0)
    for factor in (1.0, 10.0):
        backward(x * factor)
    assert gradient_of(x) == 11


def test_one_output_may_be_used_again() -> None:
    x = parameter(2.0)
    y = x * x
    backward(y, retain=True)
    backward(y)
    assert gradient_of(x) == 8


def test_the_gradient_of_a_tensor_may_be_given() -> None:
    x = parameter([1.0, 2.0, 3.0])
    backward(x * x, torch.tensor([1, 0, -1]))
    assert gradient_of(x).tolist() == [2.0, 0.0, -6.0]


@pytest.mark.parametrize(
    ("feedback", "message"),
    [("make it small", "single number"), (torch.ones(2), r"shape \(2,\).*has \(3,\)")],
)
def test_a_gradient_needs_a_number(feedback: Any, message: str) -> None:
    x = parameter([1.0, 2.0, 3.0])
    with pytest.raises(InvalidArgument, match=message):
        backward(x * x, feedback)
    assert not x.feedback


def test_feedback_on_the_parameter_itself() -> None:
    x = parameter([1.0, 2.0])
    backward(x, torch.tensor([0.5, -0.5]))
    assert gradient_of(x).tolist() == [0.5, -0.5]


def test_words_go_to_the_others() -> None:
    x, word, count = parameter(2.0), node("big", trainable=True), node(3, trainable=True)
    output = bundle()(_scaled)(x, word, count)

    backward(output, "too big")

    assert gradient_of(x) == 3
    for other in (word, count):
        [[graph]] = other.feedback.values()
        assert graph.user_feedback == "too big"


def _scaled(x: Any, word: str, count: int) -> Any:
    """Scale a number."""
    return x * count if word == "big" else x


def test_what_torch_can_not_differentiate_sends_no_gradient() -> None:
    x, word = parameter(2.0), node("big", trainable=True)
    text = bundle()(_shown)(x, word)
    backward(text, "too long")
    assert not x.feedback
    assert word.feedback


def _shown(x: Any, word: str) -> str:
    """Write a number."""
    return f"{word} {x.tolist()}"


def test_an_error_sends_no_gradient() -> None:
    x, word = parameter([1.0, 2.0]), node("big", trainable=True)
    with pytest.raises(ExecutionError) as caught:
        bundle()(_failing)(x, word)
    backward(caught.value.exception_node, "it must not fail")
    assert not x.feedback
    assert word.feedback


def _failing(x: Any, word: str) -> Any:
    """Fail."""
    return x @ torch.ones(3, 3) if word else x


def test_a_tensor_that_the_output_does_not_depend_on_gets_none() -> None:
    used, unused = parameter(1.0), parameter(1.0)
    backward(bundle()(_first)(used, unused))
    assert gradient_of(used) == 1
    assert not unused.feedback


def _first(one: Any, _other: Any) -> Any:
    """Return the first."""
    return one * 1


def test_a_tensor_that_needs_no_gradient_is_a_value_as_any_other() -> None:
    x = ParameterNode(torch.ones(2))
    backward(x.call("sum"), "too small")
    [[graph]] = x.feedback.values()
    assert graph.user_feedback == "too small"


def test_the_propagator_conforms() -> None:
    check_propagator(GradientPropagator)


def test_rules_for_operators_concern_notes() -> None:
    x, count = parameter(2.0), node(3, trainable=True)
    propagator = GradientPropagator()
    propagator.register("multiply", lambda child: dict.fromkeys(child.parents, "by the rule"))
    (x * count).backward("too big", propagator=propagator)
    assert gradient_of(x) == 3
    assert list(count.feedback.values()) == [["by the rule"]]


# ---- steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_goes_the_way_that_it_goes_in_torch(algorithm: str) -> None:
    options: dict[str, Any] = {"momentum": 0.9} if algorithm == "sgd" else {}
    plain = torch.tensor([3.0, -2.0], requires_grad=True)
    reference = getattr(torch.optim, ALGORITHMS[algorithm])([plain], lr=0.01, **options)
    x = node(torch.tensor([3.0, -2.0]), trainable=True)
    optimizer = TorchOptimizer([x], algorithm=algorithm, lr=0.01, options=options)
    for _ in range(10):
        reference.zero_grad()
        (plain**4).sum().backward()
        reference.step()
        optimizer.zero_feedback()
        optimizer.backward((x**4).call("sum"))
        optimizer.step()
        assert torch.equal(x.data, plain)


def line(weight: Any) -> Any:
    return squared_error(weight * torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0]))


def momentum(weight: ParameterNode[Any], **settings: Any) -> TorchOptimizer:
    return TorchOptimizer([weight], algorithm="sgd", lr=0.05, options={"momentum": 0.9}, **settings)


def one_step(optimizer: TorchOptimizer, weight: Any, *, bypassing: bool = False) -> Any:
    optimizer.zero_feedback()
    optimizer.backward(line(weight))
    return optimizer.step(bypassing)


def test_what_was_recorded_keeps_its_value() -> None:
    weight = node(torch.tensor(0.0), trainable=True)
    optimizer = momentum(weight)
    before, loss = weight.data, line(weight)
    optimizer.backward(loss)
    optimizer.step()
    assert before == 0
    assert weight.data > 0
    assert loss.data == 10


def test_a_step_that_is_not_set_leaves_no_trace() -> None:
    """The algorithm forgets what it learnt from it, momentum too."""
    bold, careful = (node(torch.tensor(0.0), trainable=True) for _ in range(2))
    one, other = momentum(bold), momentum(careful)
    for _ in range(3):
        one_step(one, bold)
        one_step(other, careful)
        for _ in range(3):
            update = one_step(other, careful, bypassing=True)
            assert update[careful] is not careful.data
        assert torch.equal(bold.data, careful.data)


def test_a_proposal_can_be_set_later() -> None:
    bold, careful = (node(torch.tensor(0.0), trainable=True) for _ in range(2))
    one, other = momentum(bold), momentum(careful)
    for _ in range(3):
        one_step(one, bold)
        other.update(one_step(other, careful, bypassing=True))
        assert torch.equal(bold.data, careful.data)


def test_a_copy_goes_its_own_way() -> None:
    weight = node(torch.tensor(0.0), trainable=True)
    optimizer = momentum(weight)
    one_step(optimizer, weight)
    twin = copy.deepcopy(optimizer)

    assert twin.parameters[0] is weight
    expected = one_step(optimizer, weight, bypassing=True)[weight]
    assert torch.equal(one_step(twin, weight, bypassing=True)[weight], expected)
    assert twin.algorithm is not optimizer.algorithm


def test_schedulers_of_torch_work() -> None:
    weight = node(torch.tensor(0.0), trainable=True)
    optimizer = momentum(weight)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer.algorithm, 1, gamma=0.0)
    one_step(optimizer, weight)
    scheduler.step()
    after = weight.data.clone()
    optimizer.algorithm.param_groups[0]["momentum"] = 0.0
    one_step(optimizer, weight, bypassing=True)
    one_step(optimizer, weight)
    assert torch.equal(weight.data, after)


def test_only_tensors_with_a_gradient_change() -> None:
    used, unused = (node(torch.tensor(1.0), trainable=True) for _ in range(2))
    optimizer = TorchOptimizer([used, unused], lr=0.1)
    optimizer.backward(used * 2)
    assert set(optimizer.step()) == {used}
    assert unused.data == 1


def test_a_parameter_can_be_frozen() -> None:
    weight = node(torch.tensor(1.0), trainable=True)
    fixed = node(torch.tensor(1.0), trainable=True)
    optimizer = TorchOptimizer([weight, fixed], lr=0.1)
    fixed.trainable = False
    optimizer.backward(weight * fixed)
    assert set(optimizer.step()) == {weight}


def test_kinds_of_tensors_are_kept() -> None:
    double = node(torch.ones(2, dtype=torch.float64), trainable=True)
    owned = node(torch.nn.Parameter(torch.ones(2)), trainable=True)
    optimizer = TorchOptimizer([double, owned], lr=0.1)
    optimizer.backward((double * owned).call("sum"))
    optimizer.step()
    assert double.data.dtype == torch.float64
    assert isinstance(owned.data, torch.nn.Parameter)
    assert owned.data.requires_grad
    assert double.data.is_leaf


def test_projections_apply() -> None:
    class Unit(Projection):
        def project(self, x: Any) -> Any:
            return x.clamp(0, 1)

    weight = ParameterNode(torch.tensor([0.5, 0.5]), projections=[Unit()])
    optimizer = TorchOptimizer([weight], algorithm="sgd", lr=10.0)
    for _ in range(2):
        optimizer.zero_feedback()
        optimizer.backward((weight * torch.tensor([1.0, -1.0])).call("sum"))
        optimizer.step()
        assert weight.data.tolist() == [0.0, 1.0]
        assert weight.data.is_leaf
        assert weight.data.requires_grad


def test_without_gradient_there_is_no_step() -> None:
    weight = node(torch.tensor(1.0), trainable=True)
    optimizer = TorchOptimizer([weight])
    with pytest.raises(UsageError, match="no tensor has a gradient"):
        optimizer.step()
    optimizer.backward(bundle()(_shown)(weight, "w"), "too long")
    with pytest.raises(UsageError, match="no tensor has a gradient"):
        optimizer.step()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.tensor([1, 2]), "torch.int64, which has no gradient"),
        (torch.ones(2, requires_grad=True) * 2, "detach"),
    ],
)
def test_tensors_that_can_not_be_trained(value: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        TorchOptimizer([ParameterNode(value, name="w")])


def test_unknown_algorithms_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="no algorithm 'newton'; there are sgd, adam"):
        TorchOptimizer([node(torch.tensor(1.0), trainable=True)], algorithm="newton")


def test_algorithms_of_the_users_own() -> None:
    weight = node(torch.tensor(1.0), trainable=True)
    optimizer = TorchOptimizer([weight], algorithm=torch.optim.SGD, lr=0.5)
    optimizer.backward(weight * 1)
    optimizer.step()
    assert weight.data == 0.5


def test_a_value_of_another_kind_is_refused() -> None:
    weight = node(torch.tensor([1.0]), trainable=True)
    optimizer = TorchOptimizer([weight])
    weight._set(torch.tensor([1.0, 2.0], requires_grad=True))
    optimizer.backward(weight.call("sum"))
    with pytest.raises(UsageError, match=r"shape \(1,\).*shape \(2,\)"):
        optimizer.step()


def test_graphs_die_at_once() -> None:
    weight = node(torch.tensor(0.0), trainable=True)
    optimizer = momentum(weight)
    gc.disable()
    try:
        loss = line(weight)
        seen = weakref.ref(loss), weakref.ref(loss.data)
        optimizer.backward(loss)
        optimizer.step()
        optimizer.zero_feedback()
        del loss
        assert [reference() for reference in seen] == [None, None]
    finally:
        gc.enable()


def test_what_steps_keep_holds_no_graph() -> None:
    """The logs of the other optimizer don't hold on to what PyTorch recorded."""
    weight, word = node(torch.tensor(1.0), trainable=True), node("a", name="word", trainable=True)
    llm = ScriptedModel([{"suggestion": {"word0": "b"}}] * 2, abilities=Abilities())
    optimizer = TorchOptimizer([weight, word], llm=llm)
    gc.disable()
    try:
        loss = bundle()(_first)(weight, word)
        seen = weakref.ref(loss.data)
        optimizer.backward(loss, "another word")
        optimizer.step()
        optimizer.zero_feedback()
        del loss
        assert seen() is None
    finally:
        gc.enable()
    assert len(optimizer.summary_log or ()) == 1


def test_a_step_shows_what_both_did(capsys: pytest.CaptureFixture[str]) -> None:
    weight, word = node(torch.tensor(1.0), trainable=True), node("a", name="word", trainable=True)
    answer = {"reasoning": "b is better", "suggestion": {"word0": "b"}}
    llm = ScriptedModel([answer], abilities=Abilities())
    optimizer = TorchOptimizer([weight, word], llm=llm, algorithm="sgd", lr=0.5)
    optimizer.backward(bundle()(_first)(weight, word), "another word")
    optimizer.step()

    optimizer.render_step()

    shown = capsys.readouterr().out
    for part in ("another word", "gradient of length 1", "b is better", "a → b", "tensor(0.5000"):
        assert part in shown, shown


def test_a_step_of_tensors_alone_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    weight = node(torch.tensor([3.0, 4.0]), name="weight", trainable=True)
    optimizer = TorchOptimizer([weight], algorithm="sgd", lr=1.0)
    optimizer.backward((weight * weight).call("sum"))
    optimizer.step()
    optimizer.render_step()
    shown = capsys.readouterr().out
    assert "weight0 of shape (2,): a gradient of length 10" in shown
    assert "its value is 25." in shown or "tensor(25." in shown
    silent = TorchOptimizer([node(torch.tensor(1.0), trainable=True)], log=False)
    assert silent.summary_log is None


def test_the_optimizer_conforms() -> None:
    llm = ScriptedModel(helpful, abilities=Abilities())
    check_optimizer(lambda given: TorchOptimizer(given, llm=llm, others=OptoPrime))


# ---- all in one loop -----------------------------------------------------------------------------


def mixed_model(messages: Any) -> Any:
    """Knows the right title and the right code, and says so when it is asked for them."""
    asked = str(messages)
    right = "def features(self, size):\n    return [1.0, float(size)]"
    answer = dict.fromkeys(re.findall(r"__code\d+", asked), right)
    if "title0" in asked:
        answer["title0"] = "Price of a house"
    return {"reasoning": "as it says", "suggestion": answer}


def test_gradients_numbers_text_and_code_in_one_loop() -> None:
    """One program, one optimizer, one step for all."""
    pytest.importorskip("optuna")

    class Estimate(Module):
        def __init__(self) -> None:
            self.weights = node(torch.zeros(2), name="weights", trainable=True)
            self.digits = node(
                0, name="digits", trainable=True, constraint="a whole number between 0 and 3"
            )
            self.title = node("house", name="title", trainable=True)

        @bundle(trainable=True)
        def features(self, size: int) -> list[float]:
            """Return what the price is computed from: one, and the size."""
            return [0.0, 0.0]

        @bundle()
        def priced(self, features: list[float], weights: Any) -> Any:
            """Compute the price."""
            return torch.tensor(features) @ weights

        @bundle()
        def judged(self, price: Any, title: str, digits: int, target: float) -> Any:
            """Return how far off all is: the price, the title and the number of digits."""
            return (price - target) ** 2 + abs(digits - 2) + (title != "Price of a house")

    estimate = Estimate()
    llm = ScriptedModel(mixed_model, abilities=Abilities())
    numbers = {"seed": 1, "maximize": False}
    optimizer = TorchOptimizer(
        estimate.parameters(),
        llm=llm,
        lr=0.3,
        others=partial(HybridOptimizer, numbers=numbers),
    )
    losses: list[float] = []
    for _ in range(200):
        optimizer.zero_feedback()
        total = 0.0
        for size in (1, 2, 3):
            price = estimate.priced(estimate.features(size), estimate.weights)
            loss = estimate.judged(price, estimate.title, estimate.digits, 1.0 + 2.0 * size)
            optimizer.backward(loss, f"The features must be 1 and the size. score: {loss.data:.4f}")
            total += loss.data.item()
        losses.append(total)
        if total < 0.01:
            break
        optimizer.step()

    assert losses[-1] < 0.01
    assert losses[0] > 80
    assert estimate.digits.data == 2
    assert estimate.title.data == "Price of a house"
    assert "float(size)" in estimate.features.parameter.data
    assert torch.allclose(estimate.weights.data, torch.tensor([1.0, 2.0]), atol=0.2)


def test_trusted_code_may_work_on_tensors() -> None:
    """What a model writes runs isolated by default, where tensors can't go."""

    @bundle(trainable=True, execution="inprocess")
    def scaled(x: Any) -> Any:
        """Return three times x."""
        return x * 2

    weight = node(torch.tensor(1.0), trainable=True)
    answer = {"suggestion": {"__code0": "def scaled(x):\n    return x * 3"}}
    llm = ScriptedModel([answer] * 2, abilities=Abilities())
    optimizer = TorchOptimizer([weight, scaled.parameter], llm=llm, algorithm="sgd", lr=0.1)
    for expected in (1 - 0.1 * 2, 1 - 0.1 * 2 - 0.1 * 3):
        optimizer.zero_feedback()
        optimizer.backward(scaled(weight), "it must be three times x")
        optimizer.step()
        assert weight.data.item() == pytest.approx(expected)


def test_a_reply_that_can_not_be_used_leaves_the_tensors_as_they_are() -> None:
    weight, word = node(torch.tensor(1.0), trainable=True), node("a", name="word", trainable=True)
    llm = ScriptedModel(["I'd rather not."] * 3, abilities=Abilities())
    optimizer = TorchOptimizer([weight, word], llm=llm, algorithm="sgd", lr=0.5)
    optimizer.backward(bundle()(_first)(weight, word), "another word")
    assert optimizer.step() == {}
    assert (weight.data, word.data) == (1, "a")
    assert optimizer.refused
    assert optimizer.refused is optimizer.others.refused  # type: ignore[union-attr]  # it has one


def test_tensors_learn_while_the_others_have_no_feedback() -> None:
    weight, word = node(torch.tensor(1.0), trainable=True), node("a", name="word", trainable=True)
    optimizer = TorchOptimizer([weight, word], llm=ScriptedModel([]), algorithm="sgd", lr=0.5)
    optimizer.backward(weight * 1)
    assert set(optimizer.step()) == {weight}


def test_the_others_learn_while_no_tensor_has_a_gradient() -> None:
    weight, word = node(torch.tensor(1.0), trainable=True), node("a", name="word", trainable=True)
    llm = ScriptedModel([{"suggestion": {"word0": "b"}}], abilities=Abilities())
    optimizer = TorchOptimizer([weight, word], llm=llm)
    optimizer.backward(bundle()(_shown)(weight, word), "another word")
    assert optimizer.step() == {word: "b"}


def test_the_page_of_the_documentation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    names: dict[str, Any] = {}
    claims: list[str] = []
    for block in blocks(PAGE):
        if block.language == "py":
            file = tmp_path / f"page_{block.line}.py"
            execute("\n" * (block.line - 1) + block.text, file, names)
            claims += [
                text.split("  # ", 1)[1]
                for text in block.text.splitlines()
                if text.startswith("print(") and "  # " in text
            ]
    printed = capsys.readouterr().out
    assert claims
    assert [claim for claim in claims if claim not in printed] == []


def test_torch_is_here_because_this_test_asked_for_it() -> None:
    assert "torch" in sys.modules
