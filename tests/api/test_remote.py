"""What a job does where it arrives, and what it refuses before it begins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper import experiment as experiments
from sweeper.api import Silent, remote, run
from sweeper.cluster import reading
from sweeper.errors import ExperimentError, NotFoundError, SweepExistsError, UsageError
from sweeper.experiment import Experiment

MakeExperiment = Callable[..., Experiment]

FILE = """
[experiment]
name = "far"
[data]
name = "synthetic"
train_size = 100
val_size = 50
test_size = 50
[model]
name = "linear"
[budget]
trials_per_optimizer = 2
epochs = 1
[search]
sampler = "random"
[final]
top_k = 0
[optimizers.sgd]
[optimizers.adam]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "far.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The cluster's store."""
    url = f"sqlite:///{tmp_path / 'cluster.db'}"
    monkeypatch.setenv("SWEEPER_STORE", url)
    return url


def coordinate(file: Path | None, *settings: str) -> None:
    remote.coordinate("far", file, settings=settings, force=False, display=Silent())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What would be run or resumed on the cluster: (run or resume, settings)."""
    calls: list[tuple[str, list[str]]] = []

    def keep(kind: str) -> Callable[..., None]:
        def called(*words: Any, settings: list[str], address: str, **options: Any) -> None:
            assert address == "auto"
            calls.append((kind, list(settings)))

        return called

    monkeypatch.setattr(remote, "run", keep("run"))
    monkeypatch.setattr(remote, "resume", keep("resume"))
    return calls


def test_a_new_name_is_run_and_a_known_one_gone_on_with(
    file: Path, store_url: str, asked: list[tuple[str, list[str]]]
) -> None:
    coordinate(file, "budget.epochs=1")
    run(file, store_url, workers="inline")
    coordinate(file, "budget.epochs=1")
    coordinate(file, "budget.trials_per_optimizer=5")
    coordinate(file, "budget.trials_per_optimizer=1")  # what is there already is not taken back
    coordinate(None, "final.seeds=20")
    assert asked == [
        ("run", ["budget.epochs=1"]),
        ("resume", []),
        ("resume", ["budget.trials_per_optimizer=5"]),
        ("resume", []),
        ("resume", ["final.seeds=20"]),
    ]


def test_another_experiment_under_the_same_name_is_refused_with_the_difference(
    file: Path, store_url: str, asked: list[tuple[str, list[str]]]
) -> None:
    run(file, store_url, workers="inline")
    with pytest.raises(SweepExistsError, match=r"of another experiment: budget.epochs is 1 there, 3 here"):
        coordinate(file, "budget.epochs=3")
    assert asked == []


def test_a_sweep_to_be_resumed_must_be_in_the_clusters_store(store_url: str) -> None:
    with pytest.raises(NotFoundError, match="no sweep is called 'far'"):
        coordinate(None)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "sqlite:///here.db",
            "SWEEPER_STORE = sqlite:///here.db on the cluster, and a job's directory is temp",
        ),
        ("sqlite://", "SWEEPER_STORE = sqlite:// on the cluster"),
        ("", "SWEEPER_STORE is not set on the cluster"),
    ],
)
def test_a_store_that_ends_with_the_job_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("SWEEPER_STORE", url)
    with pytest.raises(UsageError, match=said):
        coordinate(file)


class Cluster:
    """Keeps what is submitted; the files are read at once, for they are temporary."""

    def __init__(self) -> None:
        self.submitted: list[tuple[str, list[str], dict[str, str], dict[str, str]]] = []

    def of(self, sweep: str) -> list[Any]:
        return []

    def submit(self, sweep: str, command: list[str], files: Path, metadata: dict[str, str]) -> str:
        texts = {path.name: path.read_text() for path in files.iterdir()}
        self.submitted.append((sweep, list(command), texts, dict(metadata)))
        return f"sweeper-{sweep}-1"


def test_the_file_goes_there_as_it_was_written_and_no_secret_with_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_STORE", "postgresql://me:secret@host/db")
    cluster: Any = Cluster()
    assert remote.submit(cluster, file, name="other", settings=["budget.epochs=2"]) == (
        "other",
        "sweeper-other-1",
    )
    [(sweep, command, texts, metadata)] = cluster.submitted
    assert command[3:] == ["coordinate", "other", "--file", "experiment.toml", "--set", "budget.epochs=2"]
    assert texts == {"experiment.toml": FILE}
    assert metadata.keys() == {"sweep", "summary", "experiment", "optimizers"}
    assert metadata["sweep"] == sweep == "other"
    assert "secret" not in repr(cluster.submitted)


def test_the_same_experiment_has_the_same_fingerprint_whatever_its_name(
    make_experiment: MakeExperiment,
) -> None:
    one, two = make_experiment(), make_experiment(name="two")
    assert remote.fingerprint(one) == remote.fingerprint(two)
    assert remote.fingerprint(one) != remote.fingerprint(make_experiment("budget.epochs=7"))


def test_checkpoints_in_the_jobs_directory_are_refused_before_anything_is_sent(file: Path) -> None:
    cluster: Any = Cluster()
    settings = ["checkpoint.every_epochs=1", 'checkpoint.directory="here"']
    with pytest.raises(
        ExperimentError, match=r"checkpoint.directory = 'here': on a cluster it must be absolute"
    ):
        remote.submit(cluster, file, settings=settings)
    assert cluster.submitted == []
    remote.submit(cluster, file, settings=["checkpoint.every_epochs=1", 'checkpoint.directory="s3://b/c"'])
    assert len(cluster.submitted) == 1


def test_what_may_grow_grows_and_never_shrinks(make_experiment: MakeExperiment) -> None:
    stored = make_experiment("budget.trials_per_optimizer=8", "budget.max_seconds=60")
    wanted = make_experiment("budget.trials_per_optimizer=4", "budget.max_seconds=0", "final.seeds=12")
    assert experiments.growth(stored, wanted) == ["budget.max_seconds=0.0", "final.seeds=12"]
    assert experiments.growth(stored, stored) == []


class Told:
    """A job as Ray tells of it."""

    def __init__(self, submission_id: str | None, sweep: str | None, start_time: int = 1) -> None:
        self.submission_id, self.start_time, self.end_time = submission_id, start_time, None
        self.metadata = {"sweep": sweep} if sweep else None
        self.status, self.message, self.driver_exit_code = "RUNNING", None, None


def test_a_job_is_numbered_after_those_that_carry_its_sweep() -> None:
    told = [
        Told("sweeper-a-3", "a", 5_000),
        Told("sweeper-a-1", "a", 4_000),
        Told("sweeper-a-b-7", "a-b"),
        Told("raysubmit_x", None),
        Told(None, None),
    ]
    jobs = reading.sweep_jobs(told)
    assert [job.id for job in jobs] == ["sweeper-a-b-7", "sweeper-a-1", "sweeper-a-3"]
    assert reading.next_id("a", jobs) == "sweeper-a-4"
    assert reading.next_id("a-b", jobs) == "sweeper-a-b-8"
    assert reading.next_id("new", jobs) == "sweeper-new-1"
