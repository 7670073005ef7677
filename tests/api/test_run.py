"""Sweeps from Python, with the inline worker: everything but Ray is real."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

import sweeper
from sweeper.api import Silent, execution, open_store, resume, run
from sweeper.checkpoints import directory_of
from sweeper.errors import (
    CheckpointError,
    ClusterError,
    DataError,
    InterruptedSweepError,
    LeaseHeldError,
    NotFoundError,
    SweepExistsError,
    UsageError,
)
from sweeper.experiment import Experiment, extended
from sweeper.records import EpochRecord, FinalScore, SweepState, Trial, TrialKey, TrialState
from sweeper.store import Committer, ExperimentExtended, Store
from sweeper.store.schema import sweeps
from sweeper.workers.inline import InlineWorkers

MakeExperiment = Callable[..., Experiment]


def comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """What must be the same from run to run: everything but times and workers."""
    times = (
        "worker",
        "queued_s",
        "setup_s",
        "train_s",
        "eval_s",
        "wall_s",
        "started_at",
        "finished_at",
        "attempt",
    )
    return frame.drop(columns=[name for name in times if name in frame])


class StopAfter(Silent):
    """Sends this process a signal when so many trials have ended."""

    def __init__(self, n: int, number: int = signal.SIGINT) -> None:
        self.left = n
        self.number = number

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def test_a_sweep_runs_to_its_end_and_can_be_loaded(tiny: Experiment, store: Store) -> None:
    done = sweeper.run(tiny, store, workers="inline")
    loaded = sweeper.load("tiny", store)
    assert loaded.info.state is SweepState.COMPLETE
    assert len(loaded.trials) == 18
    is_whole = loaded.trials["state"] == "complete"
    assert (loaded.trials.loc[is_whole, "epochs"] == 2).all()
    assert len(loaded.epochs) == loaded.trials["epochs"].sum()
    assert len(loaded.attempts) == 18
    assert list(loaded.summary()["optimizer"]) == [arm.name for arm in tiny.arms]
    pd.testing.assert_frame_equal(done.trials, loaded.trials)
    assert loaded.experiment.document() == tiny.document()


def test_a_file_with_settings_runs_as_the_python_object_does(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[experiment]\nname = "x"\n[optimizers.adam]\n')
    settings = [
        "data.name=synthetic",
        "data.train_size=100",
        "data.val_size=50",
        "data.test_size=50",
        "model.name=linear",
        "budget.trials_per_optimizer=2",
        "budget.epochs=1",
    ]
    sweep = run(path, store, name="other", settings=settings, workers="inline")
    assert sweep.name == "other"
    assert sweep.trials["phase"].value_counts().to_dict() == {"search": 2, "final": 20}
    assert sweep.info.experiment_text == path.read_text()


def test_what_the_results_depend_on_is_stored(tiny: Experiment, store: Store) -> None:
    facts = run(tiny, store, workers="inline").info.facts
    assert facts["versions"].keys() >= {"python", "sweeper", "torch", "optuna", "ray"}
    assert len(facts["data"]["sha256"]) == 64
    assert facts["machine"]["processor"]


def test_the_same_experiment_gives_the_same_numbers(tiny: Experiment, store: Store, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    one, two = run(tiny, store, workers="inline"), run(tiny, other, workers="inline")
    pd.testing.assert_frame_equal(comparable(one.trials), comparable(two.trials))
    pd.testing.assert_frame_equal(comparable(one.epochs), comparable(two.epochs))


def test_a_name_that_exists_is_refused_before_anything_is_loaded(
    make_experiment: MakeExperiment, tiny: Experiment, store: Store, tmp_path: Path
) -> None:
    run(tiny, store, workers="inline")
    needs_images = make_experiment("data.name=cifar10", "data.train_size=100")
    differs = r'its experiment differs: data.name is "synthetic" there, "cifar10" here'
    with pytest.raises(SweepExistsError, match=differs):
        run(needs_images, store, data_dir=tmp_path)
    with pytest.raises(SweepExistsError) as same:
        run(tiny, store)
    assert "differs" not in str(same.value)


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 101, "é", "a;b", "a\n"])
def test_a_name_that_is_none_is_refused(name: str, tiny: Experiment, store: Store) -> None:
    with pytest.raises(UsageError, match="1 to 100 letters"):
        run(tiny, store, name=name, workers="inline")


def test_missing_images_leave_no_store_behind(make_experiment: MakeExperiment, tmp_path: Path) -> None:
    experiment = make_experiment("data.name=cifar10")
    with pytest.raises(DataError, match="holds neither"):
        run(experiment, f"sqlite:///{tmp_path / 's.db'}", data_dir=tmp_path, workers="inline")
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_sweep_that_resume_finishes_with_the_same_numbers(
    number: int, tiny: Experiment, store: Store, tmp_path: Path
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(InterruptedSweepError, match="sweeper resume tiny"):
        run(tiny, store, workers="inline", display=StopAfter(5, number))
    assert signal.getsignal(number) is before
    halted = sweeper.load("tiny", store)
    assert halted.info.state is SweepState.INTERRUPTED
    assert halted.info.trials["running"] == 0
    assert 5 <= halted.info.trials["complete"] < 18

    resumed = resume("tiny", store, workers="inline")
    assert resumed.info.state is SweepState.COMPLETE
    undisturbed = run(tiny, f"sqlite:///{tmp_path / 'other.db'}", workers="inline")
    by_key = ["optimizer", "number"]
    pd.testing.assert_frame_equal(
        comparable(resumed.trials).sort_values(by_key, ignore_index=True),
        comparable(undisturbed.trials).sort_values(by_key, ignore_index=True),
    )


def test_a_sweep_runs_in_a_thread_that_may_set_no_signal_handlers(tiny: Experiment, store: Store) -> None:
    thread = threading.Thread(target=run, args=[tiny, store], kwargs={"workers": "inline"})
    thread.start()
    thread.join(60)
    assert sweeper.load("tiny", store).info.state is SweepState.COMPLETE


def test_resuming_a_complete_sweep_changes_nothing(tiny: Experiment, store: Store) -> None:
    done = run(tiny, store, workers="inline").trials
    pd.testing.assert_frame_equal(resume("tiny", store, workers="inline").trials, done)


def test_resume_waits_one_lease_for_another_coordinator_and_says_for_whom(
    make_experiment: MakeExperiment, store: Store
) -> None:
    notes: list[str] = []

    class Notes(Silent):
        def note(self, line: str) -> None:
            notes.append(line)

    experiment = make_experiment("resources.lease_s=1")
    with pytest.raises(InterruptedSweepError):
        run(experiment, store, workers="inline", display=StopAfter(1))
    committer = store.take_sweep("tiny", 3600)
    with pytest.raises(LeaseHeldError, match=f"process {os.getpid()}"):
        resume("tiny", store, workers="inline", display=Notes())
    assert any("waiting" in note for note in notes)
    committer.release()
    assert resume("tiny", store, workers="inline").info.state is SweepState.COMPLETE


def interrupted(experiment: Experiment, store: Store) -> None:
    with pytest.raises(InterruptedSweepError):
        run(experiment, store, workers="inline", display=StopAfter(1))


def change_facts(store: Store, change: Callable[[dict[str, dict[str, str]]], None]) -> None:
    facts = store.sweep("tiny").facts
    change(facts)  # type: ignore[arg-type]
    with store.engine.begin() as connection:
        connection.execute(sweeps.update().values(facts=facts))


def test_a_resume_that_another_one_overtook_does_not_take_back_what_that_asked_for(
    tiny: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tiny, store)
    taken = execution._take

    def overtaken(*arguments: object) -> Committer:
        larger = extended(tiny, ["budget.trials_per_optimizer=9"], source="tiny")
        committer = taken(*arguments)  # type: ignore[arg-type]
        committer.commit([ExperimentExtended(larger.document())])
        return committer

    monkeypatch.setattr(execution, "_take", overtaken)
    with pytest.raises(UsageError, match="asked for more while this waited"):
        resume("tiny", store, settings=["budget.trials_per_optimizer=4"], workers="inline")
    assert store.sweep("tiny").experiment["budget"]["trials_per_optimizer"] == 9
    assert store.sweep("tiny").holder is None


def test_resume_under_another_torch_wants_force(tiny: Experiment, store: Store) -> None:
    interrupted(tiny, store)
    change_facts(store, lambda facts: facts["versions"].update(torch="1.0"))
    with pytest.raises(UsageError, match=r"torch 1\.0 when the sweep began.*--force"):
        resume("tiny", store, workers="inline")
    assert resume("tiny", store, workers="inline", force=True).info.state is SweepState.COMPLETE


def test_resume_with_other_images_is_refused(tiny: Experiment, store: Store) -> None:
    interrupted(tiny, store)
    change_facts(store, lambda facts: facts["data"].update(sha256="f" * 64))
    with pytest.raises(DataError, match="not those that the sweep began with"):
        resume("tiny", store, workers="inline", force=True)


def test_a_sweep_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    for call in (sweeper.load, resume):
        with pytest.raises(NotFoundError, match="no sweep is called 'x'"):
            call("x", f"sqlite:///{tmp_path / 'none.db'}")
    assert not list(tmp_path.iterdir())


def test_the_store_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPER_STORE", f"sqlite:///{tmp_path / 'named.db'}")
    store = open_store(create=True)
    assert store.url.endswith("named.db")
    store.close()


def test_a_sweep_whose_workers_cannot_start_is_held_by_nobody(
    tiny: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: InlineWorkers, *args: object, **options: object) -> None:
        raise ClusterError("no workers")

    with monkeypatch.context() as patch:
        patch.setattr(InlineWorkers, "__init__", broken)
        with pytest.raises(ClusterError):
            run(tiny, store, workers="inline")
    info = sweeper.load("tiny", store).info
    assert (info.state, info.holder) == (SweepState.INTERRUPTED, None)
    assert resume("tiny", store, workers="inline").info.state is SweepState.COMPLETE


@pytest.mark.ray
def test_a_sweep_for_which_no_worker_fits_does_not_use_up_its_name(
    make_experiment: MakeExperiment, tiny: Experiment, store: Store
) -> None:
    with pytest.raises(ClusterError, match="the 64 CPU and 0 GPU"):
        run(make_experiment("resources.cpus_per_trial=64"), store)
    assert store.sweeps() == []


@pytest.mark.parametrize("workers", [0, -1, "foo", 1.5])
def test_a_number_of_workers_that_is_none_is_refused(workers: object, tiny: Experiment, store: Store) -> None:
    with pytest.raises(UsageError, match="must be a whole number from 1 on, auto or inline"):
        run(tiny, store, workers=workers)  # type: ignore[arg-type]
    assert store.sweeps() == []


def test_what_a_sweep_learns_is_shown_while_it_runs(tiny: Experiment, store: Store) -> None:
    shown: list[object] = []

    class Shown(Silent):
        def begins(
            self, sweep: str, experiment: Experiment, known: Sequence[object], notes: Sequence[str]
        ) -> None:
            shown.append((sweep, len(known), notes))

        def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
            shown.append(records[-1].epoch)

    run(tiny, store, workers="inline", display=Shown())
    (sweep, n_known, notes), *epochs = shown  # type: ignore[misc]
    assert (sweep, n_known) == ("tiny", 0)
    assert "sha256" in notes[0]
    assert epochs.count(2) >= 17


SAVING = ("checkpoint.every_epochs=1", "final.top_k=0")


def saved(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*.checkpoint")]


def test_a_sweep_finds_its_checkpoints_from_any_directory(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopAtEpoch(Silent):
        def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
            if records[-1].epoch == 2 and trial.key.number == 1:
                os.kill(os.getpid(), signal.SIGINT)

    class Told(Silent):
        causes: list[str] = []  # noqa: RUF012

        def lost(self, key: TrialKey, attempt: int, cause: str) -> None:
            self.causes.append(cause)

    monkeypatch.setattr("sweeper.pacing.STRETCH_S", 1e-4)
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    experiment = make_experiment(*SAVING, "checkpoint.directory='saved'", "budget.epochs=4")
    with pytest.raises(InterruptedSweepError):
        run(experiment, store, workers="inline", display=StopAtEpoch())
    assert saved(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "there")
    sweep = resume(experiment.name, store, workers="inline", display=Told())
    assert Told.causes == []
    assert sweep.info.state is SweepState.COMPLETE
    assert sweep.attempts["first_epoch"].max() > 1
    assert list((tmp_path / "here" / "saved").iterdir()) == []
    assert list((tmp_path / "there").iterdir()) == []


def test_a_home_directory_is_the_users_own_and_nothing_in_it_is_touched(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "probe").write_text("the user's own")
    monkeypatch.chdir(tmp_path)
    run(make_experiment(*SAVING, "checkpoint.directory='~'"), store, workers="inline")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["probe"]
    assert (tmp_path / "home" / "probe").read_text() == "the user's own"
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("directory", ["file/in/the/way", "~nobody-of-that-name/saved"])
def test_a_sweep_that_cannot_save_its_checkpoints_is_not_made(
    directory: str, make_experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    experiment = make_experiment(*SAVING, f"checkpoint.directory='{directory}'")
    with pytest.raises(CheckpointError):
        run(experiment, f"sqlite:///{tmp_path / 'store.db'}", workers="inline")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_sweep_whose_checkpoints_can_be_saved_no_more_can_be_resumed(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    class Noting(StopAfter):
        def __init__(self, n: int) -> None:
            super().__init__(n)
            self.notes: list[str] = []

        def note(self, line: str) -> None:
            self.notes.append(line)

    root = tmp_path / "saved"
    experiment = make_experiment(*SAVING, f"checkpoint.directory='{root}'")
    with pytest.raises(InterruptedSweepError):
        run(experiment, store, workers="inline", display=StopAfter(1))
    shutil.rmtree(root)
    root.write_text("a file now")
    shown = Noting(-1)
    sweep = resume(experiment.name, store, workers="inline", display=shown)
    assert sweep.info.state is SweepState.COMPLETE
    assert [line for line in shown.notes if line.endswith("trials go on without checkpoints")]


def test_resuming_a_complete_sweep_removes_checkpoints_that_were_left(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    experiment = make_experiment(*SAVING, f"checkpoint.directory='{tmp_path / 'saved'}'")
    sweep = run(experiment, store, workers="inline")
    own = Path(directory_of(str(tmp_path / "saved"), experiment.name, sweep.info.created_at))
    own.mkdir()
    (own / "adam-search-00001-attempt-1-epoch-1.checkpoint").write_bytes(b"")
    resume(experiment.name, store)
    assert list((tmp_path / "saved").iterdir()) == []


def test_what_is_interrupted_while_ray_starts_is_not_said_to_be_resumable(
    store: Store, make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise ClusterError("Ray can't be started")

    monkeypatch.setattr("sweeper.workers.ray.cluster", interrupted)
    with pytest.raises(InterruptedSweepError, match="nothing of it is stored"):
        run(make_experiment(), store, workers=1)
