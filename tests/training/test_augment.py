"""Augmentation, held against one image at a time in numpy."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from sweeper import seeds
from sweeper.training.augment import Augmentation
from sweeper.training.data import Dataset
from sweeper.training.device import DeviceData

CPU = torch.device("cpu")
Pixels = npt.NDArray[np.uint8]


def noise(n: int, side: int = 32, seed: int = 0) -> torch.Tensor:
    """Images without a pixel of 0, so that 0 tells padding."""
    pixels = np.random.default_rng(seed).integers(1, 256, (n, 3, side, side), dtype=np.uint8)
    return torch.from_numpy(pixels)


def augmented(pixels: torch.Tensor, seed: int = 1) -> torch.Tensor:
    """A whole epoch at once."""
    return Augmentation(len(pixels), pixels.shape[-1], seed, CPU).apply(pixels, slice(0, len(pixels)))


def every_way(image: Pixels) -> dict[tuple[int, int, bool], bytes]:
    """All that a shift and a flip can make of one image, by offset down, offset right, and flip.

    Padding and cropping are numpy's own and a plain slice: nothing is shared with what is tested.
    """
    side = image.shape[-1]
    p = side // 8
    padded = np.pad(image, ((0, 0), (p, p), (p, p)))
    ways = {}
    for down in range(2 * p + 1):
        for right in range(2 * p + 1):
            crop = padded[:, down : down + side, right : right + side]
            ways[down, right, False] = crop.tobytes()
            ways[down, right, True] = crop[:, :, ::-1].tobytes()
    return ways


def draws(pixels: torch.Tensor, seen: torch.Tensor) -> list[tuple[int, int, bool]]:
    """What happened to each image. Fails where nothing legal did."""
    found = []
    for image, result in zip(pixels.numpy(), seen.numpy(), strict=True):
        matching = [way for way, content in every_way(image).items() if content == result.tobytes()]
        assert len(matching) == 1  # of noise, no two ways are the same
        found += matching
    return found


@pytest.mark.parametrize(("side", "n_ways"), [(32, 162), (16, 50), (8, 18)])
def test_each_image_is_a_crop_of_its_padded_self_or_the_mirror_image_of_one(side: int, n_ways: int) -> None:
    pixels = noise(100, side)
    assert len(set(every_way(pixels[0].numpy()).values())) == n_ways  # 9 * 9 * 2 at 4 pixels of padding
    draws(pixels, augmented(pixels))


def test_images_are_seen_in_many_ways() -> None:
    pixels = noise(100)
    assert len(set(draws(pixels, augmented(pixels)))) > 50  # of 162; 75 expected


def many_draws(n: int = 20_000) -> list[tuple[int, int, bool]]:
    """The draws of `n` images of 8 x 8 that are all alike, so that a look-up tells them."""
    image = noise(1, 8)
    ways = {content: way for way, content in every_way(image[0].numpy()).items()}
    seen = augmented(image.expand(n, -1, -1, -1)).numpy()
    return [ways[result.tobytes()] for result in seen]


def test_every_shift_with_and_without_a_flip_is_equally_frequent() -> None:
    counts = np.unique(np.array(many_draws()), axis=0, return_counts=True)[1]
    assert len(counts) == 3 * 3 * 2
    # Pearson's chi square with 17 degrees of freedom: 40.8 is passed by one fair draw in a thousand.
    expected = 20_000 / 18
    assert np.sum((counts - expected) ** 2 / expected) < 40.8


def test_half_of_the_images_are_flipped() -> None:
    share = np.mean([is_flipped for _, _, is_flipped in many_draws()])
    assert share == pytest.approx(0.5, abs=4 * 0.5 / 20_000**0.5)


def test_an_image_reaches_every_offset_from_0_to_twice_the_padding() -> None:
    offsets = draws(noise(300), augmented(noise(300)))
    assert {down for down, _, _ in offsets} == set(range(9))
    assert {right for _, right, _ in offsets} == set(range(9))


@pytest.mark.parametrize("batch_size", [1, 7, 32, 99, 100])
def test_what_happens_to_an_image_does_not_depend_on_the_batches(batch_size: int) -> None:
    pixels = noise(100)
    augmentation = Augmentation(100, 32, 1, CPU)
    parts = [slice(start, start + batch_size) for start in range(0, 100, batch_size)]
    batches = [augmentation.apply(pixels[part], part) for part in reversed(parts)]
    assert torch.equal(torch.cat(batches[::-1]), augmented(pixels))


def test_a_batch_that_is_asked_for_twice_is_the_same_twice() -> None:
    pixels, part = noise(10), slice(20, 30)
    augmentation = Augmentation(100, 32, 1, CPU)
    assert torch.equal(augmentation.apply(pixels, part), augmentation.apply(pixels, part))


def test_the_same_seed_changes_images_the_same_way_and_another_seed_otherwise() -> None:
    pixels = noise(50)
    assert torch.equal(augmented(pixels, seed=5), augmented(pixels, seed=5))
    assert not torch.equal(augmented(pixels, seed=5), augmented(pixels, seed=6))


def test_the_next_epoch_changes_the_same_images_otherwise() -> None:
    pixels = noise(50)
    first, second = (augmented(pixels, seeds.augmentation(7, epoch)) for epoch in (1, 2))
    assert not torch.equal(first, second)


def test_no_other_random_generator_is_touched() -> None:
    before = torch.get_rng_state()
    augmented(noise(10))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_images_themselves_stay_as_they_are() -> None:
    pixels = noise(50)
    augmented(pixels)
    assert torch.equal(pixels, noise(50))


def test_an_augmented_batch_is_contiguous_bytes_of_the_old_shape() -> None:
    seen = augmented(noise(5, 16))
    assert (seen.shape, seen.dtype, seen.is_contiguous()) == ((5, 3, 16, 16), torch.uint8, True)


# --- in a batch ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_batch_is_augmented_before_it_is_normalized(
    images: Dataset, memory_format: torch.memory_format
) -> None:
    data = DeviceData(images, CPU)
    augmentation = Augmentation(200, 32, 1, CPU)
    index, part = torch.arange(199, -1, -1)[40:60], slice(40, 60)
    found, labels = data.batch(data.train, index, memory_format, augmentation, part)
    seen = augmentation.apply(data.train.pixels[index], part)
    expected = (seen.double() - 130) / 60  # the mean and the standard deviation of `images`
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)
    assert torch.equal(labels, data.train.labels[index])
    assert found.is_contiguous(memory_format=memory_format)


def test_without_an_augmentation_a_batch_is_of_the_images_as_they_are(images: Dataset) -> None:
    data = DeviceData(images, CPU)
    found, _ = data.batch(data.train, slice(0, 20), torch.contiguous_format)
    torch.testing.assert_close(found * 60 + 130, data.train.pixels[:20].float())


def test_an_augmented_batch_leaves_the_shared_images_alone(images: Dataset) -> None:
    before = images.train.images.copy()
    data = DeviceData(images, CPU)
    data.batch(
        data.train, slice(0, 200), torch.contiguous_format, Augmentation(200, 32, 1, CPU), slice(0, 200)
    )
    np.testing.assert_array_equal(images.train.images, before)
