"""The gradient check passes right gradients, and finds wrong ones that are planted."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sweeper import architectures
from sweeper.errors import UsageError
from sweeper.experiment.sections import Model
from sweeper.lab import cross_checks, gradcheck
from sweeper.lab.problem import Problem, draw
from sweeper.lab.verdict import Check
from sweeper.training.losses import LOSSES, penalty

SMALL = {
    "linear": {"input_size": 8},
    "mlp": {"input_size": 8, "hidden": [8]},
    "cnn": {"input_size": 8, "channels": [4, 4]},
}


def small(name: str, seed: int = 0) -> Problem:
    return draw(Model.model_validate({"name": name, **SMALL[name]}), seed)


def checked(
    problem: Problem, losses=LOSSES, coordinates: int | None = 30, seed: int = 0
) -> tuple[Check, ...]:
    return gradcheck.check(
        problem.network, losses, problem.pixels, problem.labels, coordinates=coordinates, seed=seed
    )


class Scaled(torch.autograd.Function):
    """The identity with a gradient that is one percent too long."""

    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, slopes):
        return 1.01 * slopes


class Unmasked(torch.autograd.Function):
    """ReLU whose gradient ignores which units are off."""

    @staticmethod
    def forward(ctx, values):
        return values.clamp(min=0)

    @staticmethod
    def backward(ctx, slopes):
        return slopes


class ScaledConv(nn.Conv2d):
    def forward(self, maps):
        return self._conv_forward(maps, Scaled.apply(self.weight), self.bias)


class UnmaskedReLU(nn.Module):
    def forward(self, values):
        return Unmasked.apply(values)


def hinge_without_the_labels_term(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Right in its value; its gradient for the label's score is 0."""
    margins = scores - scores.gather(1, labels[:, None]).detach() + 1
    others = F.one_hot(labels, scores.shape[1]) == 0
    return (margins.clamp(min=0) * others).sum(dim=1).mean()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seed", range(20))
def test_right_gradients_raise_no_alarm(name: str, seed: int) -> None:
    assert [check.failures for check in checked(small(name, seed), coordinates=20, seed=seed)] == [(), ()]


def test_a_gradient_one_percent_too_long_is_found_and_its_tensor_named() -> None:
    problem = small("cnn")
    right = problem.network[3]
    wrong = ScaledConv(right.in_channels, right.out_channels, 3, padding=1)
    wrong.load_state_dict(right.state_dict())
    problem.network[3] = wrong
    for check in checked(problem):
        assert check.failures == ("3.weight",)
        # 0.01 of the numerical gradient, relative to the longer, analytic one
        assert check.tensors[2].centred_error == pytest.approx(0.01 / 1.01, rel=1e-3)


def test_a_relu_without_its_mask_is_found_in_all_tensors_below_it() -> None:
    problem = small("mlp")
    problem.network[2] = UnmaskedReLU()
    for check in checked(problem):
        assert check.failures == ("1.weight", "1.bias")


def test_a_hinge_loss_that_forgets_the_labels_term_is_found() -> None:
    problem = small("linear")
    losses = {"right": LOSSES["hinge"], "wrong": hinge_without_the_labels_term}
    right, wrong = checked(problem, losses, coordinates=None)
    assert right.passed
    assert wrong.failures == ("1.weight", "1.bias")


def test_a_tensor_whose_coordinates_all_lie_on_kinks_is_not_passed() -> None:
    problem = small("mlp")
    nn.init.zeros_(problem.network[1].weight)
    nn.init.zeros_(problem.network[1].bias)
    for check in checked(problem):
        assert check.failures == ("1.weight", "1.bias")
        assert check.tensors[0].kinks == check.tensors[0].coordinates


def test_the_network_that_is_checked_is_left_alone() -> None:
    problem = small("cnn")
    problem.network.float()
    before = {name: value.clone() for name, value in problem.network.state_dict().items()}
    checked(problem)
    after = problem.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_100_coordinates_of_each_tensor_are_checked_unless_it_has_fewer() -> None:
    check, _ = checked(small("mlp"), coordinates=gradcheck.N_COORDINATES)
    assert [(tensor.size, tensor.coordinates) for tensor in check.tensors] == [
        (192 * 8, 100),
        (8, 8),
        (8 * 10, 80),
        (10, 10),
    ]
    assert not check.is_whole


