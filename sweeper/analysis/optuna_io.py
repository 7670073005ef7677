"""Optuna's view of a sweep: real studies for optuna-dashboard, and the importances that Optuna works out.

A study's parameters are what the rules got (lr, momentum, beta1 ...), not the coordinates in which Optuna saw
them. Each has one distribution, wide enough for every trial, the untuned one included.
"""

import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from sweeper import scoring
from sweeper.analysis import scores, shown
from sweeper.errors import UsageError
from sweeper.experiment import Experiment
from sweeper.records import Phase, TrialState

STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.DIVERGED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}
"""A diverged trial is pruned, as TPE is told; its attribute `state` says so. Others aren't exported."""

ATTRIBUTES = (
    *("number", "state", "origin", "independent", "setting", "seed", "attempt", "epochs", "samples"),
    *("train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy", "train_s", "worker", "error"),
)
"""What of a trial becomes an attribute."""

ENOUGH = 10
"""So many scored trials make importances."""

WIDE = 10.0
"""A positive parameter whose values span a larger factor has a logarithmic distribution."""

DIRECTIONS = {True: StudyDirection.MAXIMIZE, False: StudyDirection.MINIMIZE}
"""By whether a higher value is the better one."""

Distributions = Mapping[str, BaseDistribution]

optuna.logging.set_verbosity(optuna.logging.WARNING)


def export_studies(
    trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment, storage: BaseStorage
) -> list[str]:
    """Write a study `SWEEP/OPTIMIZER` per optimizer, and `SWEEP/OPTIMIZER/final` of its finals; their names.

    Each finished trial is there with its parameters, its objective after every epoch and its attributes; a
    value that isn't finite is NaN among the epochs, and null in the attributes. Values are as they were
    recorded, not capped. Raises UsageError where a study of that name exists, and writes nothing then.
    """
    studies = list(_studies(trials, experiment))
    taken = set(optuna.get_all_study_names(storage))
    if known := [name for name, _, _ in studies if name in taken]:
        raise UsageError(f"study {known[0]!r} exists already in the Optuna storage: nothing was written")
    higher = scoring.higher_is_better(experiment.objective)
    curves = dict(iter(epochs.groupby(["optimizer", "phase", "number"], sort=False)))
    for name, rows, objective in studies:
        study = optuna.create_study(study_name=name, storage=storage, direction=DIRECTIONS[higher])
        study.set_user_attr("sweep", str(rows["sweep"].iloc[0]))
        study.set_user_attr("objective", objective)
        study.add_trials(list(_frozen(rows, curves, experiment.objective, objective)))
    return [name for name, _, _ in studies]


def storage_at(location: str | Path) -> BaseStorage:
    """Optuna's storage at a database URL, or in a journal file. Raises UsageError where there is none."""
    try:
        if isinstance(location, Path):
            return JournalStorage(JournalFileBackend(str(location)))
        return RDBStorage(location)
    except Exception as error:  # SQLAlchemy's, Optuna's, or an unknown driver's ImportError
        cause = str(error).split("\n")[0]
        raise UsageError(f"Optuna storage {location}: can't be opened: {cause}") from None


def importances(trials: pd.DataFrame, experiment: Experiment, optimizer: str) -> dict[str, float]:
    """Each hyperparameter's share in what makes an optimizer's settings good; they sum to 1.

    PED-ANOVA as Optuna has it (Watanabe et al. 2023), on capped scores. Empty below ten scored trials, or
    with fewer than two hyperparameters that vary.
    """
    search = scores.proposed(
        scores.of_search(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    )
    mine = search[search["optimizer"] == optimizer]
    varied = [name for name in _parameters(mine) if mine[f"params.{name}"].nunique() > 1]
    mine = _whole(mine.dropna(subset=[f"params.{name}" for name in varied]))
    if len(mine) < ENOUGH or len(varied) < 2 or mine["score"].nunique() < 2:
        return {}
    higher = scoring.higher_is_better(experiment.objective)
    study = optuna.create_study(direction=DIRECTIONS[higher])
    distributions = {name: _distribution(mine[f"params.{name}"]) for name in varied}
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: row[f"params.{name}"] for name in varied},
                distributions=distributions,
                value=float(row["score"]),
            )
            for row in mine.to_dict("records")
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is marked as experimental
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=varied)
    total = sum(found.values())
    return {name: value / total for name, value in found.items()} if total > 0 else {}


