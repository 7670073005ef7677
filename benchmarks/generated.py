"""A large generated sweep, as rows for the store: what the benchmarks fill it with.

No network is trained. Losses lie in a bowl over the learning rate, some trials diverge, a few fail, and every
tenth lost its first attempt half way. A few of the trials are finals: ten seeds of each optimizer's best
setting and of its untuned one, as an earlier end of the search left them.
"""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sweeper import experiment as experiments
from sweeper.experiment import Experiment
from sweeper.store import Store

ARMS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
BEST_LR = {"sgd": 0.1, "momentum": 0.03, "nesterov": 0.03, "adagrad": 0.02, "rmsprop": 0.001, "adam": 0.002}
LOWEST_LOSS = {"sgd": 1.3, "momentum": 1.2, "nesterov": 1.2, "adagrad": 1.35, "rmsprop": 1.22, "adam": 1.15}
OWN = {
    "momentum": {"momentum": 0.8},
    "nesterov": {"momentum": 0.8},
    "rmsprop": {"decay": 0.85},
    "adam": {"beta1": 0.8, "beta2": 0.9},
}
"""The lowest values of what an optimizer has besides its learning rate."""

SEEDS = 10
N_FINALS = len(ARMS) * 2 * SEEDS
TO_COME = 1_000
"""So many more trials are to come for each optimizer."""

CHANCE = math.log(10)
START = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = {
    "versions": {"python": "3.11.7", "torch": "2.9.0"},
    "machine": {"system": "Linux x86_64", "processor": "none", "cores": 2},
    "data": {"name": "cifar10", "source": "generated", "train": 45_000, "sha256": "0" * 64},
}

Row = dict[str, Any]


def experiment(name: str, n_trials: int, n_epochs: int) -> Experiment:
    """What the sweep of `n_trials` trials in all is part of: its search is not over."""
    arms = "\n".join(f"[optimizers.{arm}]" for arm in ARMS)
    return experiments.loads(
        f'[experiment]\nname = "{name}"\n\n[model]\nname = "lenet"\n\n'
        f"[budget]\nepochs = {n_epochs}\ntrials_per_optimizer = {next_number(n_trials) + TO_COME}\n\n"
        f'[search]\nsampler = "random"\n\n[final]\nseeds = {SEEDS}\n\n{arms}\n'
    )


def next_number(n_trials: int) -> int:
    """A number that no trial of the search has yet."""
    return math.ceil((n_trials - N_FINALS) / len(ARMS))


def fill(store: Store, name: str, n_trials: int, n_epochs: int) -> None:
    """A sweep of `n_trials` trials that have ended, with their attempts and epochs, which nobody leads."""
    made = experiment(name, n_trials, n_epochs)
    sweep = {"name": name, "experiment": made.document(), "experiment_text": made.text, "facts": FACTS}
    trials = [_trial(k, n_trials, n_epochs) for k in range(n_trials)]
    attempts = [row for k, trial in enumerate(trials) for row in _attempts(k, trial)]
    epochs = [row for trial in trials for row in _epochs(trial, n_epochs)]
    store.import_sweep(sweep, trials, attempts, epochs)


def params(arm: str, stream: random.Random) -> Row:
    """A setting of an optimizer."""
    own = {name: low + 0.1 * stream.random() for name, low in OWN.get(arm, {}).items()}
    lr = BEST_LR[arm] * 10 ** stream.uniform(-2, 2)
    return {"lr": lr, "batch_size": stream.choice([64, 128]), "schedule": "constant", **own}


def loss(arm: str, lr: float, stream: random.Random) -> float:
    """The validation loss that a setting ends with."""
    off = math.log10(lr / BEST_LR[arm])
    return min(LOWEST_LOSS[arm] + 0.3 * off**2 + abs(stream.gauss(0, 0.05)), CHANCE)


def loss_after(epoch: int, last: float) -> float:
    """The loss at the end of an epoch, on the way to `last`."""
    return last + (CHANCE - last) * math.exp(-epoch / 4)


