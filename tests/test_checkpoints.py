"""The files of checkpoints: whole or not there, where they belong, and gone when they are needed no more."""

import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import fsspec
import pytest

from sweeper import crashpoints
from sweeper.checkpoints import CheckpointFiles, directory_of
from sweeper.crashpoints import Point
from sweeper.errors import CheckpointError
from sweeper.records import Checkpoint, Phase, TrialKey

ADAM = TrialKey("adam", Phase.SEARCH, 7)
FIRST, SECOND = Checkpoint(1, 2), Checkpoint(1, 4)


@pytest.fixture(params=["path", "file", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CheckpointFiles]:
    """Checkpoints in a directory that isn't there yet: a path, and URLs of two file systems."""
    yield CheckpointFiles(
        {
            "path": str(tmp_path / "deep" / "er"),
            "file": f"file://{tmp_path}/deep/er",
            "memory": "memory://deep/er",
        }[request.param]
    )
    memory = fsspec.filesystem("memory")
    if memory.exists("/deep"):
        memory.rm("/deep", recursive=True)


def test_what_was_saved_is_read_again(files: CheckpointFiles) -> None:
    files.save(ADAM, FIRST, b"first")
    files.save(ADAM, SECOND, b"second")
    sent = pickle.loads(pickle.dumps(files))
    assert (sent.load(ADAM, FIRST), sent.load(ADAM, SECOND)) == (b"first", b"second")


def test_a_checkpoint_that_is_not_there_is_told_in_a_line(files: CheckpointFiles) -> None:
    name = "adam-search-00007-attempt-1-epoch-2.checkpoint"
    with pytest.raises(CheckpointError, match=rf"/{name}: can't be read: No such file or directory$"):
        files.load(ADAM, FIRST)


def test_a_trials_older_checkpoints_are_forgotten_and_nothing_else(files: CheckpointFiles) -> None:
    other = TrialKey("adam", Phase.FINAL, 7)
    kept, unreported = Checkpoint(2, 3), Checkpoint(2, 5)
    for key, checkpoint in ((ADAM, SECOND), (ADAM, kept), (ADAM, unreported), (other, FIRST)):
        files.save(key, checkpoint, b"state")
    files.forget(ADAM, kept)
    with pytest.raises(CheckpointError):
        files.load(ADAM, SECOND)  # of an older attempt, though of a later epoch
    assert files.load(ADAM, kept) == files.load(ADAM, unreported) == files.load(other, FIRST) == b"state"
    files.forget(ADAM)
    for checkpoint in (kept, unreported):
        with pytest.raises(CheckpointError):
            files.load(ADAM, checkpoint)
    assert files.load(other, FIRST) == b"state"


def test_a_sweeps_checkpoints_are_forgotten_together_and_twice_does_no_harm(files: CheckpointFiles) -> None:
    files.forget(ADAM)
    files.forget_all()
    files.require_writable()
    files.save(ADAM, FIRST, b"state")
    files.forget_all()
    files.forget_all()
    with pytest.raises(CheckpointError):
        files.load(ADAM, FIRST)
    system, path = fsspec.url_to_fs(files.directory)
    assert not system.exists(path)


def test_files_of_others_stay_in_the_directory(tmp_path: Path) -> None:
    files = CheckpointFiles(str(tmp_path))
    files.save(ADAM, FIRST, b"state")
    (tmp_path / "notes.txt").write_text("mine")
    files.forget_all()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["../../evil", "/evil", "..", "a\0b", "a*[b]"])
