"""How long does it take to read a large sweep into pandas frames?

A SQLite store is filled with a generated sweep, and with as many others of the same size as asked for, which
a reader of the first must not pay for. No network is trained. Each frame is read several times; the fastest
reading counts, since a busy machine only adds.

2 shared cores (Intel Xeon, virtual), pandas 3.1, SQLite, 2026-11-23: trials 0.224 s, epochs 1.030 s,
attempts 0.262 s; fastest of three readings.

    python benchmarks/frames.py --trials 10000 --epochs 20 --readings 3
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from sweeper.analysis import frames
from sweeper.experiment import Experiment
from sweeper.store import Store

ARMS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
OWN = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "rmsprop": {"decay": 0.9},
    "adam": {"beta1": 0.9, "beta2": 0.9},
}
"""The lowest values of what an optimizer has besides its learning rate."""

START = datetime(2026, 3, 1, tzinfo=UTC)
READ: dict[str, Callable[[Store, str], pd.DataFrame]] = {
    "trials": frames.trials,
    "epochs": frames.epochs,
    "attempts": frames.attempts,
}


def main() -> None:
    """Fill a store, read it, print the seconds per frame and the ratio of epochs to trials."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--others", type=int, default=0, help="further sweeps of the same size beside it")
    parser.add_argument("--readings", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{Path(folder) / 'frames.db'}", create=True)
        for number in range(given.others, -1, -1):
            fill(store, f"sweep-{number}", given.trials, given.epochs)
        fastest = {name: seconds(read, store, given.readings) for name, read in READ.items()}
        store.close()
    for name, taken in fastest.items():
        sys.stdout.write(f"{name:<8} {taken:.3f} s\n")
    sys.stdout.write(f"epochs / trials: {fastest['epochs'] / fastest['trials']:.1f}\n")


def seconds(read: Callable[[Store, str], pd.DataFrame], store: Store, readings: int) -> float:
    """The fastest of several readings of the first sweep."""
    taken = []
    for _ in range(readings):
        begun = time.perf_counter()
        read(store, "sweep-0")
        taken.append(time.perf_counter() - begun)
    return min(taken)


def fill(
    store: Store,
    name: str,
    n_trials: int,
    n_epochs: int,
    experiment: Experiment | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """A sweep of `n_trials` complete trials, of which every tenth lost its first attempt half way."""
    document, text = (experiment.document(), experiment.text) if experiment else ({}, "")
    trials = [trial(k, n_epochs) for k in range(n_trials)]
    attempts = [row for k in range(n_trials) for row in attempts_of(k)]
    epochs = [row for k in range(n_trials) for row in epochs_of(k, n_epochs)]
    sweep = {"name": name, "experiment": document, "experiment_text": text, "facts": facts or {}}
    store.import_sweep(sweep, trials, attempts, epochs)


def key(k: int) -> dict[str, Any]:
    """What tells trial `k` apart."""
    return {"optimizer": ARMS[k % len(ARMS)], "phase": "search", "number": k // len(ARMS)}


def n_attempts(k: int) -> int:
    """How many attempts trial `k` took."""
    return 1 + (k % 10 == 0)


def trial(k: int, n_epochs: int) -> dict[str, Any]:
    """The row of trial `k`, with the hyperparameters that its optimizer has."""
    own = {name: low + k % 97 / 1_000 for name, low in OWN.get(ARMS[k % len(ARMS)], {}).items()}
    params = {"lr": 10 ** (-4 + k % 400 / 100), "batch_size": 64 << k % 2, "schedule": "constant", **own}
    return {
        **key(k),
        "origin": "proposed",
        "independent": True,
        "setting": k // len(ARMS),
        "seed": k,
        "proposal": params,
        "params": params,
        "state": "complete",
        "attempt": n_attempts(k),
        "epochs": n_epochs,
        "samples": 45_000 * n_epochs,
        "grad_evals": 704 * n_epochs,
        "train_loss": 1.5,
        "val_loss": 1.4 + k * 37 % 100 / 100,
        "val_accuracy": 0.4,
        "test_loss": None,
        "test_accuracy": None,
        "setup_s": 0.2,
        "train_s": 2.0 * n_epochs,
        "eval_s": 0.2 * n_epochs,
        "queued_at": START,
        "started_at": START + timedelta(seconds=k),
        "finished_at": START + timedelta(seconds=k + 2.2 * n_epochs),
        "error": None,
    }


def attempts_of(k: int) -> Iterator[dict[str, Any]]:
    """The rows of trial `k`'s attempts."""
    for number in range(1, n_attempts(k) + 1):
        yield {
            **key(k),
            "attempt": number,
            "worker": f"1/{k % 16}",
            "node": "host",
            "device": "cpu",
            "first_epoch": 1,
            "started_at": START + timedelta(seconds=k),
            "ended_at": START + timedelta(seconds=k + 50),
            "why": "complete" if number == n_attempts(k) else "its process died",
            "strike": number < n_attempts(k),
        }


def epochs_of(k: int, n_epochs: int) -> Iterator[dict[str, Any]]:
    """The rows of trial `k`'s epochs, at each attempt."""
    for attempt in range(1, n_attempts(k) + 1):
        for epoch in range(1, (n_epochs if attempt == n_attempts(k) else n_epochs // 2) + 1):
            yield {
                **key(k),
                "attempt": attempt,
                "epoch": epoch,
                "samples": 45_000 * epoch,
                "steps": 704 * epoch,
                "grad_evals": 704 * epoch,
                "train_loss": 2.3 / epoch,
                "val_loss": 2.3 / epoch + 0.1,
                "val_accuracy": 0.4,
                "lr": 0.01,
                "train_s": 2.0,
                "eval_s": 0.2,
                "recorded_at": START,
            }


if __name__ == "__main__":
    main()
