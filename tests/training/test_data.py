import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweeper import experiment as experiments
from sweeper.errors import DataError
from sweeper.experiment import Experiment
from sweeper.training import cifar, data
from sweeper.training.data import Dataset, Split

MakeExperiment = Callable[..., Experiment]


def stratified(labels: np.ndarray, *sizes: int, seed: int = 0, n_classes: int = 10) -> list[np.ndarray]:
    return data.stratified(labels.astype(np.uint8), sizes, n_classes, np.random.default_rng(seed))


def cifar100(experiment: Experiment) -> Experiment:
    return replace(experiment, data=experiment.data.model_copy(update={"name": "cifar100"}))


def contents(split: Split) -> set[bytes]:
    return {hashlib.sha256(image.tobytes()).digest() for image in split.images}


def same_images(one: Dataset, other: Dataset) -> bool:
    return all(
        np.array_equal(getattr(one, name).images, getattr(other, name).images)
        and np.array_equal(getattr(one, name).labels, getattr(other, name).labels)
        for name in ("train", "val", "test")
    )


# --- stratified ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(200, 100), (203, 97), (291, 9), (155, 155), (1, 1), (305, 5), (310,)])
def test_sets_have_their_sizes_and_share_no_image(sizes: tuple[int, ...]) -> None:
    labels = np.random.default_rng(1).permutation(np.arange(310) % 10)
    sets = stratified(labels, *sizes)
    assert [len(indices) for indices in sets] == list(sizes)
    together = np.concatenate(sets)
    assert len(np.unique(together)) == sum(sizes)
    assert together.min() >= 0
    assert together.max() < 310


@pytest.mark.parametrize("seed", range(20))
def test_the_classes_of_a_set_differ_by_at_most_one_image_whatever_the_sizes(seed: int) -> None:
    draw = np.random.default_rng(seed)
    total = int(draw.integers(20, 400))
    labels = draw.permutation(np.arange(total) % 10)
    first = int(draw.integers(10, total - 9))
    for indices in stratified(labels, first, total - first, seed=seed):
        counts = np.bincount(labels[indices], minlength=10)
        assert counts.max() - counts.min() <= 1


def test_which_classes_get_one_image_more_is_drawn() -> None:
    labels = np.arange(200) % 10
    favoured = {
        tuple(np.flatnonzero(np.bincount(labels[stratified(labels, 103, seed=seed)[0]]) == 11))
        for seed in range(10)
    }
    assert len(favoured) > 1


def test_the_same_seed_gives_the_same_sets() -> None:
    labels = np.arange(310) % 10
    for one, other in zip(
        stratified(labels, 203, 97, seed=5), stratified(labels, 203, 97, seed=5), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_other_sets() -> None:
    labels = np.arange(310) % 10
    one, other = stratified(labels, 203, seed=5)[0], stratified(labels, 203, seed=6)[0]
    assert set(one.tolist()) != set(other.tolist())


def test_a_set_comes_in_no_order_of_class_or_row() -> None:
    labels = np.sort(np.arange(1_000) % 10)
    (indices,) = stratified(labels, 500)
    assert np.any(np.diff(indices) < 0)
    assert len(np.unique(labels[indices[:50]])) > 5


def test_every_image_of_a_class_can_be_drawn() -> None:
    labels = np.arange(100) % 10
    seen = {int(index) for seed in range(40) for index in stratified(labels, 20, seed=seed)[0]}
    assert seen == set(range(100))


@pytest.mark.parametrize("sizes", [(210,), (200, 10), (199, 2)])
def test_more_images_than_there_are_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(DataError):
        stratified(np.arange(200) % 10, *sizes)


def test_a_class_with_too_few_images_is_refused_by_its_number() -> None:
    labels = np.concatenate([np.arange(200) % 10, np.zeros(50)])
    labels[labels == 7] = 8
    with pytest.raises(DataError, match="class 7 has 0 images left; 2 are needed"):
        stratified(labels, 20)


# --- channel statistics ----------------------------------------------------------------------------------


def test_the_statistics_are_numpys_in_double_precision() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2_500, 3, 32, 32), dtype=np.uint8)
    images[:, 1] //= 3
    mean, std = data.channel_statistics(images)
    exact = images.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, exact.std(axis=(0, 2, 3)), rtol=1e-9)


