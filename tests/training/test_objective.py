"""The loss over many images, its gradient and its Hessian, against torch's own in double precision."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sweeper.optimizers import loss_rules
from sweeper.training import losses, objective
from sweeper.training.data import Dataset
from sweeper.training.device import DeviceData
from sweeper.training.ledger import Ledger
from sweeper.training.objective import ImagesObjective

# The first forward-mode derivative makes torch compile some of its own functions in a way that it deprecates.

N, N_CLASSES = 30, 3
WEIGHT_DECAY = 0.3

NETWORKS = {
    "linear": lambda: nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(12, N_CLASSES)),
    "mlp": lambda: nn.Sequential(
        nn.AvgPool2d(16), nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, N_CLASSES)
    ),
    "cnn": lambda: nn.Sequential(
        nn.AvgPool2d(8),
        nn.Conv2d(3, 4, kernel_size=3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, N_CLASSES),
    ),
}
EVERY_NETWORK = pytest.mark.parametrize("name", NETWORKS)
EVERY_LOSS = pytest.mark.parametrize("loss", losses.LOSSES)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As a worker trains."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def few(images: Dataset) -> Dataset:
    """30 images of three classes, whose pixels spread so that scores differ."""
    labels = images.train.labels[:N] % N_CLASSES
    return replace(images, train=replace(images.train, images=images.train.images[:N], labels=labels))


def make(
    name: str, loss: str, dataset: Dataset, weight_decay: float = WEIGHT_DECAY, ledger: Ledger | None = None
) -> tuple[ImagesObjective, nn.Sequential]:
    """The objective as a trial makes it, and its network."""
    torch.manual_seed(5)
    network = NETWORKS[name]()
    memory_format = torch.channels_last if name == "cnn" else torch.contiguous_format
    network.to(memory_format=memory_format)  # type: ignore[call-overload]
    data = DeviceData(dataset, torch.device("cpu"))
    made = ImagesObjective(
        network,
        data,
        data.train,
        losses.LOSSES[loss],
        weight_decay=weight_decay,
        memory_format=memory_format,
        ledger=ledger or Ledger(len(data.train), 1_000_000),
    )
    return made, network


class Reference:
    """The same function of one vector of weights, in double precision, on all images in one go."""

    def __init__(self, network: nn.Sequential, loss: str, dataset: Dataset, weight_decay: float) -> None:
        self.shapes = {name: p.shape for name, p in network.named_parameters()}
        self.network = network
        self.loss, self.weight_decay = loss, weight_decay
        mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (dataset.mean, dataset.std))
        self.pixels = torch.tensor((dataset.train.images - mean) / std)
        self.labels = torch.tensor(dataset.train.labels)
        self.weights = torch.cat([p.detach().double().reshape(-1) for p in network.parameters()])

    def __call__(self, weights: torch.Tensor) -> torch.Tensor:
        values, offset = {}, 0
        total = torch.zeros((), dtype=torch.float64)
        for name, shape in self.shapes.items():
            values[name] = weights[offset : offset + shape.numel()].reshape(shape)
            offset += shape.numel()
            if name.endswith("weight"):
                total = total + self.weight_decay / 2 * (values[name] ** 2).sum()
        scores = torch.func.functional_call(self.network, values, (self.pixels,))
        if self.loss == "cross_entropy":
            return total + nn.functional.cross_entropy(scores, self.labels)
        rows = torch.arange(len(scores))
        margins = torch.relu(scores - scores[rows, self.labels][:, None] + 1)
        return total + margins[nn.functional.one_hot(self.labels, N_CLASSES) == 0].sum() / len(scores)

    def gradient(self) -> torch.Tensor:
        found: Any = torch.func.grad(self)(self.weights)
        return torch.as_tensor(found)

    def hessian(self) -> torch.Tensor:
        found = torch.autograd.functional.hessian(self, self.weights)
        assert isinstance(found, torch.Tensor)
        return found


def gradient_of(network: nn.Module) -> torch.Tensor:
    grads = [p.grad for p in network.parameters()]
    return torch.cat([grad.reshape(-1) for grad in grads if grad is not None]).double()


# --- in chunks, the same as in one go --------------------------------------------------------------------


@EVERY_NETWORK
@EVERY_LOSS
@pytest.mark.parametrize("chunk", [30, 13, 1])
def test_loss_and_gradient_are_those_of_all_images_in_one_go(
    name: str, loss: str, chunk: int, few: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "CHUNK", chunk)
    made, network = make(name, loss, few)
    reference = Reference(network, loss, few, WEIGHT_DECAY)
    expected = reference(reference.weights).item()
    assert made.loss() == pytest.approx(expected, rel=1e-5)
    assert made() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(gradient_of(network), reference.gradient(), rtol=1e-4, atol=1e-6)


@EVERY_NETWORK
@EVERY_LOSS
@pytest.mark.parametrize("chunk", [30, 13])
def test_the_hessian_is_torchs(
    name: str, loss: str, chunk: int, few: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "CHUNK", chunk)
    made, network = make(name, loss, few)
    expected = Reference(network, loss, few, WEIGHT_DECAY).hessian()
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(made.hessian().double(), expected, rtol=1e-4, atol=1e-5)


def test_the_hessian_leaves_weights_and_gradients_alone(few: Dataset) -> None:
    made, network = make("mlp", "cross_entropy", few)
    made()
    before = [(p.detach().clone(), gradient_of(network)) for p in network.parameters()]
    made.hessian()
    for p, (weights, gradient) in zip(network.parameters(), before, strict=True):
        assert torch.equal(p, weights)
        assert torch.equal(gradient_of(network), gradient)


def test_a_gradient_replaces_the_one_before_it(few: Dataset) -> None:
    made, network = make("linear", "hinge", few)
    made()
    first = gradient_of(network)
    made()
    assert torch.equal(gradient_of(network), first)


# --- the penalty -----------------------------------------------------------------------------------------


@EVERY_NETWORK
def test_the_hessians_penalty_is_on_weights_and_not_on_biases(name: str, few: Dataset) -> None:
    plain, network = make(name, "cross_entropy", few, weight_decay=0.0)
    added = make(name, "cross_entropy", few)[0].hessian() - plain.hessian()
    expected = torch.cat(
        [torch.full((p.numel(),), 0.0 if n.endswith("bias") else 0.3) for n, p in network.named_parameters()]
    )
    torch.testing.assert_close(added, torch.diag(expected), rtol=1e-5, atol=1e-6)


@EVERY_LOSS
def test_without_penalty_a_loss_is_what_it_is_at_no_weight_decay(loss: str, few: Dataset) -> None:
    made, _ = make("mlp", loss, few)
    plain, _ = make("mlp", loss, few, weight_decay=0.0)
    with_penalty = made.loss()
    assert with_penalty > plain.loss() + 0.01
    assert made.without_penalty(with_penalty) == pytest.approx(plain.loss(), rel=1e-6)


@pytest.mark.parametrize("first", ["gradient", "forward"])
def test_the_starting_loss_is_the_first_one_without_the_penalty(first: str, few: Dataset) -> None:
    made, network = make("mlp", "hinge", few)
    plain, _ = make("mlp", "hinge", few, weight_decay=0.0)
    assert made.starting_loss is None
    _ = made() if first == "gradient" else made.loss()
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(3)
    made.loss()
    assert made.starting_loss == plain.loss()


# --- what it is charged, and what it sees ----------------------------------------------------------------


def test_each_call_is_charged(few: Dataset) -> None:
    ledger = Ledger(N, 1_000)
    made, _ = make("linear", "hinge", few, ledger=ledger)
    assert made.n_parameters == 39
    made()
    assert ledger.samples == N
    made.loss()
    assert ledger.samples == N + N // 3
    made.hessian()
    assert ledger.samples == N + N // 3 + 2 * N * 39
    assert ledger.grad_evals == 1


def test_a_call_that_would_pass_the_budget_is_refused_before_it_computes_anything(few: Dataset) -> None:
    ledger = Ledger(N, 1)
    made, network = make("linear", "hinge", few, ledger=ledger)
    network.register_forward_hook(lambda *_: pytest.fail("it computed"))
    ledger.gradient(N)
    for call in (made, made.loss, made.hessian):
        with pytest.raises(loss_rules.BudgetSpentError):
            call()


def test_the_same_weights_have_the_same_loss_to_the_last_bit(few: Dataset) -> None:
    made, _ = make("cnn", "cross_entropy", few)
    assert made.loss() == made.loss() == made()


@EVERY_NETWORK
@pytest.mark.parametrize("rule_class", [loss_rules.LBFGS, loss_rules.BFGS, loss_rules.Newton])
def test_a_rule_trains_a_network(name: str, rule_class: Any, few: Dataset) -> None:
    made, network = make(name, "cross_entropy", few, weight_decay=1e-3)
    rule = rule_class(list(network.parameters()))
    found = [made.loss()] + [rule.step(made) for _ in range(6)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[0] - 0.02
