import hashlib
import math
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sweeper import seeds
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, Trial
from sweeper.training import device, models
from sweeper.training.augment import Augmentation
from sweeper.training.data import Dataset, Split
from sweeper.training.device import DeviceData, Images
from sweeper.training.loop import Training

MakeExperiment = Callable[..., Experiment]
MakeTrial = Callable[..., Trial]

CPU = torch.device("cpu")
SMALL_CNN = ("model.name=cnn", "model.channels=[4, 8]")
TINY_LR = 1e-30  # so small that no weight changes


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sets this process up as a worker's, and back."""
    n_threads = torch.get_num_threads()
    deterministic = torch.backends.cudnn.deterministic
    device.configure(threads=1)
    yield
    torch.set_num_threads(n_threads)
    torch.set_flush_denormal(False)
    torch.backends.cudnn.deterministic = deterministic


class Watched(DeviceData):
    """Remembers which training images it was asked for, batch by batch."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset, CPU)
        self.asked: list[list[int]] = []

    def batch(
        self,
        images: Images,
        index: torch.Tensor | slice,
        memory_format: torch.memory_format,
        augmentation: Augmentation | None = None,
        positions: slice = slice(None),
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if images is self.train and isinstance(index, torch.Tensor):
            self.asked.append(index.tolist())
        return super().batch(images, index, memory_format, augmentation, positions)

    def order(self) -> list[int]:
        return [row for batch in self.asked for row in batch]


def train(trial: Trial, experiment: Experiment, images: Dataset) -> list[EpochRecord]:
    """Every epoch of `trial`."""
    training = Training(trial, experiment, DeviceData(images, CPU))
    records = []
    while not training.is_finished:
        records.append(training.next_epoch())
    return records


def numbers(records: list[EpochRecord]) -> list[tuple[object, ...]]:
    """What must not change from run to run: everything but the seconds."""
    return [(r.epoch, r.samples, r.steps, r.train_loss, r.val_loss, r.val_accuracy, r.lr) for r in records]


def losses(trial: Trial, experiment: Experiment, images: Dataset) -> list[float]:
    return [record.train_loss for record in train(trial, experiment, images)]


# --- the same numbers from run to run --------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("model", [("model.name=linear",), SMALL_CNN], ids=["linear", "cnn"])
def test_the_same_trial_gives_the_same_numbers_to_the_last_bit(
    optimizer: str,
    model: tuple[str, ...],
    make_experiment: MakeExperiment,
    make_trial: MakeTrial,
    images: Dataset,
) -> None:
    experiment, trial = make_experiment(*model), make_trial(optimizer)
    first = train(trial, experiment, images)
    assert len(first) == 2
    assert numbers(train(trial, experiment, images)) == numbers(first)


def test_a_trials_numbers_do_not_depend_on_global_random_state_or_on_other_trials(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    experiment = make_experiment(*SMALL_CNN)
    first = train(make_trial(), experiment, images)
    torch.rand(3)
    random.random()
    train(make_trial("adam", seed=8), experiment, images)
    assert numbers(train(make_trial(), experiment, images)) == numbers(first)


def test_a_trial_stopped_between_epochs_goes_on_as_if_it_had_not_been(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    data = DeviceData(images, CPU)
    one, other = (Training(make_trial("adam"), make_experiment(), data) for _ in range(2))
    turns = [one.next_epoch(), other.next_epoch(), one.next_epoch(), other.next_epoch()]
    assert numbers(turns[0::2]) == numbers(turns[1::2])


def test_another_seed_gives_other_numbers(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    experiment = make_experiment()
    one = train(make_trial(seed=7), experiment, images)
    other = train(make_trial(seed=8), experiment, images)
    assert [r.train_loss for r in one] != [r.train_loss for r in other]


def test_a_trial_starts_from_the_weights_of_its_seed(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    experiment = make_experiment("budget.epochs=1")
    generator = torch.Generator().manual_seed(seeds.weights(7))
    network = models.build(experiment.model, 10, "kaiming", generator)
    with torch.inference_mode():
        pixels = (torch.tensor(images.val.images).float() - 130) / 60
        expected = F.cross_entropy(network(pixels), torch.tensor(images.val.labels))
    (record,) = train(make_trial(lr=TINY_LR), experiment, images)
    assert record.val_loss == pytest.approx(float(expected), rel=1e-5)


# --- the data order --------------------------------------------------------------------------------------


def watched(experiment: Experiment, trial: Trial, images: Dataset, n_epochs: int = 1) -> Watched:
    data = Watched(images)
    training = Training(trial, experiment, data)
    for _ in range(n_epochs):
        data.asked.clear()
        training.next_epoch()
    return data


@pytest.mark.parametrize("batch_size", [7, 200, 1_000])
def test_the_images_come_in_the_same_order_whatever_the_batch_size(
    batch_size: int, make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    experiment = make_experiment()
    for epoch in (1, 2):
        one = watched(experiment, make_trial(batch_size=50), images, epoch)
        other = watched(experiment, make_trial(batch_size=batch_size), images, epoch)
        assert one.order() == other.order()


def test_the_images_come_in_the_same_order_whatever_the_optimizer(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    experiment = make_experiment()
    one = watched(experiment, make_trial("sgd"), images)
    other = watched(experiment, make_trial("adam"), images)
    assert one.order() == other.order()


def test_every_epoch_shuffles_the_images_anew(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    experiment = make_experiment()
    first, second = (watched(experiment, make_trial(), images, epoch).order() for epoch in (1, 2))
    assert first != second
    assert first != sorted(first)


def test_another_seed_shuffles_the_images_otherwise(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    one, other = (watched(make_experiment(), make_trial(seed=seed), images) for seed in (7, 8))
    assert one.order() != other.order()


@pytest.mark.parametrize("batch_size", [1, 30, 200, 201])
def test_an_epoch_trains_on_every_image_once(
    batch_size: int, make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    data = watched(make_experiment(), make_trial(batch_size=batch_size), images)
    assert sorted(data.order()) == list(range(200))


def test_samples_and_steps_count_from_the_trials_start_the_last_smaller_batch_included(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    records = train(make_trial(batch_size=30), make_experiment("budget.epochs=3"), images)
    assert [r.epoch for r in records] == [1, 2, 3]
    assert [r.samples for r in records] == [200, 400, 600]
    assert [r.steps for r in records] == [7, 14, 21]  # six batches of 30, and one of 20
    assert [r.grad_evals for r in records] == [7, 14, 21]


def test_the_reported_training_loss_weighs_every_image_alike(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    # With weights that stand still the mean over images is the same for any cut into batches.
    experiment = make_experiment("budget.epochs=1")
    means = [
        losses(make_trial(batch_size=size, lr=TINY_LR), experiment, images)[0] for size in (1, 30, 64, 200)
    ]
    np.testing.assert_allclose(means, means[0], rtol=1e-5)


# --- validation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eval_every", "validated"),
    [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (3, [3, 5]), (5, [5]), (9, [5])],
)
def test_a_trial_is_validated_where_it_is_due_and_always_at_the_end(
    eval_every: int,
    validated: list[int],
    make_experiment: MakeExperiment,
    make_trial: MakeTrial,
    images: Dataset,
) -> None:
    experiment = make_experiment("budget.epochs=5", f"budget.eval_every={eval_every}")
    records = train(make_trial(), experiment, images)
    assert [r.epoch for r in records if r.val_loss is not None] == validated
    assert [r.epoch for r in records if r.val_accuracy is not None] == validated


def test_validating_less_often_changes_no_other_number(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    often, seldom = (
        train(make_trial(), make_experiment("budget.epochs=3", f"budget.eval_every={n}"), images)
        for n in (1, 3)
    )
    assert [r.train_loss for r in often] == [r.train_loss for r in seldom]
    assert often[-1].val_loss == seldom[-1].val_loss


def test_a_trial_learns_what_can_be_learned(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    records = train(make_trial("adam", lr=1e-3), make_experiment(*SMALL_CNN, "budget.epochs=8"), images)
    assert records[-1].train_loss < records[0].train_loss
    assert records[-1].val_accuracy is not None
    assert records[-1].val_accuracy > 0.2  # twice chance: brightness tells the class


def test_validation_sees_every_image_once_over_several_batches(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    # 1,100 images are more than two evaluation batches of 500; eleven copies of 100 have the same mean.
    eleven = replace(
        images, val=Split(np.tile(images.val.images, (11, 1, 1, 1)), np.tile(images.val.labels, 11))
    )
    experiment = make_experiment("budget.epochs=1")
    (once,), (often,) = train(make_trial(), experiment, images), train(make_trial(), experiment, eleven)
    assert once.val_loss is not None
    assert often.val_loss == pytest.approx(once.val_loss, rel=1e-6)
    assert often.val_accuracy == once.val_accuracy


def test_the_objective_train_loss_is_evaluated_after_the_epoch_on_a_part_as_large_as_validation(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    # Validation images that are the first training images must then give the very same loss.
    first = Split(images.train.images[:100].copy(), images.train.labels[:100].copy())
    records = train(
        make_trial(), make_experiment("experiment.objective=train_loss"), replace(images, val=first)
    )
    assert [r.train_loss for r in records] == [r.val_loss for r in records]


def test_the_objective_train_loss_is_evaluated_on_all_training_images_where_validation_has_more(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    small = replace(images, train=Split(images.val.images[:80], images.val.labels[:80]), val=images.train)
    both = replace(small, val=small.train)
    experiment = make_experiment("experiment.objective=train_loss")
    expected = [record.val_loss for record in train(make_trial(), experiment, both)]
    assert losses(make_trial(), experiment, small) == expected


def test_any_other_objective_reports_the_mean_of_the_losses_seen_on_the_way(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    seen = losses(make_trial(), make_experiment("budget.epochs=1"), images)
    evaluated = losses(
        make_trial(), make_experiment("budget.epochs=1", "experiment.objective=train_loss"), images
    )
    assert seen != evaluated


@pytest.mark.parametrize("objective", ["val_loss", "train_loss"])
def test_no_reported_loss_contains_the_l2_term(
    objective: str, make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    experiment = make_experiment(f"experiment.objective={objective}")
    plain = train(make_trial(lr=TINY_LR), experiment, images)
    heavy = train(make_trial(lr=TINY_LR, weight_decay=1_000.0), experiment, images)
    assert numbers(heavy) == numbers(plain)


def test_weight_decay_reaches_the_update_rule(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    plain = losses(make_trial(), make_experiment(), images)
    assert losses(make_trial(weight_decay=0.1), make_experiment(), images) != plain


def test_an_epoch_record_tells_the_learning_rate_and_its_seconds(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    for record in train(make_trial(lr=0.0125), make_experiment(), images):
        assert record.lr == 0.0125
        assert record.train_s > 0
        assert record.eval_s > 0
        assert record.recorded_at.utcoffset() is not None


# --- divergence ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [1e4, 1e38])
def test_a_trial_that_diverges_ends_after_that_epoch(
    lr: float, make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    training = Training(make_trial(lr=lr), make_experiment("budget.epochs=5"), DeviceData(images, CPU))
    record = training.next_epoch()
    assert not record.train_loss < 100 * math.log(10)  # above it, or NaN
    assert training.has_diverged
    assert training.is_finished
    assert training.epochs_done == 1


def test_a_trial_diverges_by_its_training_loss_where_it_is_not_validated(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    experiment = make_experiment("budget.epochs=5", "budget.eval_every=5")
    (record,) = train(make_trial(lr=1e4), experiment, images)
    assert record.val_loss is None


def test_a_trial_that_gets_worse_by_less_than_a_hundredfold_goes_on(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    records = train(make_trial(lr=0.5), make_experiment("budget.epochs=3"), images)
    assert len(records) == 3
    assert all(2 * math.log(10) < r.train_loss < 90 * math.log(10) for r in records)


def test_divergence_is_measured_against_the_loss_of_the_first_batch(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    # At inputs and biases of 0 the first loss is ln 10 exactly, so the bound is 230.26. Batches of one image
    # push the biases alone, by lr a step: the losses seen grow in proportion to it.
    flat = np.full_like(images.train.images, 130)
    data = DeviceData(replace(images, train=Split(flat, images.train.labels)), CPU)
    found = []
    for lr in (200.0, 700.0):
        training = Training(make_trial(lr=lr, batch_size=1), make_experiment("budget.eval_every=2"), data)
        found.append((training.next_epoch().train_loss, training.has_diverged))
    (low, low_diverged), (high, high_diverged) = found
    assert 23 < low < 230.25
    assert not low_diverged
    assert high > 230.27
    assert high_diverged


# --- the images on the device ----------------------------------------------------------------------------


def checksum(dataset: Dataset) -> str:
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.val, dataset.test):
        digest.update(split.images.tobytes())
        digest.update(split.labels.tobytes())
    return digest.hexdigest()


def test_a_trial_trains_on_shared_read_only_images_without_changing_them(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset
) -> None:
    for split in (images.train, images.val, images.test):
        split.images.flags.writeable = False
        split.labels.flags.writeable = False
    before = checksum(images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(make_trial(), make_experiment(*SMALL_CNN), images)
    assert checksum(images) == before


@pytest.mark.parametrize("writeable", [False, True])
def test_the_images_lie_on_the_cpu_without_a_copy(images: Dataset, writeable: bool) -> None:
    images.train.images.flags.writeable = writeable
    pixels = DeviceData(images, CPU).train.pixels
    assert pixels.data_ptr() == images.train.images.ctypes.data
    assert pixels.dtype == torch.uint8


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_training_images_are_normalized_to_mean_0_and_deviation_1(
    images: Dataset, memory_format: torch.memory_format
) -> None:
    pixels = images.train.images.astype(np.float64)
    mean, std = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
    exact = replace(images, mean=tuple(mean.tolist()), std=tuple(std.tolist()))
    data = DeviceData(exact, CPU)
    found, labels = data.batch(data.train, slice(0, 200), memory_format)
    assert found.shape == (200, 3, 32, 32)
    assert found.is_contiguous(memory_format=memory_format)
    np.testing.assert_allclose(found.mean(dim=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(dim=(0, 2, 3)), 1, atol=1e-4)
    expected = (pixels - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(labels, images.train.labels)


def test_a_batch_holds_the_images_that_were_asked_for_in_that_order(images: Dataset) -> None:
    data = DeviceData(images, CPU)
    pixels, labels = data.batch(data.val, torch.tensor([7, 3, 3]), torch.contiguous_format)
    np.testing.assert_array_equal(labels, images.val.labels[[7, 3, 3]])
    np.testing.assert_allclose(
        pixels, (images.val.images[[7, 3, 3]].astype(np.float64) - 130) / 60, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("index", [slice(3, 8), torch.tensor([7, 3, 3])])
def test_however_a_batch_is_made_its_numbers_are_the_same(
    images: Dataset, index: torch.Tensor | slice, memory_format: torch.memory_format
) -> None:
    data = DeviceData(images, CPU)
    found, _ = data.batch(data.train, index, memory_format)
    mean, std = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (images.mean, images.std))
    assert torch.equal(found, (data.train.pixels[index] - mean) * (1 / std))


def test_who_wants_no_gpu_trains_on_the_cpu_and_is_told_its_name() -> None:
    chosen = device.choose(wants_gpu=False)
    assert chosen == CPU
    assert device.name(chosen)


def test_a_worker_has_the_threads_it_was_given() -> None:
    device.configure(threads=2)
    assert torch.get_num_threads() == 2


def test_a_worker_flushes_denormal_numbers_to_zero() -> None:
    assert not (torch.tensor([1e-38]) * torch.tensor([1e-5])).any()
