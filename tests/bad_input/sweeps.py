"""Sweeps written straight into a store, with whatever text a test wants in them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sweeper import experiment as experiments
from sweeper.experiment import Experiment
from sweeper.records import (
    EpochRecord,
    Origin,
    Phase,
    SweepState,
    Trial,
    TrialKey,
    TrialState,
    Value,
    WorkerInfo,
)
from sweeper.store import (
    AttemptStarted,
    EpochsRecorded,
    Store,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXPERIMENT = experiments.loads(
    '[experiment]\nname = "s"\n[data]\nname = "synthetic"\ntrain_size = 200\nval_size = 100\n'
    'test_size = 100\n[model]\nname = "linear"\n[budget]\ntrials_per_optimizer = 2\n[final]\ntop_k = 0\n'
    "[optimizers.sgd]\n"
)


SHARED = {"schedule": "constant", "sampling": "shuffle"}


def write_sweep(
    store: Store,
    name: str,
    *,
    said: str | None = None,
    params: Mapping[str, Value] | None = None,
    experiment: Experiment = EXPERIMENT,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """A complete sweep of two trials of sgd; the second failed for the reason `said`, as its worker told."""
    data = {"name": "synthetic", "train": 200, "sha256": "0" * 64}
    committer = store.create_sweep(
        name, experiment.document(), experiment.text, {"data": data, **(facts or {})}, 30
    )
    for number in (0, 1):
        key = TrialKey("sgd", Phase.SEARCH, number)
        values = {"lr": 0.1, "batch_size": 64, "weight_decay": 0.0, **SHARED, **(params or {})}
        origin = Origin.PROPOSED if number else Origin.DEFAULT
        failed = said is not None and number == 1
        state = TrialState.FAILED if failed else TrialState.COMPLETE
        worker = WorkerInfo(said or "1/0", said or "host", said or "cpu")
        record = EpochRecord(10, 2_000, 40, 40, 1.0, 1.5, 0.5, 0.1, 0.1, 0.1, NOW)
        committer.commit(
            [
                TrialPlanned(Trial(key, 7, values, {}, origin, bool(number), number), NOW),
                AttemptStarted(key, 1, worker, NOW),
                EpochsRecorded(key, 1, (record,), setup_s=0.1, train_s=0.1, eval_s=0.1),
                TrialFinished(key, 1, state, NOW, error=said if failed else None),
            ]
        )
    committer.commit([SweepEnded(SweepState.COMPLETE)])
    committer.release()
