import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sweeper import experiment as experiments
from sweeper.errors import DataError
from sweeper.experiment import Experiment
from sweeper.training import data
from sweeper.training.data import Dataset, Split

MakeExperiment = Callable[..., Experiment]


def stratified(labels: np.ndarray, *sizes: int, seed: int = 0, n_classes: int = 10) -> list[np.ndarray]:
    return data.stratified(labels.astype(np.uint8), sizes, n_classes, np.random.default_rng(seed))


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
