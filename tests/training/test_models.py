from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sweeper import architectures
from sweeper.experiment.sections import Model
from sweeper.training import cifar, models

NAMES = architectures.NAMES
INITS = ("kaiming", "xavier", "normal")


def built(
    name: str, init: str = "kaiming", seed: int = 0, n_classes: int = 10, **sizes: object
) -> nn.Sequential:
    model = Model.model_validate({"name": name, **sizes})
    return models.build(model, n_classes, init, torch.Generator().manual_seed(seed))


def images(n: int = 256, side: int = 32) -> torch.Tensor:
    """Blocks of random colour, as smooth as photographs, normalized as `DeviceData` does.

    In noise pixel by pixel, which no data set holds, max pooling would find larger values at every stage.
    """
    blocks = torch.randint(0, 256, (n, 3, 4, 4), generator=torch.Generator().manual_seed(1))
    pixels = blocks.repeat_interleave(side // 4, dim=2).repeat_interleave(side // 4, dim=3)
    return (pixels - 127.5) / 73.9


@pytest.fixture(scope="module")
def real(cifar10_dir: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """500 normalized test images of CIFAR-10, and their labels."""
    found = cifar.find(cifar.CIFAR10, cifar10_dir)
    assert found is not None
    rows = torch.from_numpy(cifar.read(cifar.CIFAR10, found)[1][:500].copy())
    pixels = rows[:, 1:].reshape(-1, 3, 32, 32).float()
    mean, std = pixels.mean((0, 2, 3), keepdim=True), pixels.std((0, 2, 3), keepdim=True)
    return (pixels - mean) / std, rows[:, 0].long()


def layers(network: nn.Sequential) -> list[nn.Linear | nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def spread(weight: torch.Tensor) -> tuple[float, float]:
    """The standard deviation of `weight`, and four of its standard errors, relative: sd / sqrt(2 n)."""
    return float(weight.detach().std()), 4 / (2 * weight.numel()) ** 0.5


@pytest.mark.parametrize(
    ("name", "sizes", "count"),
    [
        ("linear", {}, 30_730),  # 3,072 * 10 + 10
        ("mlp", {"hidden": [256]}, 789_258),  # 3,072 * 256 + 256 + 256 * 10 + 10
        ("mlp", {"hidden": [64, 32]}, 199_082),  # 3,072 * 64 + 64 + 64 * 32 + 32 + 32 * 10 + 10
        ("lenet", {}, 62_006),  # LeCun et al. 1998, for three colours
        # 3 * 9 * 16 + 16 + 16 * 9 * 32 + 32 + 32 * 9 * 64 + 64, then 64 * 4 * 4 * 10 + 10
        ("cnn", {"channels": [16, 32, 64]}, 33_834),
        ("cnn", {"channels": [8]}, 20_714),  # 3 * 9 * 8 + 8, then 8 * 16 * 16 * 10 + 10
        ("3c3d", {}, 895_210),  # Schneider, Balles and Hennig 2019
        # MLPerf Tiny's network has 78,666 numbers in Keras: 480 of them are running means and variances, and
        # 336 are biases of convolutions.
        ("resnet8", {}, 78_666 - 480 - 336),
        ("linear", {"input_size": 8}, 1_930),  # 192 * 10 + 10
    ],
)
def test_a_model_has_the_known_number_of_parameters(name: str, sizes: dict[str, object], count: int) -> None:
    assert sum(parameter.numel() for parameter in built(name, **sizes).parameters()) == count


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_classes", [10, 100])
def test_a_model_gives_one_score_for_each_class(name: str, n_classes: int) -> None:
    with torch.inference_mode():
        assert built(name, n_classes=n_classes)(images(2)).shape == (2, n_classes)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        *((name, {"input_size": side}) for name in ("linear", "mlp", "resnet8") for side in (16, 8)),
        *((name, {"input_size": 16}) for name in ("lenet", "3c3d", "cnn")),
        ("cnn", {"input_size": 16, "channels": [4, 4, 4, 4]}),
        ("cnn", {"input_size": 8, "channels": [4, 4, 4]}),
    ],
)
def test_a_model_takes_smaller_images(name: str, sizes: dict[str, Any]) -> None:
    with torch.inference_mode():
        assert built(name, **sizes)(images(2, sizes["input_size"])).shape == (2, 10)


def test_gradients_of_resnet8_computed_in_chunks_add_up_to_the_whole_batchs() -> None:
    network = built("resnet8", input_size=8).double()
    pixels, labels = images(6, 8).double(), torch.arange(6)

    def gradient(part: slice) -> torch.Tensor:
        loss = F.cross_entropy(network(pixels[part]), labels[part], reduction="sum")
        return torch.cat([grad.flatten() for grad in torch.autograd.grad(loss, list(network.parameters()))])

    whole = gradient(slice(0, 6))
    chunks = gradient(slice(0, 2)) + gradient(slice(2, 6))
    torch.testing.assert_close(chunks, whole, rtol=1e-10, atol=1e-12)


def test_3c3ds_pooling_is_the_maximum_over_tensorflows_same_padding() -> None:
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    # 3x3 windows from rows and columns 0 and 2, cut off at the lower and right edges.
    wanted = torch.tensor([[[[10.0, 11.0], [14.0, 15.0]]]])
    pooling = next(layer for layer in built("3c3d") if isinstance(layer, nn.MaxPool2d))
    assert torch.equal(pooling(maps), wanted)


def test_a_cnn_may_have_as_many_stages_as_an_image_can_be_halved() -> None:
    with torch.inference_mode():
        assert built("cnn", channels=[4, 4, 4, 4, 4])(images(2)).shape == (2, 10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_model_starts_near_chance(name: str, init: str, seed: int) -> None:
    labels = torch.arange(256) % 10
    with torch.inference_mode():
        loss = F.cross_entropy(built(name, init, seed)(images()), labels)
    assert 2.2 <= float(loss) <= 2.7


@pytest.mark.cifar10
@pytest.mark.parametrize("name", NAMES)
def test_every_model_starts_near_chance_on_real_images(
    name: str, real: tuple[torch.Tensor, torch.Tensor]
) -> None:
    pixels, labels = real
    for seed in range(5):
        with torch.inference_mode():
            loss = F.cross_entropy(built(name, seed=seed)(pixels), labels)
        assert 2.28 <= float(loss) <= 2.62  # 2.30-2.60 measured


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("init", INITS)
def test_the_same_seed_gives_the_same_weights_whatever_torch_drew_before(name: str, init: str) -> None:
    first = built(name, init).state_dict()
    torch.rand(7)
    second = built(name, init).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_gives_other_weights_in_every_layer(name: str) -> None:
    for one, other in zip(layers(built(name, seed=0)), layers(built(name, seed=1)), strict=True):
        assert not torch.equal(one.weight, other.weight)


@pytest.mark.parametrize("name", ["mlp", "lenet", "cnn", "3c3d", "resnet8"])
def test_another_initialization_gives_other_weights_below_the_output_layer(name: str) -> None:
    first = [layers(built(name, init))[0].weight for init in INITS]
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], first[2])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("init", INITS)
def test_every_bias_starts_at_0(name: str, init: str) -> None:
    for layer in layers(built(name, init)):
        assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("init", INITS)
def test_the_output_layer_is_drawn_with_a_standard_deviation_of_a_hundredth(name: str, init: str) -> None:
    weight = layers(built(name, init))[-1].weight
    found, error = spread(weight)
    assert found == pytest.approx(0.01, rel=error)


@pytest.mark.parametrize("name", ["mlp", "lenet", "cnn", "3c3d", "resnet8"])
def test_the_layers_below_have_the_standard_deviation_of_their_initialization(name: str) -> None:
    for init in INITS:
        for layer in layers(built(name, init))[:-1]:
            weight = layer.weight
            receptive = weight[0, 0].numel()
            fan_in, fan_out = weight.shape[1] * receptive, weight.shape[0] * receptive
            expected = {
                "kaiming": (2 / fan_in) ** 0.5,  # He et al. 2015
                "xavier": (2 / (fan_in + fan_out)) ** 0.5,  # Glorot and Bengio 2010
                "normal": 0.01,
            }[init]
            found, error = spread(weight)
            assert found == pytest.approx(expected, rel=error)