def _studies(trials: pd.DataFrame, experiment: Experiment) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """The studies to write: name, trials, and what their value is."""
    finished = trials[trials["state"].isin(list(STATES))]
    for phase, end, objective in (
        (Phase.SEARCH, "", experiment.objective),
        (Phase.FINAL, "/final", scores.counterpart(experiment.objective)),
    ):
        for arm in experiment.arms:
            mine = finished[(finished["optimizer"] == arm.name) & (finished["phase"] == phase)]
            if len(mine):
                yield f"{mine['sweep'].iloc[0]}/{arm.name}{end}", mine.sort_values("number"), objective


def _parameters(trials: pd.DataFrame) -> list[str]:
    """The hyperparameters that any of these trials has."""
    columns = [str(name) for name in trials.columns if str(name).startswith("params.")]
    return [name.removeprefix("params.") for name in columns if trials[name].notna().any()]


def _distribution(values: "pd.Series[Any]") -> BaseDistribution:
    """A distribution in which every value lies: a range of floats, else a choice."""
    known = values.dropna()
    if known.nunique() < 2 or not all(isinstance(value, float) for value in known):
        return CategoricalDistribution(sorted(known.unique().tolist(), key=str))
    low, high = float(known.min()), float(known.max())
    return FloatDistribution(low, high, log=low > 0 and high / low > WIDE)


def _whole(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with hyperparameters as Optuna takes them: numbers that are all whole are whole again."""
    changed = {}
    for name in (f"params.{one}" for one in _parameters(trials)):
        values = trials[name].astype(object).where(trials[name].notna(), None)
        known = [value for value in values if value is not None]
        if all(isinstance(v, float) and v.is_integer() for v in known) and max(map(abs, known)) >= 2:
            values = values.map(int, na_action="ignore")
        changed[name] = values
    return trials.assign(**changed)


def _frozen(
    trials: pd.DataFrame, curves: Mapping[Any, pd.DataFrame], objective: str, valued: str
) -> Iterator[FrozenTrial]:
    trials = _whole(trials)
    distributions = {name: _distribution(trials[f"params.{name}"]) for name in _parameters(trials)}
    for place, row in enumerate(trials.to_dict("records")):
        settings = {name: row[f"params.{name}"] for name in distributions}
        params = {name: value for name, value in settings.items() if not shown.is_missing(value)}
        state, value = STATES[TrialState(row["state"])], float(row[valued])
        if state is OptunaState.COMPLETE and not math.isfinite(value):
            state = OptunaState.FAIL  # Optuna's complete trials have a value; `state` says what it is
        curve = curves.get((row["optimizer"], row["phase"], row["number"]))
        yield FrozenTrial(
            number=place,
            trial_id=place,
            state=state,
            value=value if state is OptunaState.COMPLETE else None,
            datetime_start=_local(row["started_at"]) or _local(row["finished_at"]) or _EPOCH,
            datetime_complete=_local(row["finished_at"]) or _EPOCH,
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs={name: shown.plain(row[name]) for name in ATTRIBUTES},
            system_attrs={},
            intermediate_values={} if curve is None else _reported(curve, objective),
        )


def _reported(curve: pd.DataFrame, objective: str) -> dict[int, float]:
    """The objective after each epoch; NaN where it wasn't finite, nothing where it was not evaluated."""
    if objective not in curve.columns:
        return {}
    known = curve[curve[objective].notna() | curve["train_loss"].isna()]
    return {int(e): float(v) for e, v in zip(known["epoch"], known[objective], strict=True)}


_EPOCH = pd.Timestamp("1970-01-01").to_pydatetime()


def _local(moment: Any) -> Any:
    """A time as Optuna keeps it: local, without an offset."""
    if shown.is_missing(moment):
        return None
    return moment.to_pydatetime().astimezone().replace(tzinfo=None)
