from collections.abc import Callable

import pytest
import torch
from torch import nn

from sweeper.lab.numerical import STEPS, Probe, Quotient, probes


def quotient(w: float, loss: Callable[..., torch.Tensor]) -> tuple[Quotient, float]:
    """The quotient of `loss` as a function of one weight, and the weight afterwards."""
    layer = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(layer.weight, w)
    probe = Probe(layer, torch.ones(1, 1, dtype=torch.float64), torch.zeros(1), {"loss": loss})
    return probe.quotients(layer.weight, 0)["loss"], layer.weight.item()


def test_the_quotients_of_a_cube_are_off_by_what_taylors_theorem_says() -> None:
    found, _ = quotient(2.0, lambda scores, labels: (scores**3).sum())
    h = STEPS[0]
    assert found.h == h
    # (w + h)³ = w³ + 3 w² h + 3 w h² + h³
    assert found.forward == pytest.approx(12 + 6 * h + h**2, abs=1e-9)
    assert found.centred == pytest.approx(12 + h**2, abs=1e-9)


def test_a_kink_within_the_first_step_makes_the_step_smaller() -> None:
    found, _ = quotient(5e-6, lambda scores, labels: 3 * scores.relu().sum())
    assert found.h == 3e-6
    assert found.centred == pytest.approx(3, abs=1e-6)


@pytest.mark.parametrize("w", [0.0, 5e-7, -5e-7])
def test_a_kink_within_every_step_leaves_nothing_to_judge(w: float) -> None:
    found, _ = quotient(w, lambda scores, labels: scores.relu().sum())
    assert not found.is_smooth


@pytest.mark.parametrize("w", [0.1, 1e-7])
def test_the_weight_is_left_as_it_was(w: float) -> None:
    _, after = quotient(w, lambda scores, labels: scores.relu().sum())
    assert after == w


def test_the_weight_is_left_as_it_was_when_a_loss_raises() -> None:
    layer = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    before = layer.weight.item()
    calls = iter([torch.zeros(())] * 6)  # where it stands, and five times for its pace
    probe = Probe(layer, torch.ones(1, 1, dtype=torch.float64), torch.zeros(1), {"l": lambda *_: next(calls)})
    with pytest.raises(StopIteration):
        probe.quotients(layer.weight, 0)
    assert layer.weight.item() == before


def test_a_losss_kink_does_not_change_another_losss_step() -> None:
    layer = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(layer.weight, 5e-6)
    both = {"kinked": lambda s, _: s.relu().sum(), "smooth": lambda s, _: s.exp().sum()}
    found = Probe(layer, torch.ones(1, 1, dtype=torch.float64), torch.zeros(1), both).quotients(
        layer.weight, 0
    )
    assert (found["kinked"].h, found["smooth"].h) == (3e-6, 1e-5)


def test_every_parameter_tensor_has_a_probe_that_starts_at_its_layer() -> None:
    network = nn.Sequential(
        nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    ).double()
    pixels = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return scores.square().sum()

    slopes = torch.autograd.grad(loss(network(pixels), pixels), list(network.parameters()))
    found = list(probes(network, pixels, pixels, {"squares": loss}))
    assert [name for name, _, _ in found] == [name for name, _ in network.named_parameters()]
    for (_, parameter, probe), slope in zip(found, slopes, strict=True):
        centred = probe.quotients(parameter, 0)["squares"].centred
        assert centred == pytest.approx(slope.flatten()[0].item(), rel=1e-6, abs=1e-8)
