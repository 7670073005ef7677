"""How long until a search has found a setting that reaches a validation loss, here and with Ray Tune?

Real CIFAR-10 images, lenet, momentum with its learning rate and momentum searched, trials of one to two
seconds at full length, two workers. Sweeper searches with TPE and ASHA, Ray Tune with OptunaSearch (TPE) and
its ASHAScheduler of the same first rung and reduction factor (`rivals.py` tells its other options). A pair
has the same seed, and with it the same split of the data. Otherwise both are as they come: Sweeper begins
with torch's own setting and draws the first half at random; Tune draws ten.

The loss to be reached is what the worse side reached at last, so that both did, at any epoch of any trial.
Seconds count from the beginning of the first trial, so starting Ray is not in them. Their ratio, Sweeper's to
Tune's, is the product of two: of the epochs trained until then (what the search is worth), and of the seconds
for each of them (what the overhead costs). Geometric means over the pairs, with 95 % intervals of t on the
logarithms.

    python benchmarks/time_to_loss.py --seeds 20 --json time_to_loss.json
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measured

SIDES = ("sweeper", "tune", "tune, reuse_actors")
Reports = list[tuple[float, float]]
"""Seconds since the first trial began, and the validation loss that was reported then; in order."""


def main() -> None:
    """Run the pairs, alternating which side is first, and print ratios with intervals."""
    parser = measured.options(__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--train-size", type=int, default=1_500)
    parser.add_argument("--rivals", nargs="+", choices=SIDES[1:], default=SIDES[1:2])
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    size = (given.trials, given.epochs, given.train_size)
    if given.side:
        measured.tell({"reports": _side(given.side, given.first_seed, *size)})
        return
    runs: list[dict[str, Reports]] = []
    for k in range(given.seeds):
        seed, sides = given.first_seed + k, ["sweeper", *given.rivals]
        run = {}
        for side in reversed(sides) if k % 2 else sides:
            asked = ("--side", side, "--first-seed", seed, "--trials", given.trials)
            more = ("--epochs", given.epochs, "--train-size", given.train_size)
            run[side] = [(t, loss) for t, loss in measured.side("time_to_loss.py", *asked, *more)["reports"]]
        runs.append(run)
        pairs = {rival: _pair(run["sweeper"], run[rival]) for rival in given.rivals}
        measured.progress(f"seed {seed}: {pairs}")
    tables = {}
    for rival in given.rivals:
        found = [_pair(run["sweeper"], run[rival]) for run in runs]
        title = f"Sweeper / {rival}, {len(found)} pairs"
        tables[title] = [{"ratio of": name, **_mean([pair[name] for pair in found])} for name in RATIOS]
        measured.show(title, tables[title])
    measured.save(given.json, "time_to_loss", tables, runs=runs)


RATIOS = ("seconds until the loss", "epochs until the loss", "seconds an epoch", "lowest loss")


def _pair(ours: Reports, theirs: Reports) -> dict[str, float]:
    """The ratios of one pair, and the loss that both reached."""
    lowest = [min(loss for _, loss in side) for side in (ours, theirs)]
    target = max(lowest)
    (our_s, our_epochs), (their_s, their_epochs) = (_until(side, target) for side in (ours, theirs))
    return {
        "seconds until the loss": our_s / their_s,
        "epochs until the loss": our_epochs / their_epochs,
        "seconds an epoch": (our_s / our_epochs) / (their_s / their_epochs),
        "lowest loss": lowest[0] / lowest[1],
    }


def _until(reports: Reports, target: float) -> tuple[float, int]:
    """Seconds and epochs until the first report of at most `target`."""
    place = next(k for k, (_, loss) in enumerate(reports) if loss <= target)
    return reports[place][0], place + 1


def _mean(ratios: Sequence[float]) -> dict[str, float]:
    """The geometric mean with its 95 % interval."""
    from scipy import stats

    logs = [math.log(ratio) for ratio in ratios]
    mean = sum(logs) / len(logs)
    if len(logs) < 2:
        return {"geometric mean": math.exp(mean)}
    low, high = stats.t.interval(0.95, len(logs) - 1, loc=mean, scale=stats.sem(logs))
    return {"geometric mean": math.exp(mean), "low": math.exp(low), "high": math.exp(high)}


def _side(side: str, seed: int, n_trials: int, epochs: int, train_size: int) -> Reports:
    experiment = _experiment(seed, n_trials, epochs, train_size)
    with tempfile.TemporaryDirectory() as folder:
        if side == "sweeper":
            return _sweeper(experiment, Path(folder))
        return _tune(side, experiment, seed, n_trials, Path(folder))


def _experiment(seed: int, n_trials: int, epochs: int, train_size: int) -> Any:
    from sweeper import experiment as experiments

    return experiments.loads(
        f"""
        [experiment]
        name = "time-to-loss"
        seed = {seed}
        [data]
        name = "cifar10"
        train_size = {train_size}
        val_size = 500
        test_size = 10
        [model]
        name = "lenet"
        [budget]
        epochs = {epochs}
        trials_per_optimizer = {n_trials}
        [search]
        sampler = "tpe"
        pruner = "asha"
        [final]
        top_k = 0
        [space]
        batch_size = 32
        [optimizers.momentum]
        lr = {{ low = 1e-5, high = 1, scale = "log" }}
        momentum = {{ low = 0.0, high = 0.99, scale = "one_minus_log" }}
        """
    )


def _sweeper(experiment: Any, folder: Path) -> Reports:
    import sweeper

    sweep = sweeper.run(experiment, store=f"sqlite:///{folder / 'loss.db'}", workers=2)
    return _stored(sweep)


def _stored(sweep: Any) -> Reports:
    """Every epoch that the store holds, by the time at which its worker told it."""
    began = sweep.attempts["started_at"].min().timestamp()
    epochs = sweep.epochs.merge(
        sweep.trials[["optimizer", "phase", "number", "started_at", "setup_s"]],
        on=["optimizer", "phase", "number"],
    )
    epochs["busy_s"] = epochs["train_s"] + epochs["eval_s"]
    spent = epochs.groupby(["optimizer", "phase", "number"])["busy_s"].cumsum()
    started = epochs["started_at"].map(lambda at: at.timestamp())
    at = started + epochs["setup_s"] + spent - began
    return sorted(zip(at, epochs["val_loss"].fillna(math.inf), strict=True))


def _tune(side: str, experiment: Any, seed: int, n_trials: int, folder: Path) -> Reports:
    from optuna.samplers import TPESampler
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch
    from rivals import started, tuned

    from sweeper.search.samplers import distributions

    (arm,) = experiment.arms
    search = OptunaSearch(
        distributions(arm.space), metric="val_loss", mode="min", sampler=TPESampler(seed=seed)
    )
    epochs, reduction = experiment.budget.epochs, experiment.search.reduction_factor
    # Without metric and mode: `tune.TuneConfig` names them.
    scheduler = ASHAScheduler(max_t=epochs, grace_period=math.ceil(epochs / 4), reduction_factor=reduction)
    with started(experiment) as dataset:
        seen = tuned(experiment, dataset, side, folder, n_trials=n_trials, search=search, scheduler=scheduler)
    began = min(result["began"] for result in seen.results)
    losses = [(r["ended"] - began, r["val_loss"]) for r in seen.results if math.isfinite(r["val_loss"])]
    return sorted(losses)


if __name__ == "__main__":
    sys.exit(main())
