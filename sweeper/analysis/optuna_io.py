"""Optuna's view of a sweep: real studies for optuna-dashboard, and the importances that Optuna works out.

A study's parameters are what the rules got (lr, momentum ...), but for those searched on the scale
one_minus_log, which are there as one_minus_NAME. Each has one distribution: the searched one, widened so that
every trial lies in it, the untuned one included.

`search` makes distributions of its own: there the space alone counts, here what came of it too, and neither
package may import the other.
"""

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from sweeper import scoring, space
from sweeper.analysis import scores, shown
from sweeper.errors import UsageError
from sweeper.experiment import Experiment
from sweeper.records import Phase, TrialState
from sweeper.space import Choice, Dimension, Fixed, Range

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

Curves = Mapping[tuple[str, str, int], Mapping[int, float]]
"""Each trial's objective by epoch; the keys are optimizer, phase and number."""

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
    curves = _curves(epochs, experiment.objective)
    made: list[str] = []
    try:
        for name, rows, objective in studies:
            _export(name, rows, objective, curves, experiment, storage, made)
    except BaseException:  # interrupted, too: a half that looks like a whole is worse than nothing
        for name in made:
            optuna.delete_study(study_name=name, storage=storage)
        raise
    return made


def _export(
    name: str,
    trials: pd.DataFrame,
    objective: str,
    curves: Curves,
    experiment: Experiment,
    storage: BaseStorage,
    made: list[str],
) -> None:
    """One study, which is `made` from the moment that it exists."""
    direction = DIRECTIONS[scoring.higher_is_better(experiment.objective)]
    study = optuna.create_study(study_name=name, storage=storage, direction=direction)
    made.append(name)
    with warnings.catch_warnings():  # names of values have been "experimental" since Optuna 3.2
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective])
    study.set_user_attr("sweep", str(trials["sweep"].iloc[0]))
    study.set_user_attr("objective", objective)
    optimizer = str(trials["optimizer"].iloc[0])
    study.add_trials(list(_frozen(trials, experiment.arm(optimizer).space, curves, objective)))


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
    distributions = {name: _distribution(mine[f"params.{name}"], None) for name in varied}
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


def _distribution(values: "pd.Series[Any]", dimension: Dimension | None) -> BaseDistribution:
    """A distribution in which every value lies: what was searched, widened, or what the values suggest."""
    known = values.dropna().unique().tolist()
    if isinstance(dimension, Choice):
        return CategoricalDistribution([*dimension.values, *(v for v in known if v not in dimension.values)])
    if isinstance(dimension, Range) and not any(isinstance(value, str) for value in known):
        low, high = space.proposal_bounds(dimension)
        low, high = min(low, *known), max(high, *known)
        is_log = dimension.scale != "linear" and low > 0
        if dimension.integer and all(isinstance(value, int) for value in known):
            return IntDistribution(int(low), int(high), log=is_log)
        return FloatDistribution(float(low), float(high), log=is_log)
    is_fixed = isinstance(dimension, Fixed)  # trial 0 may have another value
    if is_fixed or len(known) < 2 or not all(isinstance(value, float) for value in known):
        return CategoricalDistribution(sorted(known, key=lambda value: (isinstance(value, str), value)))
    low, high = min(known), max(known)
    return FloatDistribution(low, high, log=low > 0 and high / low > WIDE)


def _mirrored(trials: pd.DataFrame, dimensions: Mapping[str, Dimension]) -> pd.DataFrame:
    """The trials with 1 - x as one_minus_NAME, where that is what was searched on a log scale."""
    new = {}
    for name, dimension in dimensions.items():
        proposed = space.proposal_name(name, dimension)
        if proposed != name and f"params.{name}" in trials:
            new[f"params.{name}"] = (f"params.{proposed}", 1 - trials[f"params.{name}"].astype("float64"))
    changed = trials.assign(**{old: values for old, (_, values) in new.items()})
    return changed.rename(columns={old: name for old, (name, _) in new.items()})


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
    trials: pd.DataFrame, dimensions: Mapping[str, Dimension], curves: Curves, valued: str
) -> Iterator[FrozenTrial]:
    by_name = {space.proposal_name(name, dimension): dimension for name, dimension in dimensions.items()}
    given = _settings(_whole(trials))
    trials = _whole(_mirrored(trials, dimensions))
    distributions = {
        name: _distribution(trials[f"params.{name}"], by_name.get(name)) for name in _parameters(trials)
    }
    for place, (row, params) in enumerate(zip(trials.to_dict("records"), _settings(trials), strict=True)):
        state, value = STATES[TrialState(row["state"])], float(row[valued])
        if state is OptunaState.COMPLETE and not math.isfinite(value):
            state = OptunaState.FAIL  # Optuna's complete trials have a value; `state` says what it is
        yield FrozenTrial(
            number=place,
            trial_id=place,
            state=state,
            value=value if state is OptunaState.COMPLETE else None,
            datetime_start=_local(row["started_at"]) or _local(row["finished_at"]) or _EPOCH,
            datetime_complete=_local(row["finished_at"]) or _EPOCH,
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs={**{name: shown.plain(row[name]) for name in ATTRIBUTES}, "params": given[place]},
            system_attrs={},
            intermediate_values=dict(curves.get((row["optimizer"], row["phase"], row["number"]), {})),
        )


def _settings(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Each trial's hyperparameters, those that it has."""
    columns = {name: trials[f"params.{name}"].tolist() for name in _parameters(trials)}
    return [
        {name: values[place] for name, values in columns.items() if not shown.is_missing(values[place])}
        for place in range(len(trials))
    ]


def _curves(epochs: pd.DataFrame, objective: str) -> Curves:
    """The objective after each epoch; NaN where it wasn't finite, nothing where it was not evaluated."""
    if objective not in epochs.columns:
        return {}
    known = epochs[epochs[objective].notna() | epochs["train_loss"].isna()]
    columns = (known[name].tolist() for name in ("optimizer", "phase", "number", "epoch", objective))
    curves: dict[tuple[str, str, int], dict[int, float]] = {}
    for optimizer, phase, number, epoch, value in zip(*columns, strict=True):
        curves.setdefault((optimizer, phase, number), {})[int(epoch)] = float(value)
    return curves


_EPOCH = pd.Timestamp("1970-01-01").to_pydatetime()


def _local(moment: Any) -> Any:
    """A time as Optuna keeps it: local, without an offset."""
    if shown.is_missing(moment):
        return None
    return moment.to_pydatetime().astimezone().replace(tzinfo=None)
