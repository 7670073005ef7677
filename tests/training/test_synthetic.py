import numpy as np
import pytest

from sweeper import experiment
from sweeper.records import Origin, Phase, Trial, TrialKey
from sweeper.training import data, device, loop, synthetic


def test_images_have_the_layout_of_cifar10() -> None:
    train, test = synthetic.generate(30, 20, seed=0)
    assert train.shape == (30, 3073)
    assert test.shape == (20, 3073)
    assert train.dtype == test.dtype == np.uint8
    assert set(train[:, 0]) == set(range(10))


def test_the_same_seed_gives_the_same_images() -> None:
    n = synthetic.CHUNK + 100
    for once, again in zip(synthetic.generate(n, 50, 3), synthetic.generate(n, 50, 3), strict=True):
        np.testing.assert_array_equal(once, again)


def test_another_seed_gives_other_images() -> None:
    (first, _), (second, _) = synthetic.generate(50, 0, 1), synthetic.generate(50, 0, 2)
    assert not np.any(np.all(first[:, 1:] == second[:, 1:], axis=1))


def test_no_image_comes_twice() -> None:
    train, test = synthetic.generate(synthetic.CHUNK + 200, 300, 0)
    images = [row[1:].tobytes() for row in np.concatenate([train, test])]
    assert len(set(images)) == len(images)


@pytest.mark.parametrize(("n_train", "n_test"), [(100, 50), (25, 13), (7, 0)])
def test_classes_are_as_balanced_as_the_size_allows(n_train: int, n_test: int) -> None:
    for part, n in zip(synthetic.generate(n_train, n_test, 0), (n_train, n_test), strict=True):
        counts = np.bincount(part[:, 0], minlength=10)
        assert len(counts) == 10
        assert counts.sum() == n
        assert counts.max() - counts.min() <= 1


def test_rows_come_in_random_order() -> None:
    labels = synthetic.generate(1_000, 0, 0)[0][:, 0]
    halves = np.bincount(labels[:500], minlength=10)
    assert 30 < halves.min() < halves.max() < 70
    assert np.count_nonzero(np.diff(labels.astype(int)) == 1) < 200


def test_channels_are_about_as_bright_and_as_varied_as_in_cifar10() -> None:
    images = synthetic.generate(2_000, 0, 0)[0][:, 1:].reshape(-1, 3, 1024)
    np.testing.assert_allclose(images.mean(axis=(0, 2)), (126, 123, 114), atol=4)
    np.testing.assert_allclose(images.std(axis=(0, 2)), (63, 62, 67), atol=12)


def _accuracy(model: str, rule: str, lr: float, epochs: int, train_size: int, seed: int) -> float:
    """The final accuracy on 1,000 images that were not trained on."""
    settings = [
        "data.name=synthetic",
        f"data.train_size={train_size}",
        "data.val_size=1000",
        "data.test_size=10",
        f"model.name={model}",
        f"budget.epochs={epochs}",
        f"experiment.seed={seed}",
    ]
    described = experiment.loads('[experiment]\nname="calibration"', settings)
    device.configure(1)
    images = device.DeviceData(data.load(described), device.choose(False))
    params = {"lr": lr, "batch_size": 64}
    trial = Trial(TrialKey(rule, Phase.SEARCH, 0), seed, params, {}, Origin.PROPOSED, True, 0)
    training = loop.Training(trial, described, images)
    while not training.is_finished:
        record = training.next_epoch()
    assert record.val_accuracy is not None
    return record.val_accuracy


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(5))
def test_a_convolutional_network_beats_a_linear_model_and_saturates_nothing(seed: int) -> None:
    linear = _accuracy("linear", "adam", 1e-3, epochs=3, train_size=3_200, seed=seed)
    cnn = _accuracy("cnn", "adam", 2e-3, epochs=3, train_size=3_200, seed=seed)
    assert 0.2 < linear < cnn < 0.97


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_adam_is_clearly_ahead_of_sgd_on_lenet() -> None:
    adam = [_accuracy("lenet", "adam", 2e-3, 4, 4_992, seed) for seed in range(2)]
    sgd = [_accuracy("lenet", "sgd", 5e-2, 4, 4_992, seed) for seed in range(2)]
    assert np.mean(adam) - np.mean(sgd) > 0.03
    assert np.mean(sgd) + np.std(sgd, ddof=1) < np.mean(adam)
