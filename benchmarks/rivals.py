"""What a user would take instead of Sweeper, on the same training: Ray Tune, and loops without a framework.

All sides train with `sweeper.workers.trainer.Trainer`, on the same images from Ray's object store, two
workers of one thread each, an epoch reported at a time. `started` gives them a Ray cluster as Sweeper's is.

Ray Tune's options that are not its defaults, and why:

- `TuneConfig(reuse_actors=True)`: for the variants that say so; else each trial starts a process.
- `RunConfig(storage_path=...)`: a temporary directory, on the same disk as Sweeper's store.
- `RunConfig(verbose=0)`: no table on the terminal, which would cost it time.
- `CheckpointConfig(checkpoint_at_end=False)`: nobody saves networks here; a class would have to.
- `TuneConfig(max_concurrent_trials=2)`, resources of one processor a trial: two workers, as all sides have.
- variant `tuned` only: no CSV, JSON and TensorBoard files (`TUNE_DISABLE_AUTO_CALLBACK_LOGGERS`), state of
  the experiment written once an hour (`TUNE_GLOBAL_CHECKPOINT_S`): it keeps nothing then if it is killed,
  which Sweeper does; it is there to show what is left.

Trainables are classes: with functions, which run in a thread that hands each report over, `reuse_actors=True`
took longer in `overhead.py --api function`.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Before Ray is imported: no statistics to its makers from a benchmark.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from sweeper.experiment import Experiment
from sweeper.records import Trial
from sweeper.search.arm import ArmTrials
from sweeper.training import data
from sweeper.training.data import Dataset
from sweeper.workers.ray.connection import cluster
from sweeper.workers.trainer import Trainer

WORKERS = 2
TUNE_VARIANTS = ("tune", "tune, reuse_actors", "tune, tuned")
HOURLY = "3600"


@contextlib.contextmanager
def started(experiment: Experiment) -> Iterator[Dataset]:
    """A Ray cluster on this machine as Sweeper starts it, and the experiment's images."""
    dataset = data.load(experiment, data.directory(None))
    with cluster(None, n_cpus=WORKERS, image_bytes=dataset.nbytes):
        yield dataset


@ray.remote(num_cpus=1)
class Warm:
    """A worker without a framework: it trains whole trials, one a call."""

    def __init__(self, experiment: Experiment, dataset: Dataset) -> None:
        self._trainer = Trainer(experiment, dataset, use_gpu=False)
        self._epochs = experiment.budget.epochs

    def ready(self) -> None:
        """Answers once it can train."""

    def train(self, trial: Trial) -> float | None:
        """Train it; gives its last validation loss."""
        self._trainer.begin(trial)
        return self._trainer.advance(self._epochs).records[-1].val_loss


def proposed(experiment: Experiment, number: int, proposal: Mapping[str, Any]) -> Trial:
    """The trial that a proposal of Optuna means: what a rival's searcher asked for, as Sweeper trains it."""
    (arm,) = experiment.arms
    return ArmTrials(experiment, arm).proposed(number, dict(proposal), independent=False)


def _number(trial_id: str) -> int:
    """A number for a trial of Tune's, to make its seed from; Tune's ids are hexadecimal."""
    return int(trial_id.rpartition("_")[2], 16)


class Trained(tune.Trainable):
    """A trial in Ray Tune, an epoch a step; `config` is a proposal, or a whole trial under `trial`."""

    def setup(self, config: dict[str, Any], experiment: Experiment, dataset: Dataset) -> None:
        """Import torch, take the images in, begin the trial."""
        self._experiment = experiment
        self._trainer = Trainer(experiment, dataset, use_gpu=False)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same process."""
        given = new_config.get("trial")
        self._trainer.begin(given or proposed(self._experiment, _number(self.trial_id), new_config))
        self._epoch, self._began = 0, time.time()
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch."""
        began = time.time()
        self._epoch += 1
        stretch = self._trainer.advance(self._epoch)
        last = stretch.records[-1] if stretch.records else None
        return {
            "val_loss": float("nan") if last is None else last.val_loss,
            "done": stretch.outcome is not None,
            "began": self._began,
            "ended": time.time(),
            "busy_s": time.time() - began,
        }


def as_function(config: dict[str, Any], experiment: Experiment, dataset: Dataset) -> None:
    """The same trial as a function, the way that Tune's documentation shows first."""
    trainer = Trainer(experiment, dataset, use_gpu=False)
    began = time.time()
    number = _number(tune.get_context().get_trial_id())
    trainer.begin(config.get("trial") or proposed(experiment, number, config))
    for epoch in range(1, experiment.budget.epochs + 1):
        start = time.time()
        stretch = trainer.advance(epoch)
        now = time.time()
        told = {"val_loss": stretch.records[-1].val_loss, "began": began, "ended": now, "busy_s": now - start}
        tune.report(told)


class Seen(tune.Callback):
    """Keeps every result of every trial, and when Tune knew of it."""

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []
        self.last_end = 0.0

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        """Keep what compares."""
        told = {name: result[name] for name in ("val_loss", "began", "ended", "busy_s")}
        self.results.append({"trial": trial.trial_id, "at": time.time(), **told})

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """End the benchmark: a rival that fails is not compared."""
        raise SystemExit(f"trial {trial.trial_id} failed")

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Keep when the last one was over."""
        self.last_end = time.time()


def tuned(
    experiment: Experiment,
    dataset: Dataset,
    variant: str,
    folder: Path,
    *,
    n_trials: int = 1,
    trials: Sequence[Trial] = (),
    search: OptunaSearch | None = None,
    scheduler: Any = None,
    api: str = "class",
) -> Seen:
    """Run `variant` of Ray Tune on `trials`, or on as many as asked for that `search` proposes."""
    if variant == "tune, tuned":
        os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_GLOBAL_CHECKPOINT_S": HOURLY}
    seen = Seen()
    trainable: Any = Trained if api == "class" else as_function
    trainable = tune.with_parameters(trainable, experiment=experiment, dataset=dataset)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"trial": tune.grid_search(list(trials))} if trials else None,
        tune_config=tune.TuneConfig(
            metric="val_loss",
            mode="min",
            num_samples=n_trials,
            search_alg=search,
            scheduler=scheduler,
            max_concurrent_trials=WORKERS,
            reuse_actors=variant != "tune",
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            verbose=0,
            callbacks=[seen],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    return seen
