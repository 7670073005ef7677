"""The arithmetic is held against networks that torch builds and runs."""

from typing import get_args

import pytest
import torch

from sweeper import architectures
from sweeper.experiment.sections import Model
from sweeper.training import models

SIDES = (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 24, 31, 32, 33)
CHANNELS = ((4,), (4, 6), (16, 32, 64), (3, 3, 3, 3), (2, 2, 2, 2, 2))
HIDDEN = ((8,), (16, 5), (256,), (3, 3, 3))

CASES = [
    *(("linear", (256,), (16,), side) for side in SIDES),
    *(("mlp", hidden, (16,), side) for hidden in HIDDEN for side in SIDES),
    *(("cnn", (256,), channels, side) for channels in CHANNELS for side in SIDES),
    *((name, (256,), (16,), side) for name in ("lenet", "3c3d", "resnet8") for side in SIDES),
]


def network_for(name: str, hidden: tuple[int, ...], channels: tuple[int, ...], side: int) -> torch.nn.Module:
    """The real network, also at sides that an experiment file may not name."""
    model = Model(name="cnn", hidden=hidden, channels=channels).model_copy(
        update={"name": name, "input_size": side}
    )
    return models.build(model, 7, "kaiming", torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "hidden", "channels", "side"), CASES)
def test_what_is_known_of_a_network_is_true_of_the_one_that_torch_builds(
    name: str, hidden: tuple[int, ...], channels: tuple[int, ...], side: int
) -> None:
    if architectures.fits(name, input_size=side, channels=channels):
        network = network_for(name, hidden, channels, side)
        with torch.inference_mode():
            assert network(torch.zeros(2, 3, side, side)).shape == (2, 7)
        expected = sum(parameter.numel() for parameter in network.parameters())
        found = architectures.parameter_count(
            name, n_classes=7, input_size=side, hidden=hidden, channels=channels
        )
        assert found == expected
    else:
        network = network_for(name, hidden, channels, 32)
        with torch.inference_mode(), pytest.raises(RuntimeError, match=r"Kernel size|Output size|too small"):
            network(torch.zeros(2, 3, side, side))


@pytest.mark.parametrize(
    ("name", "channels", "smallest"),
    [
        ("linear", (16,), 1),
        ("mlp", (16,), 1),
        ("resnet8", (16,), 1),
        ("lenet", (16,), 16),
        ("3c3d", (16,), 16),
        ("cnn", (16, 32, 64), 8),
        ("cnn", (4, 4, 4, 4, 4), 32),
    ],
)
def test_the_smallest_image_that_a_model_can_take(
    name: str, channels: tuple[int, ...], smallest: int
) -> None:
    assert architectures.smallest_input(name, channels=channels) == smallest


def test_the_size_of_a_network_that_cannot_be_is_no_number() -> None:
    with pytest.raises(ValueError, match="lenet can't take images of 8x8 pixels"):
        architectures.parameter_count("lenet", n_classes=10, input_size=8, hidden=(256,), channels=(16,))


def test_every_model_of_the_experiment_file_is_known() -> None:
    assert get_args(Model.model_fields["name"].annotation) == architectures.NAMES


def test_a_name_that_no_model_has_is_refused() -> None:
    with pytest.raises(KeyError, match="vgg"):
        architectures.fits("vgg", input_size=32, channels=(16,))
