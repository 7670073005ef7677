"""How long does it take to read a large sweep: as frames, as a summary, as a report, on the live page?

An SQLite store is filled with a generated sweep of six optimizers that is complete (`generated.py`), and
with as many others of the same size as asked for, which a reader of the first must not pay for. Then each
thing is read by a process of its own, whose peak memory is told, everything imported: the frames `trials`,
`epochs` and `attempts`; `Sweep.summary()`; `Sweep.report().html()`. Frames are read several times, and the
fastest reading counts, since a busy machine only adds; the others are read once, with what they import on
the way (about 1.5 s).

The live page is `sweeper dashboard` in a process of its own, which is asked what a browser that opens a sweep
asks for, over HTTP and without a browser: is there news, the head with the summary, and the figures of the
first tab; all for the first time, so the page reads and computes everything. A poll is the first question
again, when nothing has changed: the median of fifty. `live_page.py` measures what a browser adds.

    python benchmarks/reading.py
    python benchmarks/reading.py --trials 1000 --epochs 5 --readings 1
"""

import argparse
import contextlib
import json
import resource
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measured
from generated import fill
from live_page import served

import sweeper
from sweeper.analysis import frames
from sweeper.store import Store

NAME = "sweep-0"
POLLS = 50

Figures = dict[str, Any]

FRAMES: dict[str, Callable[[Store, str], Any]] = {
    "frame trials": frames.trials,
    "frame epochs": frames.epochs,
    "frame attempts": frames.attempts,
}
READ: dict[str, Callable[[Store, str], Any]] = {
    **FRAMES,
    "summary": lambda store, name: sweeper.load(name, store).summary(),
    "report, HTML": lambda store, name: sweeper.load(name, store).report().html(),
}


def main() -> None:
    """Fill a store for each number of trials, and read it in every way."""
    parser = measured.options(__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000, 100_000], metavar="N")
    parser.add_argument("--epochs", type=int, default=20, help="of each trial")
    parser.add_argument("--others", type=int, default=0, help="further sweeps of the same size beside it")
    parser.add_argument("--readings", type=int, default=3, help="of each frame")
    parser.add_argument("--side", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        what, url, *numbers = given.side
        sides = {"fill": filled, "read": read, "page": page}
        measured.tell(sides[what](url, *map(int, numbers)))
        return
    rows = [row for n in given.trials for row in _rows(n, given.epochs, given.others, given.readings)]
    measured.show(f"A sweep of trials with {given.epochs} epochs each, SQLite", rows)
    measured.save(given.json, "reading", {"reading": rows})


def _rows(n_trials: int, n_epochs: int, n_others: int, readings: int) -> Iterator[Figures]:
    """All figures of a sweep of `n_trials`."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'reading.db'}"
        measured.progress(f"{n_trials:,} trials")
        for number in range(n_others, -1, -1):
            measured.side("reading.py", "--side", "fill", url, number, n_trials, n_epochs)
        for place, name in enumerate(READ):
            measured.progress(f"{n_trials:,} trials: {name}")
            n_times = readings if name in FRAMES else 1
            found = measured.side("reading.py", "--side", "read", url, place, n_times)
            yield {"trials": n_trials, "what": name, **found}
        measured.progress(f"{n_trials:,} trials: the live page")
        for name, found in measured.side("reading.py", "--side", "page", url).items():
            yield {"trials": n_trials, "what": f"live page: {name}", **found}


def filled(url: str, number: int, n_trials: int, n_epochs: int) -> Figures:
    """Another sweep in the store."""
    with contextlib.closing(Store.open(url, create=True)) as store:
        fill(store, f"sweep-{number}", n_trials, n_epochs)
    return {}


def read(url: str, place: int, n_times: int) -> Figures:
    """The fastest of several readings of the first sweep, and what memory they took."""
    once = list(READ.values())[place]
    taken = []
    found: Any = None
    with contextlib.closing(Store.open(url)) as store:
        for _ in range(n_times):
            begun = time.perf_counter()
            found = once(store, NAME)
            taken.append(time.perf_counter() - begun)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    size = {"page MB": len(found) / 1e6} if isinstance(found, str) else {}
    return {"s": min(taken), "peak MB": peak_mb, **size}


def page(url: str) -> Figures:
    """What a browser waits for that opens the sweep, and a poll."""
    begun = time.perf_counter()
    with served(url) as (address, _):
        found = {"start of its server": {"s": time.perf_counter() - begun}}
        asked = Asked(address)
        values: Figures = {"url.pathname": f"/sweeps/{NAME}", "url.search": "", "scheme.data": "light"}
        news, seconds = asked.ask("news.data", {**values, "pulse.n_intervals": 0})
        values["news.data"] = news["news"]["data"]
        found["is there news, first time"] = {"s": seconds}
        found["head with the summary"] = {"s": asked.ask("head.children", values)[1]}
        found["figures of the first tab"] = {"s": asked.ask("tab.children", values)[1]}
        polls = [asked.ask("news.data", {**values, "pulse.n_intervals": k})[1] for k in range(POLLS)]
        found["poll without news"] = {"s": measured.median(polls)}
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    return {name: {**figures, "peak MB": peak_mb} for name, figures in found.items()}


class Asked:
    """Asks a page's server what its own pages ask."""

    def __init__(self, address: str) -> None:
        self._address = address
        with urllib.request.urlopen(f"{address}/_dash-dependencies") as answered:
            self._callbacks: list[Figures] = json.load(answered)

    def ask(self, output: str, values: Figures) -> tuple[Figures, float]:
        """The answer of the callback that gives `output`, by the values of its inputs, and its seconds."""
        callback = next(each for each in self._callbacks if output in _names(each["output"]))
        body = {
            "output": callback["output"],
            "outputs": [_identified(name) for name in _names(callback["output"])],
            "changedPropIds": [],
            **{kind: [_valued(each, values) for each in callback[kind]] for kind in ("inputs", "state")},
        }
        request = urllib.request.Request(
            f"{self._address}/_dash-update-component",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        begun = time.perf_counter()
        with urllib.request.urlopen(request) as answered:
            content = answered.read()
        seconds = time.perf_counter() - begun
        return json.loads(content)["response"], seconds


def _names(output: str) -> list[str]:
    """The properties that a callback gives: Dash writes several as `..a.x...b.y..`."""
    return output.strip(".").split("...")


def _valued(asked: Figures, values: Figures) -> Figures:
    return {**asked, "value": values.get(f"{asked['id']}.{asked['property']}")}


def _identified(name: str) -> dict[str, str]:
    identifier, of = name.rsplit(".", 1)
    return {"id": identifier, "property": of}


if __name__ == "__main__":
    main()