def test_the_statistics_do_not_depend_on_the_order_of_the_images() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (1_500, 3, 32, 32), dtype=np.uint8)
    assert data.channel_statistics(images) == data.channel_statistics(generator.permutation(images))


@pytest.mark.parametrize("level", [0, 7, 255])
def test_a_constant_channel_has_its_level_as_mean_and_counts_as_one_wide(level: int) -> None:
    images = np.full((1_001, 3, 32, 32), level, dtype=np.uint8)
    assert data.channel_statistics(images) == ((level,) * 3, (1.0,) * 3)


# --- averaging down --------------------------------------------------------------------------------------


def blocks(values: np.ndarray) -> np.ndarray:
    """One image, the same in its three channels."""
    return np.broadcast_to(values.astype(np.uint8), (1, 3, *values.shape)).copy()


@pytest.mark.parametrize(
    ("block", "mean"),
    [
        ([[10, 20], [30, 40]], 25),
        ([[0, 0], [0, 1]], 0),  # 0.25
        ([[0, 0], [1, 1]], 1),  # 0.5 goes up
        ([[0, 1], [1, 1]], 1),  # 0.75
        ([[2, 2], [3, 3]], 3),  # 2.5 goes up too, not to the even 2
        ([[255, 255], [255, 254]], 255),  # 254.75; in uint8 the sum would overflow
    ],
)
def test_a_pixel_is_the_mean_of_its_block_rounded_to_the_nearest(block: list[list[int]], mean: int) -> None:
    assert data.averaged_down(blocks(np.array(block)), 1).tolist() == [[[[mean]]] * 3]


@pytest.mark.parametrize("side", [16, 8])
@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_a_grey_image_keeps_its_level(side: int, level: int) -> None:
    grey = np.full((2, 3, 32, 32), level, dtype=np.uint8)
    small = data.averaged_down(grey, side)
    assert (small.shape, small.dtype) == ((2, 3, side, side), np.uint8)
    assert set(small.ravel().tolist()) == {level}


def test_a_ramp_over_the_rows_becomes_the_ramp_of_its_block_means() -> None:
    # Rows of level 8 y: the means of four rows are 8 (4 y + 1.5) = 32 y + 12.
    ramp = blocks(np.repeat(8 * np.arange(32)[:, None], 32, axis=1))
    small = data.averaged_down(ramp, 8)
    np.testing.assert_array_equal(small[0, 0], np.repeat(32 * np.arange(8)[:, None] + 12, 8, axis=1))
    turned = data.averaged_down(ramp.transpose(0, 1, 3, 2), 8)
    np.testing.assert_array_equal(turned, small.transpose(0, 1, 3, 2))


def test_a_block_takes_nothing_from_its_neighbours_nor_from_another_channel() -> None:
    image = np.zeros((2, 3, 32, 32), dtype=np.uint8)
    image[1, 2, 4:8, 12:16] = 200
    small = data.averaged_down(image, 8)
    assert np.argwhere(small).tolist() == [[1, 2, 1, 3]]
    assert small.max() == 200


@pytest.mark.parametrize("side", [16, 8])
def test_averaging_down_moves_no_mean_by_more_than_half_a_grey_level(side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 32, 32), dtype=np.uint8)
    k = 32 // side
    exact = images.reshape(50, 3, side, k, side, k).astype(np.float64).mean(axis=(3, 5))
    assert np.abs(data.averaged_down(images, side) - exact).max() <= 0.5


def test_images_of_full_size_are_left_as_they_are() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    np.testing.assert_array_equal(data.averaged_down(images, 32), images)


# --- load ------------------------------------------------------------------------------------------------


def test_generated_images_have_the_sizes_of_the_experiment(make_experiment: MakeExperiment) -> None:
    loaded = data.load(make_experiment("data.train_size=203", "data.val_size=57", "data.test_size=41"))
    for split, n in ((loaded.train, 203), (loaded.val, 57), (loaded.test, 41)):
        assert len(split) == n
        assert (split.images.shape, split.images.dtype) == ((n, 3, 32, 32), np.uint8)
        assert (split.labels.shape, split.labels.dtype) == ((n,), np.int64)
        assert split.images.flags.c_contiguous
        counts = np.bincount(split.labels, minlength=10)
        assert len(counts) == loaded.n_classes == 10
        assert counts.max() - counts.min() <= 1


