"""CIFAR-10 and CIFAR-100 in their official binary layouts: from a directory, an archive, or downloaded.

Layouts, from https://www.cs.toronto.edu/~kriz/cifar.html: files of rows, each of one label byte (CIFAR-10) or
two (CIFAR-100: the coarse label, 0-19, then the fine one, 0-99), then 3,072 pixels, channel first, row-major.
"""

import os
import stat
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sweeper.errors import DataError

PIXELS = 3_072

Rows = npt.NDArray[np.uint8]
"""Shape (N, 3073), uint8: a label and 3,072 pixels a row."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One of the official archives: where it is, and what it holds.

    `name` is the data set's, `directory` and `file_name` are those of the unpacked and of the packed files.
    A training file has `train_rows` rows, the test file `test_rows`. `labels` says for each label byte of a
    row how many values it may have; the last byte is the class.
    """

    name: str
    url: str
    sha256: str
    directory: str
    file_name: str
    train_files: tuple[str, ...]
    train_rows: int
    test_file: str
    test_rows: int
    labels: tuple[int, ...]

    @property
    def n_classes(self) -> int:
        """How many classes the images have."""
        return self.labels[-1]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in a file: its labels and its pixels."""
        return len(self.labels) + PIXELS

    @property
    def files(self) -> dict[str, int]:
        """How many rows each file has, training files first."""
        return {**dict.fromkeys(self.train_files, self.train_rows), self.test_file: self.test_rows}

    @property
    def absence(self) -> str:
        """What to say of a directory without it: both names that it may have there."""
        return f"neither {self.directory}/ nor {self.file_name}"


CIFAR10 = Archive(
    name="cifar10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    directory="cifar-10-batches-bin",
    file_name="cifar-10-binary.tar.gz",
    train_files=tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
    train_rows=10_000,
    test_file="test_batch.bin",
    test_rows=10_000,
    labels=(10,),
)

CIFAR100 = Archive(
    name="cifar100",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    directory="cifar-100-binary",
    file_name="cifar-100-binary.tar.gz",
    train_files=("train.bin",),
    train_rows=50_000,
    test_file="test.bin",
    test_rows=10_000,
    labels=(20, 100),
)

ARCHIVES: Mapping[str, Archive] = {archive.name: archive for archive in (CIFAR10, CIFAR100)}
"""The archives by their data set's name."""


def cache_directory() -> Path:
    """Where downloads go when no data directory is named: `sweeper` in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sweeper"


def find(archive: Archive, directory: Path) -> Path | None:
    """The directory of `.bin` files or the packed archive under `directory`, or None where there is neither.

    Raises DataError where nobody can tell.
    """
    names = (archive.directory, archive.file_name)
    try:
        candidates = [path for path in (directory / name for name in names) if path.exists()]
    except OSError as error:
        raise DataError(f"{directory}: can't be read: {error.strerror}") from None
    return candidates[0] if candidates else None


def read(archive: Archive, source: Path) -> tuple[Rows, Rows]:
    """The training and the test rows in `source`, a directory of `.bin` files or the packed archive.

    Of CIFAR-100's two labels the fine one is kept. Raises DataError, naming the file, where one is missing or
    damaged.
    """
    found = _packed_files(archive, source) if source.is_file() else _unpacked_files(archive, source)
    files = dict(found)
    missing = [name for name in archive.files if name not in files]
    if missing:
        raise DataError(f"{source}: lacks {', '.join(missing)}; see {archive.url}")
    rows = {
        name: _checked(archive, source / name, files[name], n_rows) for name, n_rows in archive.files.items()
    }
    return np.concatenate([rows[name] for name in archive.train_files]), rows[archive.test_file]


def _unpacked_files(archive: Archive, directory: Path) -> Iterator[tuple[str, Rows]]:
    for name in archive.files:
        path = directory / name
        try:
            if path.exists():
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    _refuse_larger(archive, path, status.st_size)
                elif not stat.S_ISDIR(status.st_mode):  # of which reading itself complains
                    raise DataError(f"{path}: is not a regular file")
                yield name, np.fromfile(path, dtype=np.uint8)
        except OSError as error:
            raise DataError(f"{path}: can't be read: {error.strerror}") from None


def _packed_files(archive: Archive, path: Path) -> Iterator[tuple[str, Rows]]:
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                name = Path(member.name).name
                if name not in archive.files or not member.isreg():
                    continue
                _refuse_larger(archive, path / name, member.size)
                content = tar.extractfile(member)
                assert content is not None, "only what is no regular file has no content"
                yield name, np.frombuffer(content.read(), dtype=np.uint8)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a complete .tar.gz archive: {error}") from None


def _wrong_size(archive: Archive, path: Path, n_bytes: int) -> DataError:
    n_rows = archive.files[path.name]
    return DataError(
        f"{path}: has {n_bytes:,} bytes; must have {n_rows * archive.row_bytes:,}: "
        f"{n_rows:,} rows of {archive.row_bytes:,}"
    )


def _refuse_larger(archive: Archive, path: Path, n_bytes: int) -> None:
    """Raises DataError where the file is too large for its rows, before it fills the memory."""
    if n_bytes > archive.files[path.name] * archive.row_bytes:
        raise _wrong_size(archive, path, n_bytes)


def _checked(archive: Archive, path: Path, content: Rows, n_rows: int) -> Rows:
    """The rows of one file, each with its class as its only label."""
    if content.size != n_rows * archive.row_bytes:
        raise _wrong_size(archive, path, content.size)
    rows = content.reshape(n_rows, archive.row_bytes)
    for byte, n_labels in enumerate(archive.labels):
        wrong = np.flatnonzero(rows[:, byte] >= n_labels)
        if wrong.size:
            row = int(wrong[0])
            raise DataError(
                f"{path}: row {row} has the label {rows[row, byte]}; "
                f"byte {byte} of a row must lie in 0..{n_labels - 1}"
            )
    return np.ascontiguousarray(rows[:, len(archive.labels) - 1 :])


def fetch(archive: Archive, directory: Path) -> Path:
    """Download the packed archive into `directory`, checked by its SHA-256, and give its path.

    Shows a progress bar on stderr. The file gets its name only once it is whole. Raises DataError where it
    can't be had.
    """
    import pooch
    import requests

    try:
        directory.mkdir(parents=True, exist_ok=True)
        path = pooch.retrieve(
            archive.url,
            known_hash=f"sha256:{archive.sha256}",
            fname=archive.file_name,
            path=directory,
            downloader=pooch.HTTPDownloader(progressbar=True, timeout=30),
        )
    except requests.RequestException as error:
        raise DataError(
            f"{archive.url}: can't be downloaded ({type(error).__name__}); put {archive.file_name} or "
            f"{archive.directory}/ into a directory and name that with --data-dir or SWEEPER_DATA"
        ) from None
    except (OSError, ValueError) as error:  # pooch reports a wrong hash as ValueError
        raise DataError(f"{archive.url}: can't be downloaded to {directory}: {error}") from None
    return Path(path)
