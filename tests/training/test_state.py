"""A trial that goes on from its saved state, and files that no trial may go on from."""

import hashlib
import io
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweeper import optimizers
from sweeper.errors import CheckpointError
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, Phase, Trial, TrialKey
from sweeper.training import device, state
from sweeper.training.data import Dataset, Split
from sweeper.training.device import DeviceData
from sweeper.training.loop import Training

MakeExperiment = Callable[..., Experiment]
MakeTrial = Callable[..., Trial]

CPU = torch.device("cpu")
UNEVEN = {"batch_size": 30}  # 200 images in batches of 29 and 28
EVEN = {"batch_size": 50}
BETAS = {"beta1": 0.9, "beta2": 0.999}
CNN = ("model.name=cnn", "model.channels=[4, 8]")
AUGMENTED = ("data.augment=true",)


@dataclass(frozen=True)
class Case:
    """An arm's parameters, its own table, the experiment's settings: between them all that has a state."""

    params: dict[str, float | str]
    table: str = ""
    settings: tuple[str, ...] = ()


CASES = {
    "sgd": Case({"lr": 0.05, **UNEVEN, "schedule": "step", "sampling": "replacement"}),
    "momentum": Case(
        {"lr": 0.01, "momentum": 0.9, **UNEVEN, "schedule": "cosine"}, settings=(*CNN, *AUGMENTED)
    ),
    "nesterov": Case({"lr": 0.01, "momentum": 0.9, "batch_size": 64, "weight_decay": 0.1}),
    "adagrad": Case({"lr": 0.01, **EVEN}, settings=("budget.eval_every=3",)),
    "rmsprop": Case({"lr": 0.001, "decay": 0.9, **UNEVEN}, settings=CNN),
    "adam": Case(
        {"lr": 0.003, **BETAS, **UNEVEN, "schedule": "cosine"},
        settings=("model.name=resnet8", "budget.epochs=3", *AUGMENTED),
    ),
    "adamw": Case({"lr": 0.003, **BETAS, **EVEN, "weight_decay": 0.1}),
    "nadam": Case({"lr": 0.003, **BETAS, **EVEN, "schedule": "linear"}),
    "gd": Case({"lr": 0.05, "schedule": "cosine"}, settings=AUGMENTED),
    "lbfgs": Case({"lr": 1.0, "history": 5}, settings=("budget.epochs=12", "loss.name=hinge")),
    "bfgs": Case({"lr": 1.0, "damping": 0.01, "weight_decay": 0.01}, settings=("budget.epochs=6",)),
    "newton": Case({"lr": 1.0, "damping": 0.01}, "steps=2"),
    "random_search": Case({}),
    "local_search": Case({"step": 0.01}, settings=("experiment.objective=train_loss",)),
    "radam": Case({"lr": 0.003, **UNEVEN, "schedule": "step"}, 'class="torch.optim.RAdam",lr=0.1', CNN),
    "adadelta": Case({"lr": 1.0, **UNEVEN}, 'class="torch.optim.Adadelta",lr=0.1'),
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


@dataclass(frozen=True)
class Made:
    """A trial and everything that it is trained by."""

    trial: Trial
    experiment: Experiment
    data: DeviceData

    def training(self) -> Training:
        return Training(self.trial, self.experiment, self.data)

    @property
    def identity(self) -> dict[str, Any]:
        return state.identity(self.trial, self.experiment, self.data.sha256)

    def resumed(self, saved: bytes, epoch: int) -> Training:
        training = self.training()
        state.resume(training, self.identity, epoch, saved)
        return training


@pytest.fixture
def made(make_experiment: MakeExperiment, make_trial: MakeTrial, small: Dataset) -> Callable[..., Made]:
    """A final of the case: `made("adam", "budget.epochs=3")`."""

    def make(name: str, *settings: str, **params: float) -> Made:
        case = CASES[name]
        table = f"optimizers.{name}={{{case.table}}}"
        shared = ("model.input_size=8", "budget.epochs=4", table, *case.settings)
        key = TrialKey(name, Phase.FINAL, 3)
        trial = replace(make_trial(), key=key, params={"weight_decay": 0.0, **case.params, **params})
        return Made(trial, make_experiment(*shared, *settings), DeviceData(small, CPU))

    return make


def rest(training: Training) -> list[EpochRecord]:
    records = []
    while not training.is_finished:
        if (record := training.next_epoch()) is not None:
            records.append(record)
    return records


def numbers(records: list[EpochRecord]) -> list[tuple[object, ...]]:
    """Everything but the seconds."""
    return [
        (r.epoch, r.samples, r.steps, r.grad_evals, r.train_loss, r.val_loss, r.val_accuracy, r.lr)
        for r in records
    ]


def bits(value: Any) -> Any:
    """Everything in a state as it lies in memory, to be compared by ==."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.stride(), value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [bits(each) for each in value]
    return value.hex() if isinstance(value, float) else value


def test_every_arm_is_tried() -> None:
    assert set(optimizers.names()) <= CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_trial_that_goes_on_from_its_state_is_the_one_that_was_never_interrupted(
    name: str, made: Callable[..., Made]
) -> None:
    case = made(name)
    whole = case.training()
    records = rest(whole)
    assert len(records) > 1
    saving = case.training()
    for n_done in range(1, len(records)):
        saving.next_epoch()
        epoch = records[n_done - 1].epoch
        resumed = case.resumed(state.dump(saving, case.identity), epoch)
        assert bits(resumed.state()) == bits(saving.state())
        assert numbers(rest(resumed)) == numbers(records[n_done:]), f"from epoch {epoch} on"
        assert bits(resumed.state()) == bits(whole.state())
        assert resumed.test_score() == whole.test_score()


def test_a_state_saved_by_a_trial_that_went_on_from_one_is_as_good(made: Callable[..., Made]) -> None:
    case = made("adam")
    saved = b""
    for epoch in (1, 2):
        training = case.resumed(saved, epoch - 1) if saved else case.training()
        training.next_epoch()
        saved = state.dump(training, case.identity)
    whole = case.training()
    assert numbers(rest(case.resumed(saved, 2))) == numbers(rest(whole)[2:])


# --- what no trial goes on from --------------------------------------------------------------------------


@pytest.fixture
def saved(made: Callable[..., Made]) -> bytes:
    """The state of a trial of adadelta after its first epoch."""
    training = made("adadelta").training()
    training.next_epoch()
    return state.dump(training, made("adadelta").identity)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("seed", lambda case: replace(case, trial=replace(case.trial, seed=8))),
        ("params", lambda case: replace(case, trial=replace(case.trial, params={"lr": 0.9, **EVEN}))),
        (
            "trial",
            lambda case: replace(case, trial=replace(case.trial, key=replace(case.trial.key, number=4))),
        ),
    ],
)
def test_the_state_of_another_trial_is_refused(
    key: str, change: Callable[[Made], Made], made: Callable[..., Made], saved: bytes
) -> None:
    with pytest.raises(CheckpointError, match=f"^has another {key}: "):
        change(made("adadelta")).resumed(saved, 1)


@pytest.mark.parametrize(
    "setting",
    ["budget.epochs=5", "data.augment=true", "model.name=mlp", "loss.name=hinge", "experiment.seed=1"],
)
def test_the_state_of_another_experiment_is_refused(
    setting: str, made: Callable[..., Made], saved: bytes
) -> None:
    with pytest.raises(CheckpointError, match=r"^has another experiment: "):
        made("adadelta", setting).resumed(saved, 1)


def test_an_experiment_that_was_extended_is_the_same_to_a_trial(
    made: Callable[..., Made], saved: bytes
) -> None:
    extended = made("adadelta", "budget.trials_per_optimizer=9", "budget.max_seconds=9", "final.seeds=99")
    assert extended.resumed(saved, 1).epochs_done == 1


def test_the_state_of_other_images_or_of_another_epoch_is_refused(
    made: Callable[..., Made], saved: bytes
) -> None:
    case = made("adadelta")
    with pytest.raises(CheckpointError, match=r"^has another epoch: 1, not 2$"):
        case.resumed(saved, 2)
    case.data.sha256 = "1" * 64
    with pytest.raises(CheckpointError, match=r"^has another images: "):
        case.resumed(saved, 1)


def test_a_damaged_state_is_refused_wherever_the_damage_lies(made: Callable[..., Made], saved: bytes) -> None:
    case = made("adadelta")
    for place in (*range(0, 400, 7), *range(400, len(saved), 997), len(saved) - 1):
        damaged = bytearray(saved)
        damaged[place] ^= 4
        with pytest.raises(CheckpointError):
            case.resumed(bytes(damaged), 1)


def test_a_truncated_state_is_refused(made: Callable[..., Made], saved: bytes) -> None:
    case = made("adadelta")
    for length in (0, 5, 21, 60, 90, 500, len(saved) // 2, len(saved) - 1):
        with pytest.raises(CheckpointError):
            case.resumed(saved[:length], 1)


def test_the_state_of_another_version_is_refused_with_both_numbers(
    made: Callable[..., Made], saved: bytes
) -> None:
    newer = saved.replace(b"sweeper checkpoint 2\n", b"sweeper checkpoint 3\n", 1)
    with pytest.raises(CheckpointError, match="has format 3; this version of Sweeper reads format 2"):
        made("adadelta").resumed(newer, 1)


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self._path, "ran")


def with_content(saved: bytes, content: bytes) -> bytes:
    """`saved` with other content in its last part and everything else in order."""
    first, _, about, _ = saved.split(b"\n", 3)
    assert json.loads(about)["seed"] == 7
    body = about + b"\n" + content
    return b"\n".join((first, hashlib.sha256(body).hexdigest().encode(), body))


@pytest.mark.parametrize("archived", [True, False], ids=["torch's archive", "a bare pickle"])
def test_code_in_a_file_is_never_run(
    archived: bool, made: Callable[..., Made], saved: bytes, tmp_path: Path
) -> None:
    proof = tmp_path / "proof"
    file = io.BytesIO()
    if archived:
        torch.save({"network": Malicious(proof)}, file)
    else:
        pickle.dump({"network": Malicious(proof)}, file)
    with pytest.raises(CheckpointError, match=r"^is not the state of a trial: "):
        made("adadelta").resumed(with_content(saved, file.getvalue()), 1)
    assert not proof.exists()
    file.seek(0)
    if archived:
        torch.load(file, weights_only=False)
    else:
        pickle.load(file)
    assert proof.read_text() == "ran", "the file was a real threat"


def test_a_state_that_lacks_something_is_refused(made: Callable[..., Made], saved: bytes) -> None:
    file = io.BytesIO()
    torch.save({"network": {}}, file)
    with pytest.raises(CheckpointError, match=r"^is not the state of a trial: RuntimeError: "):
        made("adadelta").resumed(with_content(saved, file.getvalue()), 1)
