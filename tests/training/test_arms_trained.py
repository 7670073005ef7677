"""Every arm trained for real: what it spends of its budget, and that it does what its name says."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sweeper import optimizers, seeds
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, Trial
from sweeper.training import device, losses, models, objective, steps
from sweeper.training.data import Dataset, Split
from sweeper.training.device import DeviceData, Images
from sweeper.training.loop import Training

MakeExperiment = Callable[..., Experiment]
MakeTrial = Callable[..., Trial]

CPU = torch.device("cpu")
N, EPOCHS, PARAMETERS = 200, 6, 8 * 8 * 3 * 10 + 10
SMALL = ("model.input_size=8", f"budget.epochs={EPOCHS}")
BATCHES = {"batch_size": 50}
SETTINGS: dict[str, dict[str, float]] = {
    "gd": {"lr": 0.05},
    "sgd": {"lr": 0.01, **BATCHES},
    "momentum": {"lr": 0.01, "momentum": 0.9, **BATCHES},
    "nesterov": {"lr": 0.01, "momentum": 0.9, **BATCHES},
    "adagrad": {"lr": 0.01, **BATCHES},
    "rmsprop": {"lr": 0.001, "decay": 0.99, **BATCHES},
    "adam": {"lr": 0.003, "beta1": 0.9, "beta2": 0.999, **BATCHES},
    "adamw": {"lr": 0.003, "beta1": 0.9, "beta2": 0.999, **BATCHES},
    "nadam": {"lr": 0.003, "beta1": 0.9, "beta2": 0.999, **BATCHES},
    "lbfgs": {"lr": 1.0, "history": 10},
    "bfgs": {"lr": 1.0, "damping": 0.01},
    "newton": {"lr": 1.0, "damping": 0.01},
    "random_search": {},
    "local_search": {"step": 0.01},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sets this process up as a worker's, and back."""
    n_threads = torch.get_num_threads()
    device.configure(threads=1)
    yield
    torch.set_num_threads(n_threads)
    torch.set_flush_denormal(False)


@pytest.fixture
def small(images: Dataset) -> Dataset:
    """The images as 8 x 8 pixels."""

    def averaged(split: Split) -> Split:
        blocks = split.images.reshape(-1, 3, 8, 4, 8, 4).mean(axis=(3, 5))
        return Split(blocks.astype(np.uint8), split.labels)

    return replace(images, train=averaged(images.train), val=averaged(images.val), test=averaged(images.test))


@pytest.fixture
def experiment_of(make_experiment: MakeExperiment) -> MakeExperiment:
    """An experiment with one arm: `experiment_of("gd", "budget.epochs=3")`."""

    def make(arm: str, *settings: str, own: str = "") -> Experiment:
        table = own or ("steps=2" if arm == "newton" else "")
        return make_experiment(*SMALL, f"optimizers.{arm}={{{table}}}", *settings)

    return make


def trial_of(make_trial: MakeTrial, arm: str, **params: float | str) -> Trial:
    trial = make_trial(arm)
    return replace(trial, params={"weight_decay": 0.0, **SETTINGS[arm], **params})


def train(trial: Trial, experiment: Experiment, images: Dataset) -> list[EpochRecord]:
    training = Training(trial, experiment, DeviceData(images, CPU))
    records = []
    while not training.is_finished:
        if (record := training.next_epoch()) is not None:
            records.append(record)
    return records


def numbers(records: list[EpochRecord]) -> list[tuple[object, ...]]:
    return [(r.epoch, r.samples, r.steps, r.train_loss, r.val_loss, r.val_accuracy, r.lr) for r in records]


