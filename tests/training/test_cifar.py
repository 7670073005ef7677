"""The official layouts, from stand-ins: CIFAR-10's files at their real size that hold nearly nothing, and
CIFAR-100's with fewer rows."""

import gc
import hashlib
import io
import shutil
import socket
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sweeper.errors import DataError
from sweeper.training import cifar
from sweeper.training.cifar import CIFAR10, CIFAR100, Archive, Rows

FILES = ("data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin")
ALL_FILES = (*FILES, "test_batch.bin")


@dataclass(frozen=True)
class Fake:
    """The same images twice: in a directory of `.bin` files, and in the archive."""

    directory: Path
    archive: Path


def undated(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = 0  # so that the archive's bytes, and what damage does to them, are the same every time
    return member


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    """Six files of 10,000 rows. Row r of the kth file has the label r mod 10 and the first pixel k."""
    home = tmp_path_factory.mktemp("cifar10")
    directory = home / "cifar-10-batches-bin"
    directory.mkdir()
    rows = np.zeros((10_000, 3_073), dtype=np.uint8)
    rows[:, 0] = np.arange(10_000) % 10
    for k, name in enumerate(ALL_FILES, start=1):
        rows[:, 1] = k
        rows.tofile(directory / name)
    (directory / "batches.meta.txt").write_text("airplane\n")
    archive = home / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(directory, arcname="cifar-10-batches-bin", filter=undated)
    yield Fake(directory, archive)
    shutil.rmtree(home)  # 180 MB that pytest would keep


@pytest.fixture
def copy(fake: Fake, tmp_path: Path) -> Path:
    """A directory of links to the fake's files, to be damaged one by one."""
    directory = tmp_path / "cifar-10-batches-bin"
    directory.mkdir()
    for name in ALL_FILES:
        (directory / name).symlink_to(fake.directory / name)
    return directory


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def read_refusal(source: Path, archive: Archive = CIFAR10) -> str:
    with pytest.raises(DataError) as refused:
        cifar.read(archive, source)
    return str(refused.value)


# --- finding and reading ---------------------------------------------------------------------------------


def test_the_directory_of_files_is_found(fake: Fake) -> None:
    assert cifar.find(CIFAR10, fake.directory.parent) == fake.directory


def test_the_archive_is_found_where_there_is_no_directory(tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.touch()
    assert cifar.find(CIFAR10, tmp_path) == archive


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    assert cifar.find(CIFAR10, tmp_path) is None
    assert cifar.find(CIFAR10, tmp_path / "none") is None


@pytest.mark.parametrize("kind", ["directory", "archive"])
def test_the_training_files_are_read_in_their_order_and_the_test_file_apart(fake: Fake, kind: str) -> None:
    train, test = cifar.read(CIFAR10, getattr(fake, kind))
    assert (train.shape, test.shape) == ((50_000, 3_073), (10_000, 3_073))
    assert train.dtype == test.dtype == np.uint8
    np.testing.assert_array_equal(train[:, 1], np.repeat([1, 2, 3, 4, 5], 10_000))
    np.testing.assert_array_equal(train[:, 0], np.arange(50_000) % 10)
    assert set(test[:, 1].tolist()) == {6}


def test_the_cache_lies_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cifar.cache_directory() == tmp_path / "sweeper"


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_cache_of_the_users_own_it_lies_in_their_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cifar.cache_directory() == tmp_path / ".cache" / "sweeper"


# --- CIFAR-100 -------------------------------------------------------------------------------------------

SMALL = replace(CIFAR100, train_rows=300, test_rows=200)


def write_cifar100(directory: Path) -> tuple[Rows, Rows]:
    """Files of 300 and 200 rows with fine labels 0, 1, .. 99, 0, .., and what `read` should give."""
    directory.mkdir()
    draw = np.random.default_rng(0)
    expected = []
    for name, n_rows in (("train.bin", 300), ("test.bin", 200)):
        rows = draw.integers(0, 256, (n_rows, 3_074), dtype=np.uint8)
        rows[:, 0] = draw.integers(0, 20, n_rows)  # coarse: of no use as a class
        rows[:, 1] = np.arange(n_rows) % 100
        rows.tofile(directory / name)
        expected.append(rows[:, 1:])
    return expected[0], expected[1]


def test_cifar100_is_described_as_published() -> None:
    # https://www.cs.toronto.edu/~kriz/cifar.html
    assert CIFAR100.files == {"train.bin": 50_000, "test.bin": 10_000}
    assert (CIFAR100.row_bytes, CIFAR100.labels, CIFAR100.n_classes) == (3_074, (20, 100), 100)


@pytest.mark.parametrize("kind", ["directory", "archive"])
def test_cifar100s_fine_label_is_the_class(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "cifar-100-binary"
    expected = write_cifar100(source)
    if kind == "archive":
        members = {name: (source / name).read_bytes() for name in ("test.bin", "train.bin")}
        source = write_archive(tmp_path / "cifar-100-binary.tar.gz", members)
    found = cifar.read(SMALL, source)
    for rows, expected_rows in zip(found, expected, strict=True):
        np.testing.assert_array_equal(rows, expected_rows)
        assert rows.flags.c_contiguous


@pytest.mark.parametrize(
    ("byte", "label", "legal"),
    [(0, 20, "byte 0 of a row must lie in 0..19"), (1, 100, "byte 1 of a row must lie in 0..99")],
)
def test_a_wrong_label_of_cifar100_is_named_with_its_byte(
    tmp_path: Path, byte: int, label: int, legal: str
) -> None:
    source = tmp_path / "cifar-100-binary"
    write_cifar100(source)
    rows = np.fromfile(source / "test.bin", dtype=np.uint8).reshape(-1, 3_074)
    rows[17, byte] = label
    rows.tofile(source / "test.bin")
    assert read_refusal(source, SMALL) == f"{source / 'test.bin'}: row 17 has the label {label}; {legal}"


def test_a_file_of_cifar100_of_a_wrong_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    write_cifar100(tmp_path / "cifar-100-binary")
    message = read_refusal(tmp_path / "cifar-100-binary", CIFAR100)
    path = tmp_path / "cifar-100-binary" / "train.bin"
    assert message == f"{path}: has 922,200 bytes; must have 153,700,000: 50,000 rows of 3,074"


def test_a_missing_file_of_cifar100_is_named_and_where_it_can_be_had(tmp_path: Path) -> None:
    message = read_refusal(tmp_path, CIFAR100)
    assert message == (
        f"{tmp_path}: lacks train.bin, test.bin; see https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    )


def test_one_directory_may_hold_both_data_sets(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-bin").symlink_to(fake.directory)
    assert cifar.find(CIFAR100, tmp_path) is None
    write_cifar100(tmp_path / "cifar-100-binary")
    assert cifar.find(CIFAR100, tmp_path) == tmp_path / "cifar-100-binary"
    assert cifar.find(CIFAR10, tmp_path) == tmp_path / "cifar-10-batches-bin"


# --- damage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data_batch_3.bin", "test_batch.bin"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert read_refusal(copy).startswith(f"{copy}: lacks {name};")


def test_every_missing_file_is_named_and_where_they_can_be_had(tmp_path: Path) -> None:
    message = read_refusal(tmp_path)
    assert f"lacks {', '.join(ALL_FILES)}" in message
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" in message


@pytest.mark.parametrize("n_bytes", [0, 30_729_999, 30_730_001])
def test_a_file_of_a_wrong_size_is_named_with_both_sizes(copy: Path, n_bytes: int) -> None:
    damaged = copy / "data_batch_2.bin"
    damaged.unlink()
    with damaged.open("wb") as file:
        file.truncate(n_bytes)
    message = read_refusal(copy)
    assert message.startswith(f"{damaged}: has {n_bytes:,} bytes; must have 30,730,000")


def test_a_wrong_label_is_named_with_its_file_and_row(copy: Path, fake: Fake) -> None:
    rows = np.fromfile(fake.directory / "data_batch_4.bin", dtype=np.uint8).reshape(-1, 3_073)
    rows[[123, 456], 0] = 10
    damaged = copy / "data_batch_4.bin"
    damaged.unlink()
    rows.tofile(damaged)
    message = read_refusal(copy)
    assert message.startswith(f"{damaged}: row 123 has the label 10;")
    assert "0..9" in message


def test_a_file_that_can_not_be_read_is_named(copy: Path) -> None:
    damaged = copy / "data_batch_1.bin"
    damaged.unlink()
    damaged.mkdir()
    assert read_refusal(copy).startswith(f"{damaged}: can't be read: ")


def test_an_archive_that_lacks_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", {name: b"" for name in FILES})
    assert read_refusal(archive).startswith(f"{archive}: lacks test_batch.bin;")


def test_a_file_of_a_wrong_size_in_an_archive_is_named(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", {name: b"\0" * 3_073 for name in ALL_FILES})
    assert read_refusal(archive).startswith(f"{archive / 'data_batch_1.bin'}: has 3,073 bytes")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_archive_is_refused_by_name(fake: Fake, tmp_path: Path, share: float) -> None:
    content = fake.archive.read_bytes()
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(content[: int(share * len(content))])
    assert read_refusal(archive).startswith(f"{archive}: ")


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_damaged_archive_is_refused_by_name(fake: Fake, tmp_path: Path, share: float) -> None:
    content = bytearray(fake.archive.read_bytes())
    start = int(share * len(content))
    content[start : start + 1_000] = b"\xff" * 1_000
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(content)
    assert read_refusal(archive).startswith(f"{archive}: ")


def test_a_file_that_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_text("<html>Not Found</html>")
    assert read_refusal(archive).startswith(f"{archive}: not a complete .tar.gz archive")


# --- downloading -----------------------------------------------------------------------------------------

PAYLOAD = b"as good as an archive" * 1_000
PAYLOAD_SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


@dataclass
class Server:
    """A web server on this machine that counts what it is asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves PAYLOAD at /archive.tar.gz, its first half at /half.tar.gz, and nothing else."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = {"/archive.tar.gz": PAYLOAD, "/half.tar.gz": PAYLOAD[: len(PAYLOAD) // 2]}.get(self.path)
            if found is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(PAYLOAD)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Server(f"http://127.0.0.1:{http.server_port}", asked)
        http.shutdown()
        thread.join()
    gc.collect()  # while the test's own filter for unclosed sockets holds


# pooch leaves the connection open where a download fails; the garbage collector closes it.
leaves_a_socket = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def served(url: str, sha256: str = PAYLOAD_SHA256, archive: Archive = CIFAR10) -> Archive:
    """`archive` as if it were at `url`."""
    return replace(archive, url=url, sha256=sha256)


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def fetch_refusal(directory: Path, url: str, sha256: str = PAYLOAD_SHA256) -> str:
    with pytest.raises(DataError) as refused:
        cifar.fetch(served(url, sha256), directory)
    return str(refused.value)


def test_a_download_lies_under_the_archives_name_and_nothing_beside_it(
    server: Server, tmp_path: Path
) -> None:
    directory = tmp_path / "new" / "cache"
    path = cifar.fetch(served(f"{server.url}/archive.tar.gz"), directory)
    assert path == directory / "cifar-10-binary.tar.gz"
    assert path.read_bytes() == PAYLOAD
    assert files_in(directory) == ["cifar-10-binary.tar.gz"]
    assert cifar.find(CIFAR10, directory) == path


def test_a_download_of_cifar100_lies_under_its_own_name(server: Server, tmp_path: Path) -> None:
    path = cifar.fetch(served(f"{server.url}/archive.tar.gz", archive=CIFAR100), tmp_path)
    assert path == tmp_path / "cifar-100-binary.tar.gz"
    assert cifar.find(CIFAR100, tmp_path) == path
    assert cifar.find(CIFAR10, tmp_path) is None


def test_a_download_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        cifar.fetch(served(f"{server.url}/archive.tar.gz"), tmp_path)
    assert server.asked == ["/archive.tar.gz"]


def test_a_damaged_file_that_is_there_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"half of it")
    path = cifar.fetch(served(f"{server.url}/archive.tar.gz"), tmp_path)
    assert path.read_bytes() == PAYLOAD


def test_a_download_with_a_wrong_hash_is_refused_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    url = f"{server.url}/archive.tar.gz"
    assert fetch_refusal(tmp_path, url, sha256="0" * 64).startswith(f"{url}: can't be downloaded")
    assert files_in(tmp_path) == []


@leaves_a_socket
def test_a_download_that_breaks_off_is_refused_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    url = f"{server.url}/half.tar.gz"
    assert fetch_refusal(tmp_path, url).startswith(f"{url}: can't be downloaded")
    assert files_in(tmp_path) == []


@leaves_a_socket
def test_a_page_that_is_not_there_is_named_with_what_to_do(server: Server, tmp_path: Path) -> None:
    message = fetch_refusal(tmp_path, f"{server.url}/moved.tar.gz")
    assert message.startswith(f"{server.url}/moved.tar.gz: can't be downloaded (HTTPError)")
    assert "--data-dir" in message


def test_a_refused_connection_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:  # bound, but not listening: the port is nobody else's meanwhile
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/archive.tar.gz"
        message = fetch_refusal(tmp_path, url)
    assert message.startswith(f"{url}: can't be downloaded (ConnectionError)")
    assert "--data-dir" in message
    assert "SWEEPER_DATA" in message
    assert files_in(tmp_path) == []


def test_a_directory_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    assert str(blocked) in fetch_refusal(blocked / "cache", "http://127.0.0.1:9/archive.tar.gz")


@leaves_a_socket
def test_a_message_is_one_line(server: Server, tmp_path: Path) -> None:
    assert "\n" not in fetch_refusal(tmp_path, f"{server.url}/archive.tar.gz", sha256="0" * 64)
    assert "\n" not in fetch_refusal(tmp_path, f"{server.url}/moved.tar.gz")
