"""How long does it take to read a large sweep into pandas frames?

A SQLite store is filled with a generated sweep, and with as many others of the same size as asked for, which
a reader of the first must not pay for. No network is trained. Each frame is read several times; the fastest
reading counts, since a busy machine only adds.

2 shared cores (Intel Xeon, virtual), pandas 3.1, SQLite, 2026-11-23: trials 0.224 s, epochs 1.030 s,
attempts 0.262 s; fastest of three readings; of rows with simpler losses and without finals.

    python benchmarks/frames.py --trials 10000 --epochs 20 --readings 3
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from generated import fill

from sweeper.analysis import frames
from sweeper.store import Store

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


if __name__ == "__main__":
    main()
