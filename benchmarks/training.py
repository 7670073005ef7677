"""Measure how many images a second a worker trains per core, against a hand-tuned loop and the usual way.

The worker is Sweeper's, with one thread, as many of them as there are cores, all busy at once: as in a sweep.
The hand-tuned loop (`training_loops.tuned`) is one process of one thread a core too. The usual way is a
Dataset with transforms and a DataLoader in one process with torch's own number of threads, which uses all
cores; it is measured without and with two loader processes, and the faster one counts. All train the same
weights on the same batches; the losses are compared, so that no side does less.

Every side is a process that lives through the whole benchmark. For each network, rule and batch size the
sides take turns; a turn is two epochs on a part of the images, the second of which is timed, and so is the
evaluation after it, on a ninth as many images. Figures are medians over the repetitions, of which the usual
way has fewer, for it is slow and far off. Without SWEEPER_DATA the images are generated, of the same shape.

    python benchmarks/training.py --models cnn --batch-sizes 128 --repetitions 9
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

import measured
from training_loops import LOOPS, Task, Timed, images, part

CORES = os.cpu_count() or 1
SIDES = tuple(LOOPS)
USUAL = tuple(side for side in SIDES if side.startswith("usual"))
IMAGES = {"linear": 4_096, "mlp": 2_048, "lenet": 1_024, "cnn": 512, "resnet8": 128}
"""A tenth of a second's work or two; more where that is less than two batches."""

TOLERANCE = 2e-3
"""Losses may differ by so much of themselves: sums in another order, over two epochs."""


def main() -> None:
    """Measure, compare and show."""
    parser = measured.options(__doc__)
    parser.add_argument("--models", nargs="+", default=list(IMAGES), choices=IMAGES)
    parser.add_argument("--optimizers", nargs="+", default=["sgd", "adam"], choices=["sgd", "adam"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[32, 128, 512])
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES, help="must hold worker")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--usual-repetitions", type=int, default=1, help="at most so many of the usual way")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if "worker" not in options.sides:
        parser.error("--sides must hold worker")
    turns: list[dict[str, Any]] = []
    with ExitStack() as stack:
        sides = {side: stack.enter_context(processes(side)) for side in options.sides}
        for model, optimizer, batch_size in itertools.product(
            options.models, options.optimizers, options.batch_sizes
        ):
            task = Task(model, optimizer, batch_size, n_images(model, batch_size))
            measured.progress(f"{model}, {optimizer}, batches of {batch_size}")
            for repetition in range(options.repetitions):
                turn = {
                    side: timed(members, task)
                    for side, members in sides.items()
                    if side not in USUAL or repetition < options.usual_repetitions
                }
                check(task, turn)
                turns += [
                    {**asdict(task), "repetition": repetition, "side": side, "process": k, **asdict(one)}
                    for side, found in turn.items()
                    for k, one in enumerate(found)
                ]
    tables = {
        "training": rows(turns, with_evaluation=False),
        "training and evaluation": rows(turns, with_evaluation=True),
    }
    for title, found in tables.items():
        measured.show(f"images per second per core, {title}", found)
        for rival in ("tuned", "usual"):
            ratios = [row[f"worker ÷ {rival}"] for row in found if f"worker ÷ {rival}" in row]
            if ratios:
                print(f"worker ÷ {rival}: median {measured.spread(ratios)}")
    measured.save(options.json, "training", tables, turns=turns)


def n_images(model: str, batch_size: int) -> int:
    """A whole number of batches, at least two."""
    return max(IMAGES[model] // batch_size, 2) * batch_size


def serve(side: str) -> None:
    """Train each task that a line of stdin describes, and tell on stdout what it took."""
    dataset = images()
    for line in sys.stdin:
        task = Task(**json.loads(line))
        own = part(dataset, task)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        sys.stdout.write(json.dumps(asdict(LOOPS[side](task, own))) + "\n")
        sys.stdout.flush()


Process = subprocess.Popen[str]


@contextmanager
def processes(side: str) -> Iterator[list[Process]]:
    """The processes that together use every core for `side`."""
    environment = dict(os.environ)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.pop(variable, None)
    if side not in USUAL:
        environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, __file__, "--serve", side]
    members = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
        )
        for _ in range(1 if side in USUAL else CORES)
    ]
    try:
        yield members
    finally:
        for member in members:
            member.kill()
            member.wait()


def timed(members: Sequence[Process], task: Task) -> list[Timed]:
    """What the task takes the processes of a side, all at once."""
    described = json.dumps(asdict(task))
    for member in members:
        _say(member, described)
    for member in members:
        _heard(member)
    for member in members:
        _say(member, "go")
    return [Timed(**json.loads(_heard(member))) for member in members]


def _say(member: Process, line: str) -> None:
    assert member.stdin is not None
    member.stdin.write(f"{line}\n")
    member.stdin.flush()


def _heard(member: Process) -> str:
    assert member.stdout is not None
    if not (line := member.stdout.readline()):
        raise SystemExit(f"a side ended with {member.wait()}; what it said stands above")
    return line


def check(task: Task, turn: dict[str, list[Timed]]) -> None:
    """End the benchmark where a side's losses show that it did not train the same."""
    expected = turn["worker"][0]
    for side, found in turn.items():
        for one in found:
            for loss in ("train_loss", "val_loss"):
                one_loss, wanted = getattr(one, loss), getattr(expected, loss)
                if not abs(one_loss - wanted) <= TOLERANCE * wanted:
                    raise SystemExit(f"{task}: {loss} of {side} is {one_loss}, the worker's {wanted}")


def rows(turns: Sequence[dict[str, Any]], *, with_evaluation: bool) -> list[dict[str, Any]]:
    """A row per network, rule and batch size: images/s per core, and the ratios.

    A side's figure is the sum over its processes by the number of cores. With the evaluation, its seconds
    count and its images don't: an epoch's training images by all that the epoch takes.
    """
    table = []
    keys = list(dict.fromkeys((t["model"], t["optimizer"], t["batch_size"], t["n_images"]) for t in turns))
    for model, optimizer, batch_size, n in keys:
        mine = [
            t
            for t in turns
            if (t["model"], t["optimizer"], t["batch_size"]) == (model, optimizer, batch_size)
        ]
        speeds: dict[str, list[float]] = {}
        for turn in mine:
            found = speeds.setdefault(turn["side"], [])
            if turn["repetition"] == len(found):
                found.append(0.0)
            found[-1] += n / (turn["train_s"] + with_evaluation * turn["eval_s"]) / CORES
        row: dict[str, Any] = {"model": model, "optimizer": optimizer, "batch": batch_size}
        row |= {side: measured.median(values) for side, values in speeds.items()}
        if "tuned" in speeds:
            row["worker ÷ tuned"] = ratio(speeds["worker"], speeds["tuned"])
        if usual := [side for side in USUAL if side in speeds]:
            best = max(usual, key=lambda side: measured.median(speeds[side]))
            row["worker ÷ usual"] = ratio(speeds["worker"], speeds[best])
        table.append(row)
    return table


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of what was measured in turn, as often as both were."""
    return measured.median([a / b for a, b in zip(ours, theirs, strict=False)])


if __name__ == "__main__":
    main()