def test_no_name_of_an_optimizer_leads_out_of_the_directory(name: str, tmp_path: Path) -> None:
    files = CheckpointFiles(str(tmp_path / "own"))
    key = TrialKey(name, Phase.SEARCH, 0)
    files.save(key, FIRST, b"state")
    assert files.load(key, FIRST) == b"state"
    (written,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert written.parent == tmp_path / "own"
    files.forget(key)
    assert not written.exists()


# --- whole or not there ----------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from sweeper import crashpoints
from sweeper.checkpoints import CheckpointFiles
from sweeper.records import Checkpoint, Phase, TrialKey
files, key = CheckpointFiles(sys.argv[1]), TrialKey("adam", Phase.SEARCH, 7)
files.save(key, Checkpoint(1, 2), b"first" * 1000)
crashpoints.arm(lambda point: point == sys.argv[2] and os.kill(os.getpid(), signal.SIGKILL))
files.save(key, Checkpoint(1, 4), b"second" * 1000)
"""


@pytest.mark.parametrize("point", [Point.BEFORE_CHECKPOINT, Point.AFTER_CHECKPOINT])
def test_a_process_killed_while_it_saves_leaves_every_checkpoint_whole_or_absent(
    point: Point, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), point.value]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    files = CheckpointFiles(str(tmp_path))
    assert files.load(ADAM, FIRST) == b"first" * 1000
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    if point is Point.AFTER_CHECKPOINT:
        assert files.load(ADAM, SECOND) == b"second" * 1000
    else:
        assert sizes["adam-search-00007-attempt-1-epoch-4.checkpoint.partial"] == 3000, "half of it"
        with pytest.raises(CheckpointError):
            files.load(ADAM, SECOND)
    files.forget(ADAM)
    assert list(tmp_path.iterdir()) == []


def test_saving_that_is_broken_off_leaves_nothing_behind(tmp_path: Path) -> None:
    def break_off(point: Point) -> None:
        raise KeyboardInterrupt

    files = CheckpointFiles(str(tmp_path))
    crashpoints.arm(break_off)
    try:
        with pytest.raises(KeyboardInterrupt):
            files.save(ADAM, FIRST, b"state")
    finally:
        crashpoints.arm(None)
    assert list(tmp_path.iterdir()) == []


# --- where they lie --------------------------------------------------------------------------------------


def test_a_directory_that_cannot_be_made_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files = CheckpointFiles(str(tmp_path / "file" / "below"))
    for attempt in (files.require_writable, lambda: files.save(ADAM, FIRST, b"state")):
        with pytest.raises(CheckpointError, match=r"can't be written: Not a directory$"):
            attempt()


def test_a_file_system_that_is_not_installed_is_told_by_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ocifs", None)
    with pytest.raises(CheckpointError, match=r"^oci://bucket/sweeps: can't be written: .*[Ii]nstall"):
        CheckpointFiles("oci://bucket/sweeps").require_writable()


def test_no_message_tells_a_password() -> None:
    files = CheckpointFiles("ftp://someone:se%20cret@127.0.0.1:1/sweeps")  # nobody listens at port 1
    for attempt in (files.require_writable, lambda: files.load(ADAM, FIRST)):
        with pytest.raises(
            CheckpointError, match=r"^ftp://\*\*\*@127\.0\.0\.1:1/sweeps\S*: can't be"
        ) as told:
            attempt()
        assert not {"someone", "se%20cret", "se cret"} & set(str(told.value).split())
        assert "cret" not in str(told.value)
    assert "cret" not in files.path(ADAM, FIRST)


def test_each_sweep_has_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
    elsewhere = created.astimezone(timezone(timedelta(hours=2)))
    monkeypatch.chdir(tmp_path)
    own = "cifar-20260102T030405000600Z"
    assert directory_of("saved", "cifar", created) == str(tmp_path / "saved" / own)
    assert directory_of("s3://bucket/a/", "cifar", elsewhere) == f"s3://bucket/a/{own}"
    assert directory_of("memory://", "cifar", created) == f"memory://{own}"
    again = directory_of("saved", "cifar", created + timedelta(microseconds=1))
    assert again != directory_of("saved", "cifar", created)
    with pytest.raises(CheckpointError, match="there is no such user"):
        directory_of("~nobody-of-that-name/saved", "cifar", created)
