"""CIFAR-10 in its official binary layout: from a directory, from the official archive, or downloaded.

Layout, from https://www.cs.toronto.edu/~kriz/cifar.html: `cifar-10-batches-bin/data_batch_1.bin` to `_5` and
`test_batch.bin`, each 10,000 rows of 3,073 bytes: a label (0-9), then 3,072 pixels, channel first, row-major.
"""

import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sweeper.errors import DataError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
DIRECTORY = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"
TRAIN_FILES = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST_FILE = "test_batch.bin"
ROWS, ROW_BYTES, N_CLASSES = 10_000, 3_073, 10

Rows = npt.NDArray[np.uint8]
"""Shape (N, 3073), uint8: a label and 3,072 pixels a row."""


def cache_directory() -> Path:
    """Where downloads go when no data directory is named: `sweeper` in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sweeper"


def find(directory: Path) -> Path | None:
    """The directory of `.bin` files or the archive under `directory`, or None where there is neither.

    Raises DataError where nobody can tell.
    """
    try:
        candidates = [path for path in (directory / DIRECTORY, directory / ARCHIVE) if path.exists()]
    except OSError as error:
        raise DataError(f"{directory}: can't be read: {error.strerror}") from None
    return candidates[0] if candidates else None


def read(source: Path) -> tuple[Rows, Rows]:
    """The 50,000 training and the 10,000 test rows in `source`, a directory of `.bin` files or the archive.

    Raises DataError, naming the file, where one is missing or damaged.
    """
    files = dict(_archive_files(source) if source.is_file() else _directory_files(source))
    missing = [name for name in (*TRAIN_FILES, TEST_FILE) if name not in files]
    if missing:
        raise DataError(f"{source}: lacks {', '.join(missing)}; see {URL}")
    rows = {name: _checked(source / name, files[name]) for name in (*TRAIN_FILES, TEST_FILE)}
    return np.concatenate([rows[name] for name in TRAIN_FILES]), rows[TEST_FILE]


def _directory_files(directory: Path) -> Iterator[tuple[str, Rows]]:
    for name in (*TRAIN_FILES, TEST_FILE):
        path = directory / name
        try:
            if path.exists():
                yield name, np.fromfile(path, dtype=np.uint8)
        except OSError as error:
            raise DataError(f"{path}: can't be read: {error.strerror}") from None


def _archive_files(archive: Path) -> Iterator[tuple[str, Rows]]:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = Path(member.name).name
                content = tar.extractfile(member) if name in (*TRAIN_FILES, TEST_FILE) else None
                if content is not None:
                    yield name, np.frombuffer(content.read(), dtype=np.uint8)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{archive}: not a complete .tar.gz archive: {error}") from None


def _checked(path: Path, content: Rows) -> Rows:
    if content.size != ROWS * ROW_BYTES:
        raise DataError(
            f"{path}: has {content.size:,} bytes; must have {ROWS * ROW_BYTES:,}: "
            f"{ROWS:,} rows of {ROW_BYTES:,}"
        )
    rows = content.reshape(ROWS, ROW_BYTES)
    wrong = np.flatnonzero(rows[:, 0] >= N_CLASSES)
    if wrong.size:
        row = int(wrong[0])
        raise DataError(f"{path}: row {row} has the label {rows[row, 0]}; labels must lie in 0..9")
    return rows


def fetch(directory: Path, *, url: str = URL, sha256: str = SHA256) -> Path:
    """Download the official archive into `directory`, checked by its SHA-256, and give its path.

    Shows a progress bar on stderr. The file gets its name only once it is whole. Raises DataError where it
    can't be had.
    """
    import pooch
    import requests

    try:
        directory.mkdir(parents=True, exist_ok=True)
        path = pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=ARCHIVE,
            path=directory,
            downloader=pooch.HTTPDownloader(progressbar=True, timeout=30),
        )
    except requests.RequestException as error:
        raise DataError(
            f"{url}: can't be downloaded ({type(error).__name__}); put {ARCHIVE} or {DIRECTORY}/ into a "
            f"directory and name that with --data-dir or SWEEPER_DATA"
        ) from None
    except (OSError, ValueError) as error:  # pooch reports a wrong hash as ValueError
        raise DataError(f"{url}: can't be downloaded to {directory}: {error}") from None
    return Path(path)