def test_a_whole_check_extrapolates_nothing() -> None:
    check, _ = checked(small("cnn"), coordinates=None)
    assert check.is_whole
    assert check.coordinates == check.parameters == 3 * 9 * 4 + 4 + 4 * 9 * 4 + 4 + 4 * 2 * 2 * 10 + 10
    # Watching for kinks takes time of its own; what is told of a whole gradient is without it.
    assert 0 < check.whole_numerical_s < check.numerical_s


def test_the_whole_numerical_gradient_costs_two_passes_for_each_number() -> None:
    check, _ = checked(small("mlp"))
    slower = [dataclasses.replace(tensor, pass_s=3.0) for tensor in check.tensors]
    check = dataclasses.replace(check, tensors=tuple(slower))
    assert check.whole_numerical_s == pytest.approx(2 * 3 * check.parameters)


def test_a_layer_that_is_cut_off_from_the_loss_is_found() -> None:
    class CutOff(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, self.weight.detach(), self.bias)

    problem = small("mlp")
    first = problem.network[1]
    cut = CutOff(first.in_features, first.out_features, dtype=torch.float64)
    network = nn.Sequential(problem.network[0], cut, *problem.network[2:])
    (found,) = gradcheck.check(network, {"hinge": LOSSES["hinge"]}, problem.pixels, problem.labels)
    assert found.failures == ("1.weight",)


def test_the_same_seed_checks_the_same_coordinates() -> None:
    first, second = (checked(small("mlp"), seed=3)[0] for _ in range(2))
    assert [tensor.centred_error for tensor in first.tensors] == [t.centred_error for t in second.tensors]


def test_a_failed_formula_and_torchs_own_check_count_as_failures() -> None:
    check, _ = checked(small("linear"))
    opinions = dataclasses.replace(
        check,
        written_out=cross_checks.WrittenOutCheck(error=1e-3, seconds=0.0),
        torch=cross_checks.TorchCheck(input_size=8, parameters=1, agrees=False, seconds=0.0),
    )
    assert opinions.failures == ("written out", "torch")


def test_the_linear_model_passes_with_all_four_opinions() -> None:
    for check in gradcheck.check_all(["linear"]):
        assert check.passed
        assert check.written_out is not None
        assert check.written_out.error < 1e-13
        assert check.torch is not None
        assert (check.torch.agrees, check.torch.input_size, check.torch.parameters) == (True, 8, 1_930)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_wrong_formula_is_found(loss: str) -> None:
    problem = small("linear")
    parameters = list(problem.network.parameters())
    plain = LOSSES[loss](problem.network(problem.pixels), problem.labels)
    dw, db = torch.autograd.grad(plain + penalty(parameters, cross_checks.WEIGHT_DECAY), parameters)
    assert cross_checks.written_out(problem, loss, (dw, db)).passed
    assert not cross_checks.written_out(problem, loss, (dw, db + 1e-6)).passed


@pytest.mark.parametrize("name", ["lenet", "3c3d", "resnet8"])
def test_torchs_own_check_is_not_asked_where_it_would_take_long(name: str) -> None:
    found = cross_checks.torch_gradcheck(name, "hinge", seed=0)
    assert found.agrees is None
    assert found.parameters > cross_checks.TORCH_LIMIT
    assert found.passed


@pytest.mark.parametrize("arguments", [{"models": ["vgg"]}, {"losses": ["l1"]}])
def test_an_unknown_name_is_refused_with_the_known_ones(arguments: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError, match=r"there is no (model|loss) '(vgg|l1)'; there are .*(linear|hinge)"):
        gradcheck.check_all(**arguments)


def test_progress_is_told_for_every_coordinate() -> None:
    told: list[tuple[str, int, int]] = []
    list(gradcheck.check_all(["linear"], ["hinge"], progress=lambda *news: told.append(news)))
    assert told == [("linear", done, 110) for done in range(1, 111)]


ONE_LOSS = {"3c3d": ("cross_entropy",), "resnet8": ("hinge",)}
"""The two models that take longest are checked with one loss each; all others with both."""


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("model", architectures.NAMES)
def test_every_model_passes(model: str) -> None:
    losses = ONE_LOSS.get(model, ("cross_entropy", "hinge"))
    found = list(gradcheck.check_all([model], losses))
    assert [(check.model, check.loss) for check in found] == [(model, loss) for loss in losses]
    assert {check.loss: check.failures for check in found if not check.passed} == {}
    assert max(check.kinks / check.coordinates for check in found) < 0.05
