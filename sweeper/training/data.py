"""The images of an experiment: found, verified, split by its seed, and kept as uint8.

numpy only: the coordinator loads the images without importing torch, and Ray shares the arrays between the
workers of a node without copying them.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sweeper import catalog, seeds
from sweeper.errors import DataError
from sweeper.experiment import Experiment
from sweeper.training import cifar, synthetic

Images = npt.NDArray[np.uint8]
"""Shape (N, 3, S, S), uint8, channels in the order red, green, blue; S is 32, or less where averaged down."""

Labels = npt.NDArray[np.int64]
"""Shape (N,), int64, in 0..n_classes - 1."""


@dataclass(frozen=True, slots=True)
class Split:
    """Some images with their labels."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The images of one experiment.

    `mean` and `std` are each channel's over the training images, in 0..255. `sha256` is of the whole data set
    that the splits were drawn from, at its full size, training rows first, each row a label and its pixels.
    """

    name: str
    source: str
    sha256: str
    n_classes: int
    train: Split
    val: Split
    test: Split
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def nbytes(self) -> int:
        """Bytes of all images and labels."""
        splits = (self.train, self.val, self.test)
        return sum(split.images.nbytes + split.labels.nbytes for split in splits)

    def description(self) -> str:
        """The data in one line: name, sizes, where it comes from and the start of its hash."""
        sizes = f"{len(self.train):,} training, {len(self.val):,} validation, {len(self.test):,} test images"
        return f"{self.name}: {sizes} ({self.source}, sha256 {self.sha256[:12]})"


def directory(named: Path | str | None = None) -> Path | None:
    """Where the user says that the images are: `named`, else SWEEPER_DATA, else None."""
    chosen = named or os.environ.get("SWEEPER_DATA")
    return Path(chosen) if chosen else None


def load(experiment: Experiment, data_dir: Path | None = None) -> Dataset:
    """The data set of `experiment`: what `find` finds, read."""
    return read(experiment, find(experiment, data_dir))


def find(experiment: Experiment, data_dir: Path | None = None) -> Path | None:
    """Where the files of the experiment's data set lie; None where its images are generated.

    CIFAR-10 and CIFAR-100 are looked for in `data_dir`, or, where that is None, in the user's cache, and
    downloaded there if need be. Raises DataError where they are missing.
    """
    archive = cifar.ARCHIVES.get(experiment.data.name)
    return None if archive is None else _find(archive, data_dir)


def nbytes(experiment: Experiment) -> int:
    """How many bytes the images and labels of `experiment` take in memory."""
    data, side = experiment.data, experiment.model.input_size
    image, label = 3 * side * side, np.dtype(np.int64).itemsize
    return (data.train_size + data.val_size + data.test_size) * (image + label)


def read(experiment: Experiment, source: Path | None) -> Dataset:
    """The data set of `experiment` from its files, its images averaged down to `model.input_size`.

    Without a `source` the images are generated. Raises DataError where the files are damaged.
    """
    data = experiment.data
    seed = seeds.split(experiment.seed)
    if source is None:
        described = f"generated, version {synthetic.VERSION}"
        train_rows, test_rows = synthetic.generate(data.train_size + data.val_size, data.test_size, seed)
    else:
        described = str(source)
        train_rows, test_rows = cifar.read(cifar.ARCHIVES[data.name], source)
    n_classes = catalog.DATA_SETS[data.name].n_classes
    # Validation images are drawn first, test images from a stream of their own: another size of the training
    # set leaves both as they are.
    pool_stream, test_stream = (np.random.default_rng((seed, part)) for part in (0, 1))
    val_index, train_index = stratified(
        train_rows[:, 0], (data.val_size, data.train_size), n_classes, pool_stream
    )
    (test_index,) = stratified(test_rows[:, 0], (data.test_size,), n_classes, test_stream)
    side = experiment.model.input_size
    train = _split(train_rows, train_index, side)
    mean, std = channel_statistics(train.images)
    return Dataset(
        name=data.name,
        source=described,
        sha256=_sha256(train_rows, test_rows),
        n_classes=n_classes,
        train=train,
        val=_split(train_rows, val_index, side),
        test=_split(test_rows, test_index, side),
        mean=mean,
        std=std,
    )


def _find(archive: cifar.Archive, data_dir: Path | None) -> Path:
    if data_dir is None:
        cache = cifar.cache_directory()
        return cifar.find(archive, cache) or cifar.fetch(archive, cache)
    found = cifar.find(archive, data_dir)
    if found is None:
        raise DataError(
            f"{data_dir}: holds {archive.absence}; "
            f"`sweeper data fetch {archive.name} --data-dir {data_dir}` downloads it"
        )
    return found


def _split(rows: cifar.Rows, index: npt.NDArray[np.int64], side: int) -> Split:
    images = np.ascontiguousarray(rows[index, 1:]).reshape(-1, 3, 32, 32)
    return Split(averaged_down(images, side), rows[index, 0].astype(np.int64))


def averaged_down(images: Images, side: int) -> Images:
    """`images` at `side` x `side` pixels, each the mean of its block of k x k, as uint8.

    Sums of whole numbers are exact, and the mean is rounded to the nearest grey level, halves up: the same
    bytes on every processor. Rounding moves a pixel by at most half a grey level, where a channel's standard
    deviation is about 60, so uint8 is as good as floats here and stays as small. `side` must divide the
    images' side, which is at most 16 times as large.
    """
    k = images.shape[-1] // side
    if k == 1:
        return images
    total = np.zeros((*images.shape[:2], side, side), dtype=np.uint16)  # 256 * 255 fits, and 128 on top
    for row, column in np.ndindex(k, k):
        total += images[:, :, row::k, column::k]
    means: Images = ((total + k * k // 2) // (k * k)).astype(np.uint8)
    return means


def _sha256(train_rows: cifar.Rows, test_rows: cifar.Rows) -> str:
    digest = hashlib.sha256(train_rows.data)
    digest.update(test_rows.data)
    return digest.hexdigest()


def stratified(
    labels: npt.NDArray[np.uint8], sizes: tuple[int, ...], n_classes: int, generator: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    """Disjoint sets of indices of the given `sizes`, in each of which every class has its share.

    A class's share differs by at most one image from equal shares; where the sizes don't divide evenly, the
    classes that get one image more are drawn. Each set comes in a random order. Raises DataError where a
    class has too few images.
    """
    by_class = [generator.permutation(np.flatnonzero(labels == label)) for label in range(n_classes)]
    taken = np.zeros(n_classes, dtype=np.int64)
    sets = []
    for size in sizes:
        share = np.full(n_classes, size // n_classes)
        # Whoever still has the most images left gives one more; ties are drawn.
        left = np.array([len(members) for members in by_class]) - taken
        order = np.lexsort((generator.permutation(n_classes), -left))
        share[order[: size % n_classes]] += 1
        if np.any(share > left):
            label = int(np.argmax(share - left))
            raise DataError(f"class {label} has {left[label]} images left; {share[label]} are needed")
        chosen = [
            members[start : start + n] for members, start, n in zip(by_class, taken, share, strict=True)
        ]
        taken = taken + share
        sets.append(generator.permutation(np.concatenate(chosen)))
    return sets


def channel_statistics(images: Images) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of each channel, in 0..255; a deviation below 1 counts as 1.

    Sums of whole numbers below 2**53 are exact in float64, so the result doesn't depend on the order of
    summation or on the processor.
    """
    total, squares = np.zeros(3), np.zeros(3)
    for start in range(0, len(images), 250):  # as many as a processor's cache holds
        block = images[start : start + 250].astype(np.float64).reshape(-1, 3, images[0, 0].size)
        total += block.sum(axis=2).sum(axis=0)
        squares += np.einsum("ncp,ncp->c", block, block)
    n = images.size / 3
    mean = total / n
    std = np.maximum(np.sqrt(squares / n - mean**2), 1.0)
    return (float(mean[0]), float(mean[1]), float(mean[2])), (float(std[0]), float(std[1]), float(std[2]))
