"""How much of the workers' time goes into training, and what does the same list of trials take elsewhere?

Real CIFAR-10 images and a small convolutional network, one optimizer, settings drawn at random, two workers
of one thread each. All sides train the very same trials with the same code, in the same order:

- `bare loop`: two processes without Ray and without a store that take the next trial when they are through;
- `sweeper`: as a user runs it, with its SQLite store;
- `tune` and `tune, reuse_actors`: Ray Tune, of whose options `rivals.py` tells; `as a function` is the
  same training as a function, which Tune's documentation shows first.

A side's wall time goes from the moment that its first trial begins to the moment that its last one has
ended; starting Ray, processes and workers before that is not counted on any side (Tune without `reuse_actors`
starts one a trial all along). The share is seconds in training and evaluation, as the workers measure them,
divided by two workers' seconds; `until the last dispatch` leaves out the end, where a worker waits for the
other's trial.

    python benchmarks/efficiency.py --trials 60 --seconds 4 10 --json efficiency.json
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import measured

SIDES = ("bare loop", "sweeper", "tune, reuse_actors", "tune, reuse_actors, as a function", "tune")
EPOCHS = {4: 3, 10: 8}
"""A trial of about so many seconds has so many epochs of 4,000 images."""


def main() -> None:
    """Run all sides for each length of trials, and print shares and ratios."""
    parser = measured.options(__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seconds", type=int, nargs="+", choices=EPOCHS, default=list(EPOCHS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--train-size", type=int, default=4_000)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        measured.tell(_side(given.side, given.trials, EPOCHS[given.seconds[0]], given.train_size))
        return
    tables, raw = {}, {}
    for seconds in given.seconds:
        runs: dict[str, list[dict[str, Any]]] = {side: [] for side in given.sides}
        for repetition in range(given.repetitions):
            for side in given.sides:
                asked = ("--side", side, "--trials", given.trials, "--seconds", seconds)
                found = measured.side("efficiency.py", *asked, "--train-size", given.train_size)
                runs[side].append(found)
                measured.progress(f"{repetition + 1}: {seconds} s trials, {side}: {json.dumps(found)}")
        title = f"{given.trials} trials of about {seconds} s"
        tables[title], raw[title] = _table(runs), runs
        measured.show(title, tables[title])
    measured.save(given.json, "efficiency", tables, runs=raw)


def _table(runs: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    names = ("wall_s", "s_a_trial", "share", "share_until_last_dispatch")
    medians = {
        s: {n: measured.median([each[n] for each in found]) for n in names} for s, found in runs.items()
    }
    return [
        {
            "side": side,
            "wall s": found["wall_s"],
            "busy s a trial": found["s_a_trial"],
            "share": found["share"],
            "share until the last dispatch": found["share_until_last_dispatch"],
            **{
                f"/ {o}": found["wall_s"] / medians[o]["wall_s"]
                for o in ("bare loop", "sweeper")
                if o in medians
            },
        }
        for side, found in medians.items()
    ]


def _side(side: str, n_trials: int, epochs: int, train_size: int) -> dict[str, Any]:
    experiment = _experiment(n_trials, epochs, train_size)
    with tempfile.TemporaryDirectory() as folder:
        if side == "sweeper":
            spans = _sweeper(experiment, Path(folder))
        elif side == "bare loop":
            spans = _bare(experiment)
        else:
            spans = _tune(side, experiment, Path(folder))
    assert len(spans) == n_trials, f"{len(spans)} trials of {n_trials}"
    return _figures(spans)


def _figures(spans: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    """From each trial's begin, end and busy seconds: what its worker spent training and evaluating."""
    began, ended = min(begin for begin, _, _ in spans), max(end for _, end, _ in spans)
    last_dispatch = max(begin for begin, _, _ in spans)
    # A trial that was under way at the last dispatch counts as far as it was then.
    until = sum(busy * min((last_dispatch - b) / (e - b), 1.0) for b, e, busy in spans)
    busy_s = sum(busy for _, _, busy in spans)
    return {
        "wall_s": ended - began,
        "s_a_trial": busy_s / len(spans),
        "share": busy_s / (2 * (ended - began)),
        "share_until_last_dispatch": until / (2 * (last_dispatch - began)),
    }


def _experiment(n_trials: int, epochs: int, train_size: int) -> Any:
    from sweeper import experiment as experiments

    return experiments.loads(
        f"""
        [experiment]
        name = "efficiency"
        [data]
        name = "cifar10"
        train_size = {train_size}
        val_size = 1000
        test_size = 10
        [model]
        name = "cnn"
        [budget]
        epochs = {epochs}
        trials_per_optimizer = {n_trials}
        [search]
        sampler = "random"
        [final]
        top_k = 0
        [space]
        batch_size = 128
        [optimizers.momentum]
        lr = {{ low = 1e-4, high = 1e-2, scale = "log" }}
        """
    )


def _trials(experiment: Any) -> list[Any]:
    """The very trials that Sweeper trains: a random search is a function of its seed."""
    from sweeper.search import Search

    search = Search(experiment)
    trials = []
    while (trial := search.ask()) is not None:
        trials.append(trial)
    return trials


def _sweeper(experiment: Any, folder: Path) -> list[tuple[float, float, float]]:
    import sweeper

    sweep = sweeper.run(experiment, store=f"sqlite:///{folder / 'efficiency.db'}", workers=2)
    trials = sweep.trials
    assert set(trials["state"]) == {"complete"}, trials["state"].value_counts()
    busy = trials["train_s"] + trials["eval_s"]
    began, ended = (trials[name].map(lambda at: at.timestamp()) for name in ("started_at", "finished_at"))
    return list(zip(began, ended, busy, strict=True))


def _bare(experiment: Any) -> list[tuple[float, float, float]]:
    context = get_context("spawn")
    numbers, results, ready = context.Value("i", 0), context.Queue(), context.Barrier(2)
    processes = [
        context.Process(target=_bare_loop, args=(experiment, numbers, results, ready)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    spans = [span for _ in processes for span in results.get()]
    for process in processes:
        process.join()
    return spans


def _bare_loop(experiment: Any, numbers: Any, results: Any, ready: Any) -> None:
    from sweeper.training import data
    from sweeper.workers.trainer import Trainer

    trainer = Trainer(experiment, data.load(experiment, data.directory(None)), use_gpu=False)
    trials, spans = _trials(experiment), []
    ready.wait()
    while True:
        with numbers.get_lock():
            number, numbers.value = numbers.value, numbers.value + 1
        if number >= len(trials):
            break
        began = time.time()
        trainer.begin(trials[number])
        records = trainer.advance(experiment.budget.epochs).records
        spans.append((began, time.time(), sum(record.train_s + record.eval_s for record in records)))
    results.put(spans)


def _tune(side: str, experiment: Any, folder: Path) -> list[tuple[float, float, float]]:
    from rivals import started, tuned

    with started(experiment) as dataset:
        variant, _, is_function = side.partition(", as a ")
        api = "function" if is_function else "class"
        seen = tuned(experiment, dataset, variant, folder, trials=_trials(experiment), api=api)
    spans: dict[str, tuple[float, float, float]] = {}
    for result in seen.results:
        _, _, busy_s = spans.get(result["trial"], (0, 0, 0))
        spans[result["trial"]] = result["began"], result["ended"], busy_s + result["busy_s"]
    return list(spans.values())


if __name__ == "__main__":
    sys.exit(main())