def test_loading_twice_gives_the_same_images(make_experiment: MakeExperiment) -> None:
    one, other = data.load(make_experiment()), data.load(make_experiment())
    assert one.sha256 == other.sha256
    assert same_images(one, other)


def test_another_experiment_seed_generates_other_images(make_experiment: MakeExperiment) -> None:
    one, other = data.load(make_experiment()), data.load(make_experiment("experiment.seed=1"))
    assert one.sha256 != other.sha256
    assert contents(one.train).isdisjoint(contents(other.train))


def test_no_generated_image_is_in_two_splits(make_experiment: MakeExperiment) -> None:
    loaded = data.load(make_experiment())
    train, val, test = contents(loaded.train), contents(loaded.val), contents(loaded.test)
    assert len(train | val | test) == 200 + 100 + 100


def test_mean_and_deviation_are_those_of_the_training_images_alone(make_experiment: MakeExperiment) -> None:
    loaded = data.load(make_experiment())
    train = loaded.train.images.astype(np.float64)
    np.testing.assert_allclose(loaded.mean, train.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(loaded.std, train.std(axis=(0, 2, 3)), rtol=1e-9)


def with_input_size(experiment: Experiment, side: int) -> Experiment:
    return replace(experiment, model=experiment.model.model_copy(update={"input_size": side}))


@pytest.mark.parametrize("side", [16, 8])
def test_an_input_size_averages_the_images_of_every_split_down(
    side: int, make_experiment: MakeExperiment
) -> None:
    full = data.load(make_experiment())
    small = data.load(with_input_size(make_experiment(), side))
    for name in ("train", "val", "test"):
        one, other = getattr(full, name), getattr(small, name)
        np.testing.assert_array_equal(data.averaged_down(one.images, side), other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert other.images.flags.c_contiguous


def test_mean_and_deviation_are_those_of_the_averaged_images(make_experiment: MakeExperiment) -> None:
    small = data.load(with_input_size(make_experiment(), 8))
    train = small.train.images.astype(np.float64)
    np.testing.assert_allclose(small.mean, train.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(small.std, train.std(axis=(0, 2, 3)), rtol=1e-9)


def test_the_hash_is_that_of_the_images_at_full_size(make_experiment: MakeExperiment) -> None:
    assert data.load(with_input_size(make_experiment(), 8)).sha256 == data.load(make_experiment()).sha256


def test_nbytes_counts_every_image_and_label(make_experiment: MakeExperiment) -> None:
    assert data.load(make_experiment()).nbytes == 400 * (3 * 32 * 32 + 8)


def test_the_description_tells_name_sizes_source_and_hash(images: Dataset) -> None:
    assert images.description() == (
        "synthetic: 200 training, 100 validation, 100 test images (a test, sha256 000000000000)"
    )


def test_a_data_directory_without_images_is_refused_with_both_names_it_may_hold(
    make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as refused:
        data.load(make_experiment("data.name=cifar10"), tmp_path)
    message = str(refused.value)
    assert message.startswith(f"{tmp_path}: ")
    assert "cifar-10-batches-bin/" in message
    assert "cifar-10-binary.tar.gz" in message


def test_a_data_directory_without_cifar100_is_refused_with_its_names_and_not_cifar10s(
    make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    (tmp_path / "cifar-10-batches-bin").mkdir()
    with pytest.raises(DataError) as refused:
        data.load(cifar100(make_experiment()), tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: holds neither cifar-100-binary/ nor cifar-100-binary.tar.gz; "
        f"`sweeper data fetch cifar100 --data-dir {tmp_path}` downloads it"
    )


def test_cifar100_is_split_by_its_hundred_fine_labels(
    make_experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(cifar.CIFAR100, train_rows=400, test_rows=100)
    monkeypatch.setattr(cifar, "ARCHIVES", {"cifar100": small})
    directory = tmp_path / "cifar-100-binary"
    directory.mkdir()
    draw = np.random.default_rng(0)
    for name, n_rows in (("train.bin", 400), ("test.bin", 100)):
        rows = draw.integers(0, 256, (n_rows, 3_074), dtype=np.uint8)
        rows[:, 1] = np.arange(n_rows) % 100
        rows[:, 0] = rows[:, 1] // 5
        rows.tofile(directory / name)
    loaded = data.load(cifar100(make_experiment()), tmp_path)
    assert (loaded.name, loaded.n_classes, loaded.source) == ("cifar100", 100, str(directory))
    for split, share in ((loaded.train, 2), (loaded.val, 1), (loaded.test, 1)):
        assert split.images.shape == (100 * share, 3, 32, 32)
        assert np.bincount(split.labels).tolist() == [share] * 100


def test_a_data_directory_that_does_not_exist_is_refused_by_name(
    make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as refused:
        data.load(make_experiment("data.name=cifar10"), tmp_path / "none")
    assert str(tmp_path / "none") in str(refused.value)


def test_the_data_directory_is_the_named_one_then_the_environments_then_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWEEPER_DATA", "from-environment")
    assert data.directory("named") == Path("named")
    assert data.directory() == Path("from-environment")
    monkeypatch.setenv("SWEEPER_DATA", "")
    assert data.directory() is None
    monkeypatch.delenv("SWEEPER_DATA")
    assert data.directory() is None


# --- real CIFAR-10 ---------------------------------------------------------------------------------------

REAL = ("data.name=cifar10", "data.train_size=3001", "data.val_size=1003", "data.test_size=999")


@pytest.mark.cifar10
def test_cifar10_is_drawn_stratified_in_the_sizes_of_the_experiment(
    cifar10_dir: Path, make_experiment: MakeExperiment
) -> None:
    loaded = data.load(make_experiment(*REAL), cifar10_dir)
    for split, n in ((loaded.train, 3_001), (loaded.val, 1_003), (loaded.test, 999)):
        assert split.images.shape == (n, 3, 32, 32)
        counts = np.bincount(split.labels, minlength=10)
        assert (counts.sum(), counts.max() - counts.min()) == (n, 1)


@pytest.mark.cifar10
def test_no_image_of_cifar10_is_in_two_splits(cifar10_dir: Path, make_experiment: MakeExperiment) -> None:
    loaded = data.load(make_experiment(*REAL), cifar10_dir)
    train, val, test = contents(loaded.train), contents(loaded.val), contents(loaded.test)
    assert train.isdisjoint(val)
    assert train.isdisjoint(test)
    assert val.isdisjoint(test)


@pytest.mark.cifar10
def test_cifar10_is_split_the_same_every_time(cifar10_dir: Path, make_experiment: MakeExperiment) -> None:
    one, other = (data.load(make_experiment(*REAL), cifar10_dir) for _ in range(2))
    assert one.sha256 == other.sha256
    assert same_images(one, other)


@pytest.mark.cifar10
def test_another_experiment_seed_splits_the_same_cifar10_otherwise(
    cifar10_dir: Path, make_experiment: MakeExperiment
) -> None:
    one = data.load(make_experiment(*REAL), cifar10_dir)
    other = data.load(make_experiment(*REAL, "experiment.seed=1"), cifar10_dir)
    assert one.sha256 == other.sha256
    assert contents(one.train) != contents(other.train)


@pytest.mark.cifar10
def test_cifar10_has_its_known_mean_and_deviation(cifar10_dir: Path, make_experiment: MakeExperiment) -> None:
    loaded = data.load(
        make_experiment("data.name=cifar10", "data.train_size=45000", "data.val_size=5000"), cifar10_dir
    )
    # Widely published for the 50,000 training images, in 0..1; 45,000 of them differ by less than 0.001.
    np.testing.assert_allclose(np.divide(loaded.mean, 255), [0.4914, 0.4822, 0.4465], atol=0.002)
    np.testing.assert_allclose(np.divide(loaded.std, 255), [0.2470, 0.2435, 0.2616], atol=0.002)


@pytest.mark.cifar10
def test_another_training_size_keeps_the_validation_and_the_test_images(cifar10_dir: Path) -> None:
    def loaded(train_size: int) -> data.Dataset:
        settings = [f"data.train_size={train_size}", "data.val_size=500", "data.test_size=300"]
        return data.load(experiments.loads('[experiment]\nname = "t"', settings), cifar10_dir)

    small, large = loaded(1_000), loaded(20_000)
    np.testing.assert_array_equal(small.val.images, large.val.images)
    np.testing.assert_array_equal(small.test.images, large.test.images)
