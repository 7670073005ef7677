"""CIFAR-100 files of a few rows, after accidents: refused by name, quickly, whatever their size."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import DataError
from sweeper.training import cifar
from sweeper.training.cifar import CIFAR100

SMALL = replace(CIFAR100, train_rows=6, test_rows=4)
ROWS = {"train.bin": 6, "test.bin": 4}
EXPECTED = {"train.bin": "18,444 bytes", "test.bin": "12,296 bytes"}  # 6 and 4 rows of 3,074


def whole(n_rows: int) -> bytes:
    rows = np.zeros((n_rows, 3_074), dtype=np.uint8)
    rows[:, :2] = [19, 99]  # the highest labels
    return rows.tobytes()


FILES = {name: whole(n_rows) for name, n_rows in ROWS.items()}


def unpacked(directory: Path, files: dict[str, bytes] = FILES) -> Path:
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


def packed(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """An archive's bytes, not compressed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def member(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def refusal(source: Path) -> str:
    with pytest.raises(DataError) as refused:
        cifar.read(SMALL, source)
    message = str(refused.value)
    assert message.isprintable()
    assert message.startswith(str(source))
    return message


@given(
    st.sampled_from(sorted(FILES)),
    st.integers(0, 30_000).filter(lambda n: n not in (18_444, 12_296)),
    st.sampled_from((b"\0", b"\xff", b"<html>")),
)
def test_a_file_that_is_cut_off_or_padded_is_named_with_both_sizes(
    tmp_path_factory: pytest.TempPathFactory, name: str, size: int, padding: bytes
) -> None:
    content = (FILES[name] + padding * 20_000)[:size]
    source = unpacked(tmp_path_factory.mktemp("data") / "files", {**FILES, name: content})
    message = refusal(source)
    assert message.startswith(f"{source / name}: has {size:,} bytes; must have {EXPECTED[name][:-6]}")


@given(st.sampled_from(sorted(FILES)), st.integers(0, 3), st.sampled_from((0, 1)), st.integers(0, 255))
def test_a_label_beyond_the_last_is_named_with_its_row_and_any_other_is_taken(
    tmp_path_factory: pytest.TempPathFactory, name: str, row: int, byte: int, label: int
) -> None:
    content = bytearray(FILES[name])
    content[row * 3_074 + byte] = label
    source = unpacked(tmp_path_factory.mktemp("data") / "files", {**FILES, name: bytes(content)})
    n_labels = (20, 100)[byte]
    if label < n_labels:
        train, test = cifar.read(SMALL, source)
        assert (len(train), len(test)) == (6, 4)
    else:
        legal = f"byte {byte} of a row must lie in 0..{n_labels - 1}"
        assert refusal(source) == f"{source / name}: row {row} has the label {label}; {legal}"


def test_files_that_have_each_others_names_are_told_by_their_sizes(tmp_path: Path) -> None:
    source = unpacked(tmp_path / "files", dict(zip(FILES, reversed(FILES.values()), strict=True)))
    assert "test.bin: has 18,444 bytes; must have 12,296" in refusal(source)


ACCIDENTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pipe": (os.mkfifo, "is not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "a directory": (lambda path: path.mkdir(), "can't be read: "),
    "a loop of links": (lambda path: path.symlink_to(path), "lacks train.bin; see https://"),
    "a link to nothing": (lambda path: path.symlink_to("absent"), "lacks train.bin; see https://"),
    "a terabyte of nothing": (lambda path: path.touch() or os.truncate(path, 2**40), "1,099,511,627,776"),
}


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_what_is_no_file_of_images_is_refused_before_it_is_read(tmp_path: Path, accident: str) -> None:
    source = unpacked(tmp_path / "files")
    (source / "train.bin").unlink()
    happens, said = ACCIDENTS[accident]
    happens(source / "train.bin")
    assert said in refusal(source)


@pytest.mark.parametrize("name", ["cifar-100-binary", "cifar-100-binary.tar.gz"])
def test_a_pipe_in_the_place_of_the_data_set_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    found = cifar.find(CIFAR100, tmp_path)
    assert found is not None
    assert "lacks train.bin, test.bin" in refusal(found)


WHOLE = [member(f"cifar-100-binary/{name}", content) for name, content in FILES.items()]
TAR = packed(WHOLE)


@given(
    st.lists(st.tuples(st.integers(0, len(TAR) - 1), st.integers(0, 255)), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), max_size=4),
    st.integers(0, len(TAR)),
)
def test_a_damaged_archive_is_read_whole_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory,
    flips: list[tuple[int, int]],
    in_the_header: list[tuple[int, int]],
    end: int,
) -> None:
    content = bytearray(TAR)
    for where, byte in flips + in_the_header:
        content[where] = byte
    if in_the_header:
        content[148:156] = b"%06o\0 " % (sum(content[:148]) + 8 * 32 + sum(content[156:512]))  # its checksum
    source = tmp_path_factory.mktemp("data") / "cifar-100-binary.tar.gz"
    source.write_bytes(gzip.compress(bytes(content if end % 2 else content[:end]), 1))
    try:
        train, test = cifar.read(SMALL, source)
    except DataError:
        assert refusal(source)
    else:
        assert (train.shape, test.shape) == ((6, 3_073), (4, 3_073))


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_compression_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, where: int, byte: int
) -> None:
    content = bytearray(gzip.compress(TAR, 9))
    source = tmp_path_factory.mktemp("data") / "cifar-100-binary.tar.gz"
    where %= len(content)
    content[where] ^= byte | 1
    source.write_bytes(content[:where] if byte % 2 else content)
    try:
        train, test = cifar.read(SMALL, source)
    except DataError:
        assert refusal(source)
    else:  # a byte of no consequence, such as the time
        assert (len(train), len(test)) == (6, 4)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "absent", "train.bin", "../../train.bin"])
def test_a_member_that_is_no_file_is_not_followed(tmp_path: Path, kind: bytes, target: str) -> None:
    source = tmp_path / "cifar-100-binary.tar.gz"
    linked = link("cifar-100-binary/train.bin", target, kind)
    source.write_bytes(gzip.compress(packed([linked, WHOLE[1]])))
    assert "lacks train.bin" in refusal(source)


def test_a_member_larger_than_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("cifar-100-binary/train.bin")
    info.size = 2**45
    source = tmp_path / "cifar-100-binary.tar.gz"
    source.write_bytes(gzip.compress(info.tobuf() + b"\0" * 1_024))
    assert "train.bin: has 35,184,372,088,832 bytes; must have 18,444" in refusal(source)


def test_members_outside_the_archive_leave_nothing_outside(tmp_path: Path) -> None:
    source = tmp_path / "in" / "cifar-100-binary.tar.gz"
    source.parent.mkdir()
    source.write_bytes(gzip.compress(packed([member(f"../../{n}", content) for n, content in FILES.items()])))
    cifar.read(SMALL, source)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cifar-100-binary.tar.gz", "in"]