def _trial(k: int, n_trials: int, n_epochs: int) -> Row:
    place = k - (n_trials - N_FINALS)
    arm, own = _searched(k) if place < 0 else _final(place)
    row = {"optimizer": arm, "independent": True, "seed": k, "proposal": own["params"], "error": None, **own}
    return row | _end(arm, own["phase"], own["params"]["lr"], k, n_epochs)


def _searched(k: int) -> tuple[str, Row]:
    arm, number = ARMS[k % len(ARMS)], k // len(ARMS)
    return arm, {
        "phase": "search",
        "number": number,
        "setting": number,
        "params": params(arm, random.Random(k)),
        "origin": "proposed" if number else "default",
    }


def _final(place: int) -> tuple[str, Row]:
    arm, number = ARMS[place // (2 * SEEDS)], place % (2 * SEEDS)
    is_untuned = number >= SEEDS
    setting = params(arm, random.Random(arm)) | {"lr": BEST_LR[arm] * (4 if is_untuned else 1)}
    own = {"phase": "final", "number": number, "origin": "final", "params": setting}
    return arm, own | {"setting": 0 if is_untuned else 1}


def _end(arm: str, phase: str, lr: float, k: int, n_epochs: int) -> Row:
    """How trial `k` ended."""
    stream = random.Random(-k - 1)
    state = "complete"
    if phase == "search":
        has_diverged = lr > 30 * BEST_LR[arm] and stream.random() < 0.5
        state = "diverged" if has_diverged else "failed" if stream.random() < 0.005 else "complete"
    last = loss(arm, lr, stream) if state == "complete" else None
    accuracy = None if last is None else 0.1 + 0.5 * (CHANCE - last) / CHANCE
    is_tested = phase == "final"
    return {
        "state": state,
        "attempt": 1 + (k % 10 == 0),
        "epochs": n_epochs,
        "samples": 45_000 * n_epochs,
        "grad_evals": 704 * n_epochs,
        "train_loss": None if last is None else last - 0.05,
        "val_loss": last,
        "val_accuracy": accuracy,
        "test_loss": last + 0.02 if is_tested and last is not None else None,
        "test_accuracy": accuracy if is_tested else None,
        "setup_s": 0.2,
        "train_s": 2.0 * n_epochs,
        "eval_s": 0.2 * n_epochs,
        "queued_at": START,
        "started_at": START + timedelta(seconds=k * 1.1 * n_epochs),
        "finished_at": START + timedelta(seconds=k * 1.1 * n_epochs + 2.2 * n_epochs),
    }


def _key(trial: Row) -> Row:
    return {name: trial[name] for name in ("optimizer", "phase", "number")}


def _attempts(k: int, trial: Row) -> Iterator[Row]:
    """The rows of a trial's attempts, on two workers in turn."""
    for number in range(1, trial["attempt"] + 1):
        is_last = number == trial["attempt"]
        half_way = trial["started_at"] + (trial["finished_at"] - trial["started_at"]) / 2
        yield {
            **_key(trial),
            "attempt": number,
            "worker": f"1/{k % 2}",
            "node": "host",
            "device": "cpu",
            "first_epoch": 1,
            "started_at": half_way if is_last and number > 1 else trial["started_at"],
            "ended_at": trial["finished_at"] if is_last else half_way,
            "why": trial["state"] if is_last else "its process died",
            "strike": not is_last,
        }


def _epochs(trial: Row, n_epochs: int) -> Iterator[Row]:
    """The rows of a trial's epochs, at each attempt."""
    key, last = _key(trial), trial["val_loss"]
    for attempt in range(1, trial["attempt"] + 1):
        for epoch in range(1, (n_epochs if attempt == trial["attempt"] else n_epochs // 2) + 1):
            now = None if last is None else loss_after(epoch, last)
            yield {
                **key,
                "attempt": attempt,
                "epoch": epoch,
                "samples": 45_000 * epoch,
                "steps": 704 * epoch,
                "grad_evals": 704 * epoch,
                "train_loss": now,
                "val_loss": now,
                "val_accuracy": None if now is None else 0.1 + 0.5 * (CHANCE - now) / CHANCE,
                "lr": trial["params"]["lr"],
                "train_s": 2.0,
                "eval_s": 0.2,
                "recorded_at": START,
            }
