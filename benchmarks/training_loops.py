"""The same training three times: Sweeper's worker, a hand-tuned loop, and the usual way with a DataLoader.

All start from the same weights and see the same batches, so that their losses must agree. Each trains
`EPOCHS` epochs, of which the last one is timed: training and evaluation apart.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils import data as torch_data

from sweeper import catalog, experiment, seeds
from sweeper.experiment import Experiment
from sweeper.records import Origin, Phase, Trial, TrialKey
from sweeper.training import data, models
from sweeper.training.data import Dataset, Split
from sweeper.training.device import configure
from sweeper.workers.trainer import Trainer

EPOCHS = 2
SEED = 7
MOST, MOST_VAL = 20_000, 2_000
LR = {"sgd": 0.01, "adam": 1e-3}
EVALUATED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained: `n_images` of them, a whole number of batches, with a tenth as many evaluated."""

    model: str
    optimizer: str
    batch_size: int
    n_images: int

    @property
    def n_val(self) -> int:
        """The proportion of a sweep: 5,000 to 45,000, rounded."""
        return min(max(self.n_images // 9, 1), MOST_VAL)


@dataclass(frozen=True, slots=True)
class Timed:
    """The last epoch's seconds, and the losses that tell whether two loops did the same."""

    train_s: float
    eval_s: float
    train_loss: float
    val_loss: float


Loop = Callable[[Task, Dataset], Timed]


def images() -> Dataset:
    """CIFAR-10 where SWEEPER_DATA says that it lies, else generated images of the same shape."""
    name = "cifar10" if data.directory() else "synthetic"
    return data.load(_experiment("linear", "sgd", f'data.name="{name}"'), data.directory())


def part(dataset: Dataset, task: Task) -> Dataset:
    """As many images as the task has, in memory of their own."""
    train = Split(dataset.train.images[: task.n_images].copy(), dataset.train.labels[: task.n_images])
    val = Split(dataset.val.images[: task.n_val].copy(), dataset.val.labels[: task.n_val])
    return replace(dataset, train=train, val=val)


def _experiment(model: str, optimizer: str, *settings: str) -> Experiment:
    shared = (
        f"budget.epochs={EPOCHS}",
        f'model.name="{model}"',
        f"data.train_size={MOST}",
        f"data.val_size={MOST_VAL}",
        "data.test_size=100",
    )
    text = f'[experiment]\nname = "throughput"\n[optimizers.{optimizer}]\n'
    return experiment.loads(text, (*shared, *settings))


def worker(task: Task, dataset: Dataset) -> Timed:
    """Sweeper's own worker, but for the process that it lives in."""
    trainer = Trainer(_experiment(task.model, task.optimizer), dataset, use_gpu=False)
    params = {"lr": LR[task.optimizer], "batch_size": task.batch_size, "weight_decay": 0.0}
    key = TrialKey(task.optimizer, Phase.SEARCH, 1)
    trainer.begin(Trial(key, SEED, params, {}, Origin.PROPOSED, independent=True, setting=1))
    trainer.advance(EPOCHS - 1)
    (record,) = trainer.advance(EPOCHS).records
    assert record.val_loss is not None
    return Timed(record.train_s, record.eval_s, record.train_loss, record.val_loss)


def tuned(task: Task, dataset: Dataset) -> Timed:
    """What an engineer would write who has only this network to train on one core, and the time to measure.

    The images stay uint8, in the network's own memory format; batches are selected, made floats and
    normalized in buffers that are allocated once. Freed memory is kept, denormals are flushed, adam is fused,
    and nothing is read from a tensor before the epoch's end.
    """
    configure(threads=1)
    network = _network(task.model)
    is_conv = task.model not in ("linear", "mlp")
    if is_conv:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(task, network, fused=task.optimizer == "adam")
    side = dataset.train.images.shape[-1]
    size = max(task.batch_size, EVALUATED_AT_ONCE)
    raw = torch.empty(size, 3 * side * side, dtype=torch.uint8)
    floats = torch.empty(size, 3 * side * side)

    def stored(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = split.images.transpose(0, 2, 3, 1) if is_conv else split.images
        rows = np.array(pixels, order="C").reshape(len(split), -1)
        return torch.from_numpy(rows), torch.from_numpy(np.array(split.labels))

    def whole(values: tuple[float, float, float]) -> torch.Tensor:
        channels = torch.tensor(values)
        return channels.repeat(side * side) if is_conv else channels.repeat_interleave(side * side)

    mean, scale = whole(dataset.mean), 1 / whole(dataset.std)
    train, labels = stored(dataset.train)
    val, val_labels = stored(dataset.val)

    def normalized(raw: torch.Tensor) -> torch.Tensor:
        batch = floats[: len(raw)].copy_(raw).sub_(mean).mul_(scale)
        if is_conv:
            return batch.view(-1, side, side, 3).permute(0, 3, 1, 2)
        return batch.view(-1, 3, side, side)

    def train_epoch(epoch: int) -> float:
        network.train()
        total = torch.zeros(())
        batches = _order(task, epoch).split(task.batch_size)
        for index in batches:
            torch.index_select(train, 0, index, out=raw[: len(index)])
            loss = F.cross_entropy(network(normalized(raw[: len(index)])), labels.index_select(0, index))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach()
        return float(total) / len(batches)

    @torch.inference_mode()
    def evaluate() -> float:
        network.eval()
        total = torch.zeros(())
        hits = torch.zeros((), dtype=torch.int64)
        for start in range(0, len(val), EVALUATED_AT_ONCE):
            chunk = slice(start, start + EVALUATED_AT_ONCE)
            scores = network(normalized(val[chunk]))
            total += F.cross_entropy(scores, val_labels[chunk], reduction="sum")
            hits += (scores.argmax(dim=1) == val_labels[chunk]).sum()
        hits.item()
        return float(total) / len(val)

    return _timed(train_epoch, evaluate)


class UsualImages(torch_data.Dataset[tuple[torch.Tensor, int]]):
    """As torchvision's CIFAR10 with ToTensor and Normalize, but for the detour by PIL images."""

    def __init__(self, split: Split, mean: torch.Tensor, std: torch.Tensor) -> None:
        self._pixels: npt.NDArray[np.uint8] = np.ascontiguousarray(split.images.transpose(0, 2, 3, 1))
        self._labels = split.labels.tolist()
        self._mean, self._std = mean, std

    def __len__(self) -> int:
        """The number of images."""
        return len(self._labels)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        """An image (3, S, S), normalized, and its label."""
        image = torch.from_numpy(self._pixels[place]).permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        return image.sub_(self._mean).div_(self._std), self._labels[place]


class _Order(torch_data.Sampler[int]):
    """The epoch's order, which is everybody's, for a loader whose processes live on."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.epoch = 1

    def __iter__(self) -> Iterator[int]:
        return iter(_order(self._task, self.epoch).tolist())

    def __len__(self) -> int:
        return self._task.n_images


def usual(task: Task, dataset: Dataset, num_workers: int) -> Timed:
    """What tutorials show: torch as it comes, a DataLoader, the loss read at every step."""
    network = _network(task.model)
    optimizer = _optimizer(task, network)
    mean = torch.tensor(dataset.mean).reshape(3, 1, 1) / 255
    std = torch.tensor(dataset.std).reshape(3, 1, 1) / 255
    order = _Order(task)
    options: dict[str, Any] = {
        "batch_size": task.batch_size,
        "num_workers": num_workers,
        "persistent_workers": num_workers > 0,
    }
    loader = torch_data.DataLoader(UsualImages(dataset.train, mean, std), sampler=order, **options)
    val_loader = torch_data.DataLoader(UsualImages(dataset.val, mean, std), **options)

    def train_epoch(epoch: int) -> float:
        order.epoch = epoch
        network.train()
        total = 0.0
        for pixels, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(pixels), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(labels)
        return total / task.n_images

    @torch.no_grad()
    def evaluate() -> float:
        network.eval()
        total, hits = 0.0, 0
        for pixels, labels in val_loader:
            scores = network(pixels)
            total += F.cross_entropy(scores, labels, reduction="sum").item()
            hits += int((scores.argmax(dim=1) == labels).sum().item())
        return total / task.n_val

    return _timed(train_epoch, evaluate)


LOOPS: dict[str, Loop] = {
    "worker": worker,
    "tuned": tuned,
    "usual, 0 loaders": lambda task, dataset: usual(task, dataset, 0),
    "usual, 2 loaders": lambda task, dataset: usual(task, dataset, 2),
}


def _network(model: str) -> nn.Module:
    section = _experiment(model, "sgd").model
    generator = torch.Generator().manual_seed(seeds.weights(SEED))
    return models.build(section, catalog.DATA_SETS["cifar10"].n_classes, section.init, generator)


def _optimizer(task: Task, network: nn.Module, fused: bool | None = None) -> torch.optim.Optimizer:
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[task.optimizer]
    return kind(network.parameters(), lr=LR[task.optimizer], fused=fused)


def _order(task: Task, epoch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seeds.data_order(SEED, epoch))
    return torch.randperm(task.n_images, generator=generator)


def _timed(train_epoch: Callable[[int], float], evaluate: Callable[[], float]) -> Timed:
    for epoch in range(1, EPOCHS):
        train_epoch(epoch)
        evaluate()
    started = time.perf_counter()
    train_loss = train_epoch(EPOCHS)
    trained = time.perf_counter()
    val_loss = evaluate()
    return Timed(trained - started, time.perf_counter() - trained, train_loss, val_loss)