# --- what every arm does ----------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", optimizers.names())
def test_every_arm_lowers_the_loss(
    arm: str, experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    records = train(trial_of(make_trial, arm), experiment_of(arm), small)
    # A single draw of random search ends on either side of ln 10; the best of 18 is below it.
    assert records[-1].train_loss < (math.log(10) if arm == "random_search" else 2.3)


@pytest.mark.parametrize("arm", optimizers.names())
def test_every_arm_gives_the_same_numbers_from_run_to_run(
    arm: str, experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    trial, experiment = trial_of(make_trial, arm), experiment_of(arm)
    assert numbers(train(trial, experiment, small)) == numbers(train(trial, experiment, small))


@pytest.mark.parametrize("arm", optimizers.names())
def test_every_arm_trains_on_the_hinge_loss(
    arm: str, experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    records = train(trial_of(make_trial, arm), experiment_of(arm, "loss.name=hinge"), small)
    assert records[-1].train_loss < 9.5  # C - 1 = 9 at chance


@pytest.mark.parametrize("arm", sorted(set(optimizers.names()) - {"newton"}))
@pytest.mark.parametrize("epochs", [3, 7])
def test_no_arm_passes_its_budget(
    arm: str, epochs: int, experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    experiment = experiment_of(arm, f"budget.epochs={epochs}")
    records = train(trial_of(make_trial, arm), experiment, small)
    assert records[-1].samples <= N * epochs
    assert records[-1].epoch <= epochs
    assert [r.epoch for r in records] == sorted({r.epoch for r in records})


@pytest.mark.parametrize("arm", optimizers.names())
def test_the_last_record_of_every_arm_is_validated(
    arm: str, experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    experiment = experiment_of(arm, f"budget.eval_every={EPOCHS + 1}")
    assert train(trial_of(make_trial, arm), experiment, small)[-1].val_loss is not None


@pytest.mark.parametrize("arm", optimizers.names())
def test_a_rule_without_a_learning_rate_reports_none(
    arm: str, experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    experiment = experiment_of(arm, own="steps=1" if arm == "newton" else "")
    (first, *_) = train(trial_of(make_trial, arm), experiment, small)
    assert first.lr == (None if arm in ("random_search", "local_search") else SETTINGS[arm]["lr"])


# --- what each costs: design decision 8 -------------------------------------------------------------------


@pytest.mark.parametrize(
    "arm", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "nadam"]
)
def test_a_minibatch_rule_costs_its_batches(
    arm: str, experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    records = train(trial_of(make_trial, arm), experiment_of(arm), small)
    assert [r.samples for r in records] == [N * k for k in range(1, EPOCHS + 1)]
    assert [r.steps for r in records] == [r.grad_evals for r in records] == [4 * k for k in range(1, 7)]


def test_a_step_down_the_whole_gradient_costs_an_epoch(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    records = train(trial_of(make_trial, "gd"), experiment_of("gd"), small)
    assert [(r.epoch, r.samples, r.steps, r.grad_evals) for r in records] == [
        (k, N * k, k, k) for k in range(1, EPOCHS + 1)
    ]


def test_lbfgs_pays_an_epoch_for_every_evaluation_and_uses_its_budget_up(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    records = train(trial_of(make_trial, "lbfgs"), experiment_of("lbfgs"), small)
    assert all(r.samples == N * r.grad_evals == N * r.epoch for r in records)
    assert records[-1].samples == N * EPOCHS
    assert records[0].epoch >= 2  # where it starts, and at least one try


def test_bfgs_pays_an_epoch_for_a_gradient_and_a_third_for_a_try(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    records = train(trial_of(make_trial, "bfgs"), experiment_of("bfgs"), small)
    for record in records:
        assert record.grad_evals == record.steps + 1 or record is records[-1]
        thirds = round(3 * (record.samples - N * record.grad_evals) / N)  # forward passes
        assert thirds >= record.steps
        assert record.samples == round(N * (record.grad_evals + thirds / 3))


def test_newton_pays_two_epochs_for_every_parameter(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    records = train(trial_of(make_trial, "newton"), experiment_of("newton", own="steps=3"), small)
    assert [r.steps for r in records] == [1, 2, 3]
    for record in records:
        hessians = 2 * PARAMETERS * record.steps
        tries = record.samples / N - hessians - record.grad_evals
        assert record.grad_evals == record.steps
        assert tries == pytest.approx(record.steps / 3, abs=1 / N)  # each first try paid
        assert record.epoch == record.samples // N


def test_random_search_pays_a_third_of_each_image_that_scores_a_draw(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.training.loop.SUBSET_SIZE", 50)
    records = train(trial_of(make_trial, "random_search"), experiment_of("random_search"), small)
    assert [(r.epoch, r.samples, r.steps) for r in records] == [(k, N * k, 12 * k) for k in range(1, 7)]
    assert {r.grad_evals for r in records} == {0}


def test_local_search_pays_once_for_the_weights_it_starts_from(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.training.loop.SUBSET_SIZE", 50)
    records = train(trial_of(make_trial, "local_search"), experiment_of("local_search"), small)
    assert [r.steps for r in records] == [12 * k - 1 for k in range(1, EPOCHS + 1)]
    assert records[-1].samples == N * EPOCHS


def test_a_budget_that_ends_within_an_epoch_ends_with_a_record_of_that_part(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.training.loop.SUBSET_SIZE", 170)  # 600 thirds pay 3 draws and a part
    experiment = experiment_of("random_search", "budget.epochs=1")
    (record,) = train(trial_of(make_trial, "random_search"), experiment, small)
    assert (record.epoch, record.steps, record.samples) == (1, 3, 170)


def test_a_rule_that_has_converged_ends_before_its_budget(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    experiment = experiment_of("newton", "budget.epochs=10", own="steps=1000")
    trial = trial_of(make_trial, "newton", weight_decay=1.0)  # strongly convex
    records = train(trial, experiment, small)
    assert records[-1].steps < 30
    assert records[-1].train_loss == pytest.approx(records[-2].train_loss, rel=1e-3)


# --- full batches -----------------------------------------------------------------------------------------


def test_gd_is_sgd_with_the_whole_set_as_its_batch_bit_for_bit(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    whole = trial_of(make_trial, "sgd", lr=0.05, batch_size=N)
    gd = train(trial_of(make_trial, "gd"), experiment_of("gd"), small)
    assert numbers(gd) == numbers(train(whole, experiment_of("sgd"), small))


@pytest.mark.parametrize("model", ["linear", "resnet8", "cnn"])
@pytest.mark.parametrize("arm", ["gd", "lbfgs"])
def test_the_gradients_of_chunks_add_up_to_the_full_gradient(
    arm: str,
    model: str,
    experiment_of: MakeExperiment,
    make_trial: MakeTrial,
    small: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = (f"model.name={model}", "model.channels=[4, 4]", "budget.epochs=3")
    experiment = experiment_of(arm, *settings)
    whole = train(trial_of(make_trial, arm), experiment, small)
    monkeypatch.setattr(steps, "CHUNK", 30)
    monkeypatch.setattr(objective, "CHUNK", 30)
    parts = train(trial_of(make_trial, arm), experiment, small)
    np.testing.assert_allclose([r.val_loss for r in parts], [r.val_loss for r in whole], rtol=1e-4)


def test_newton_on_softmax_regression_needs_a_few_steps_for_what_takes_adam_many(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    newton = train(
        trial_of(make_trial, "newton", damping=1e-3), experiment_of("newton", own="steps=4"), small
    )
    adam = train(trial_of(make_trial, "adam"), experiment_of("adam", "budget.epochs=20"), small)
    assert newton[-1].train_loss < adam[-1].train_loss


# --- the L2 term ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", ["lbfgs", "bfgs", "newton", "local_search"])
def test_a_rule_that_looks_at_the_loss_has_the_l2_term_in_it_and_reports_the_loss_without(
    arm: str, experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    data = DeviceData(small, CPU)
    training = Training(trial_of(make_trial, arm, weight_decay=2.0), experiment_of(arm), data)
    network: nn.Module = training._network
    while not training.is_finished:
        record = training.next_epoch() or record  # noqa: F821 (the first is never None)
    with torch.no_grad():
        pixels, labels = data.batch(data.train, slice(0, N), torch.contiguous_format)
        plain = float(losses.cross_entropy(network(pixels), labels))
        squares = sum(float(p.square().sum()) for p in network.parameters() if p.ndim > 1)
    assert squares < 1  # so heavy a term lets the weights shrink: they start at 1,920 x 0.01² = 0.19
    assert record.train_loss == pytest.approx(plain, rel=1e-4)


# --- the lecture's other hyperparameters ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arm", "schedule", "after"),
    [
        ("sgd", "constant", [1, 1, 1, 1, 1, 1]),
        # A tenth from half of the budget on, a hundredth from three quarters on: in the fifth of six epochs.
        ("sgd", "step", [1, 1, 1, 0.1, 0.01, 0.01]),
        ("adam", "step", [1, 1, 1, 0.1, 0.01, 0.01]),
        ("gd", "step", [1, 1, 1, 0.1, 0.1, 0.01]),  # one step an epoch, and 4/6 are not three quarters
    ],
)
def test_a_schedule_lowers_the_learning_rate(
    arm: str,
    schedule: str,
    after: list[float],
    experiment_of: MakeExperiment,
    make_trial: MakeTrial,
    small: Dataset,
) -> None:
    records = train(trial_of(make_trial, arm, schedule=schedule), experiment_of(arm), small)
    full = SETTINGS[arm]["lr"]
    assert [r.lr / full for r in records] == pytest.approx(after)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_schedule_ends_near_zero_whatever_the_batch_size(
    schedule: str, experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    for batch_size, n_steps in ((50, 24), (20, 60)):
        trial = trial_of(make_trial, "sgd", schedule=schedule, batch_size=batch_size)
        last = train(trial, experiment_of("sgd"), small)[-1].lr / 0.01
        rest = 1 / n_steps  # of the budget, before the last step
        assert last == pytest.approx(rest if schedule == "linear" else (1 - math.cos(math.pi * rest)) / 2)


class Watched(DeviceData):
    """Remembers which training images it was asked for."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset, CPU)
        self.asked: list[int] = []

    def batch(
        self, images: Images, index: torch.Tensor | slice, *rest: object
    ) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        if images is self.train and isinstance(index, torch.Tensor):
            self.asked += index.tolist()
        return super().batch(images, index, *rest)  # type: ignore[arg-type]


def test_sampling_with_replacement_draws_every_image_independently(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    data = Watched(small)
    training = Training(trial_of(make_trial, "sgd", sampling="replacement"), experiment_of("sgd"), data)
    record = training.next_epoch()
    assert record is not None
    assert record.samples == len(data.asked) == N
    # Of N images drawn N times, (1 - 1/N)^N = 37 % are missed, with a standard deviation of 2.4 %.
    assert len(set(data.asked)) / N == pytest.approx(1 - math.exp(-1), abs=0.1)


def test_a_trial_with_an_init_of_its_own_starts_from_that(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    experiment = experiment_of("sgd", "model.name=mlp", "model.hidden=[16]")
    for init in ("xavier", "normal"):
        training = Training(trial_of(make_trial, "sgd", init=init), experiment, DeviceData(small, CPU))
        generator = torch.Generator().manual_seed(seeds.weights(7))
        expected = models.build(experiment.model, 10, init, generator)
        for mine, other in zip(training._network.parameters(), expected.parameters(), strict=True):
            assert torch.equal(mine, other)


# --- augmentation -----------------------------------------------------------------------------------------


def test_augmentation_changes_what_is_trained_on_and_not_what_is_validated_on(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    still = {"lr": 1e-30}
    plain, augmented = (
        train(trial_of(make_trial, "sgd", **still), experiment_of("sgd", f"data.augment={value}"), small)
        for value in ("false", "true")
    )
    assert [r.train_loss for r in plain] != [r.train_loss for r in augmented]
    assert [r.val_loss for r in plain] == [r.val_loss for r in augmented]
    assert len({r.train_loss for r in augmented}) == EPOCHS  # other shifts in every epoch


def test_augmentation_is_the_same_for_every_batch_size(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    found = [
        train(
            trial_of(make_trial, "sgd", lr=1e-30, batch_size=size),
            experiment_of("sgd", "data.augment=true"),
            small,
        )
        for size in (7, 50, N)
    ]
    np.testing.assert_allclose(
        [[r.train_loss for r in records] for records in found],
        [[r.train_loss for r in found[0]]] * 3,
        rtol=1e-5,
    )


def test_a_rule_that_looks_at_the_loss_sees_the_images_as_they_are(
    experiment_of: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    plain, augmented = (
        train(trial_of(make_trial, "lbfgs"), experiment_of("lbfgs", f"data.augment={value}"), small)
        for value in ("false", "true")
    )
    assert numbers(plain) == numbers(augmented)


# --- a class of torch.optim -------------------------------------------------------------------------------


def test_a_class_of_torch_trains_under_its_own_name(
    make_experiment: MakeExperiment, make_trial: MakeTrial, small: Dataset
) -> None:
    experiment = make_experiment(*SMALL, 'optimizers.radam={class="torch.optim.RAdam", lr=0.01, beta1=0.8}')
    trial = replace(
        make_trial("radam"), params={"lr": 0.01, "beta1": 0.8, "batch_size": 50, "weight_decay": 0.0}
    )
    training = Training(trial, experiment, DeviceData(small, CPU))
    rule = training._steps._optimizer  # type: ignore[attr-defined]
    assert type(rule) is torch.optim.RAdam
    assert rule.param_groups[0]["betas"] == (0.8, 0.999)
    assert train(trial, experiment, small)[-1].train_loss < 2.3
