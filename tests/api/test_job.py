"""How a sweep is put together and stopped, without Ray."""

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sweeper.api import run
from sweeper.api.job import checkpoint_files
from sweeper.api.signals import received
from sweeper.errors import CheckpointError
from sweeper.experiment import Experiment
from sweeper.store import Store

MakeExperiment = Callable[..., Experiment]

MADE = datetime(2026, 11, 23, 7, tzinfo=UTC)


def test_a_sweep_that_cannot_save_its_progress_is_not_made(
    make_experiment: MakeExperiment, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    experiment = make_experiment("checkpoint.every_epochs=1", f"checkpoint.directory={file}/below")
    with pytest.raises(CheckpointError, match=str(file)) as caught:
        run(experiment, store.engine.url.render_as_string(), workers="inline")
    assert "\n" not in str(caught.value)
    assert store.sweeps() == []


def test_each_sweep_saves_in_a_directory_of_its_own(make_experiment: MakeExperiment, tmp_path: Path) -> None:
    document = make_experiment("checkpoint.every_epochs=1", f"checkpoint.directory={tmp_path}").document()
    first = checkpoint_files(document, "s", MADE)
    later = checkpoint_files(document, "s", MADE.replace(hour=8))
    assert first is not None
    assert later is not None
    assert Path(first.directory).parent == Path(later.directory).parent == tmp_path
    assert first.directory != later.directory
    assert checkpoint_files(make_experiment().document(), "s", MADE) is None


def test_the_first_signal_stops_what_is_under_way_and_its_echo_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sweeper.api.signals.SAME_S", 60.0)  # however busy the machine is
    before = signal.getsignal(signal.SIGINT)
    calls = []
    with received() as signals:
        signals.on_stop = lambda: calls.append(1)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert signals.stop.is_set()
    assert calls == [1]
    assert signal.getsignal(signal.SIGINT) is before
