"""`sweeper data`, on directories that hold one data set, both or none."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweeper.cli import images
from sweeper.errors import DataError, UsageError
from sweeper.training import cifar
from sweeper.training.cifar import Archive

Archives = Mapping[str, Archive]


@pytest.fixture
def archives(monkeypatch: pytest.MonkeyPatch) -> Archives:
    """Both data sets as if their files had 20 rows each."""
    small = {name: replace(archive, train_rows=20, test_rows=20) for name, archive in cifar.ARCHIVES.items()}
    monkeypatch.setattr(cifar, "ARCHIVES", small)
    return small


def unpack(archive: Archive, home: Path) -> Path:
    directory = home / archive.directory
    directory.mkdir()
    for name, n_rows in archive.files.items():
        np.zeros((n_rows, archive.row_bytes), dtype=np.uint8).tofile(directory / name)
    return directory


def test_info_tells_of_both_data_sets(
    archives: Archives, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ten, hundred = (unpack(archive, tmp_path) for archive in archives.values())
    images.print_info(tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        f"cifar10: 100 training and 20 test images in {ten}, whole",
        f"cifar100: 20 training and 20 test images in {hundred}, whole",
    ]


def test_info_tells_which_data_set_is_not_there(
    archives: Archives, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hundred = unpack(archives["cifar100"], tmp_path)
    images.print_info(tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        f"cifar10: neither cifar-10-batches-bin/ nor cifar-10-binary.tar.gz in {tmp_path}",
        f"cifar100: 20 training and 20 test images in {hundred}, whole",
    ]


def test_info_of_a_directory_without_images_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        images.print_info(tmp_path)
    assert str(refused.value) == (
        "cifar10: neither cifar-10-batches-bin/ nor cifar-10-binary.tar.gz; "
        f"cifar100: neither cifar-100-binary/ nor cifar-100-binary.tar.gz in {tmp_path}"
    )


def test_info_names_the_file_that_is_damaged(archives: Archives, tmp_path: Path) -> None:
    directory = unpack(archives["cifar100"], tmp_path)
    (directory / "test.bin").write_bytes(b"\0")
    with pytest.raises(DataError, match=r"cifar-100-binary/test.bin: has 1 bytes"):
        images.print_info(tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_data_set_that_is_there_is_not_fetched(
    name: str, archives: Archives, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = unpack(archives[name], tmp_path)
    images.fetch(name, tmp_path)
    assert capsys.readouterr().out == f"{directory} is there already\n"


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_data_set_is_fetched_though_the_other_is_there(
    name: str, archives: Archives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (other,) = archives.keys() - {name}
    unpack(archives[other], tmp_path)
    fetched: list[tuple[str, Path]] = []

    def fetch(archive: Archive, directory: Path) -> Path:
        fetched.append((archive.name, directory))
        return directory / archive.file_name

    monkeypatch.setattr(cifar, "fetch", fetch)
    images.fetch(name, tmp_path)
    assert fetched == [(name, tmp_path)]


@pytest.mark.parametrize("name", ["cifar1", "mnist", "synthetic", ""])
def test_a_data_set_that_can_not_be_fetched_is_refused_with_the_legal_names(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as refused:
        images.fetch(name, tmp_path)
    assert str(refused.value) == f"data set {name!r}: must be one of cifar10, cifar100"
