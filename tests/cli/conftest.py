"""A stored sweep for the commands that read one, written without any training."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from sweeper import seeds
from sweeper.api import Sweep
from sweeper.experiment import Experiment
from sweeper.records import (
    EpochRecord,
    FinalScore,
    Origin,
    Phase,
    SweepState,
    Trial,
    TrialKey,
    TrialState,
    WorkerInfo,
)
from sweeper.store import (
    AttemptStarted,
    Committer,
    EpochsRecorded,
    Store,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOSSES = {"sgd": (2.2, 1.9, 1.8), "adam": (2.1, 1.2, 1.5)}
"""Validation losses of each optimizer's trials 0, 1 and 2."""

MakeRecord = Callable[..., EpochRecord]
MakeSweep = Callable[..., Sweep]


@pytest.fixture
def make_sweep(
    store: Store, make_experiment: Callable[..., Experiment], make_record: MakeRecord
) -> MakeSweep:
    """Makes the sweep `s` of sgd and adam, with `n_finals` finals of each one's best setting."""

    def make(*settings: str, n_finals: int = 6, state: SweepState | None = SweepState.COMPLETE) -> Sweep:
        arms = ("optimizers.sgd={}", "optimizers.adam={}")
        final = ("final.top_k=1", "final.seeds=6", "final.untuned=false")
        experiment = make_experiment(*arms, *final, *settings)
        data = {"name": "synthetic", "train": 200, "sha256": "0" * 64}
        committer = store.create_sweep("s", experiment.document(), experiment.text, {"data": data}, 30)
        for name, losses in LOSSES.items():
            for number, loss in enumerate(losses):
                _commit(committer, _search_trial(name, number), make_record(2, val_loss=loss), None)
            best = min(range(3), key=losses.__getitem__)
            for j in range(n_finals):
                loss = losses[best] + 0.01 * j
                test = FinalScore(loss=loss, accuracy=1 - loss / 3)
                _commit(committer, _final(name, j, best), make_record(2, val_loss=loss), test)
        if state is not None:
            committer.commit([SweepEnded(state)])
        return Sweep(store, "s")

    return make


def _search_trial(name: str, number: int) -> Trial:
    return Trial(
        key=TrialKey(name, Phase.SEARCH, number),
        seed=seeds.search_trial(0, number),
        params=_params(name, number),
        proposal={},
        origin=Origin.PROPOSED if number else Origin.DEFAULT,
        independent=bool(number),
        setting=number,
    )


def _final(name: str, number: int, setting: int) -> Trial:
    return Trial(
        key=TrialKey(name, Phase.FINAL, number),
        seed=seeds.final_trial(0, number),
        params=_params(name, setting),
        proposal={},
        origin=Origin.FINAL,
        independent=False,
        setting=setting,
    )


def _params(name: str, number: int) -> dict[str, float | int | str]:
    own = {"beta1": 0.9, "beta2": 0.999} if name == "adam" else {}
    shared = {"batch_size": 64, "weight_decay": 0.0, "schedule": "constant", "sampling": "shuffle"}
    return {"lr": 0.001 * (1 + number), **own, **shared}


def _commit(committer: Committer, trial: Trial, record: EpochRecord, test: FinalScore | None) -> None:
    committer.commit(
        [
            TrialPlanned(trial, NOW),
            AttemptStarted(trial.key, 1, WorkerInfo("1/0", "host", "cpu"), NOW),
            EpochsRecorded(trial.key, 1, (record,), setup_s=0.1, train_s=1.0, eval_s=0.5),
            TrialFinished(trial.key, 1, TrialState.COMPLETE, NOW, test=test),
        ]
    )
