"""What does the live page cost, and how soon does it show what is new?

A SQLite store is filled with a generated sweep, which is then led by this process as a coordinator would: an
epoch a second of each of two trials, and a trial's end and the next one's begin every four seconds. The page
is `sweeper dashboard` in a process of its own, looked at with Debian's Chromium.

FIGURES

    python benchmarks/live_page.py --trials 10000 --epochs 20 --seconds 60
"""

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from frames import ARMS, fill
from playwright.sync_api import Browser, Page, sync_playwright

from sweeper import experiment as experiments
from sweeper.records import EpochRecord, Origin, Phase, SweepState, Trial, TrialKey, TrialState, WorkerInfo
from sweeper.store import AttemptStarted, EpochsRecorded, Store, SweepEnded, TrialFinished, TrialPlanned
from sweeper.store.commit import Committer

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FACTS = {"data": {"name": "cifar10", "source": "generated", "train": 45_000, "sha256": "0" * 64}}
NAME = "large"
DRAWN = (
    "() => document.querySelector('#tab section')"
    " && [...document.querySelectorAll('#tab figure')].every((f) => f.querySelector('svg.main-svg'))"
)
OPENINGS = 5
POLLS = 200


def main() -> None:
    """Fill a store, lead its sweep, open the page, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="for which pages are kept open")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        url = f"sqlite:///{Path(folder) / 'page.db'}"
        led = filled(url, given.trials, given.epochs)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with served(url) as (address, process), contextlib.closing(led):
            figures = measured(browser, f"{address}/sweeps/{NAME}", process, led, given.seconds)
        browser.close()
    for what, value in figures.items():
        sys.stdout.write(f"{what:<58} {value:.3g}\n")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def measured(
    browser: Browser, url: str, process: psutil.Process, led: "Led", seconds: float
) -> dict[str, float]:
    """All figures, by what they are."""
    openings = [opened(browser, url) for _ in range(OPENINGS)]
    figures = {
        "running: first view, summary, the first time, s": openings[0][0],
        "running: first view, summary, later, median s": statistics.median(o[0] for o in openings[1:]),
        "running: first view, all figures, the first time, s": openings[0][1],
        "running: first view, all figures, later, median s": statistics.median(o[1] for o in openings[1:]),
    }
    polls = sorted(unchanged_polls(url))
    figures["unchanged poll, median ms"] = 1000 * statistics.median(polls)
    figures["unchanged poll, 95th percentile ms"] = 1000 * polls[int(0.95 * len(polls))]
    with led.leading():
        for title, tabs in (("all tabs", TABS), ("the first tab", ["compare"] * 5)):
            figures |= kept_open(browser, url, process, led, title, tabs, seconds)
    led.ends()
    openings = [opened(browser, url) for _ in range(OPENINGS)]
    figures["complete: first view, summary, median s"] = statistics.median(o[0] for o in openings)
    figures["complete: first view, all figures, the first time, s"] = openings[0][1]
    figures["complete: first view, all figures, later, median s"] = statistics.median(
        o[1] for o in openings[1:]
    )
    figures["resident memory of the server, MB"] = process.memory_info().rss / 1e6
    return figures


TABS = ["compare", "learning", "sensitivity", "trials", "workers"]


def opened(browser: Browser, url: str) -> tuple[float, float]:
    """Seconds until the summary is seen, and until every figure of the first tab is drawn."""
    with contextlib.closing(browser.new_context(viewport={"width": 1400, "height": 900})) as context:
        page = context.new_page()
        begun = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("table")
        summary = time.perf_counter() - begun
        page.wait_for_function(DRAWN)
        return summary, time.perf_counter() - begun


def unchanged_polls(url: str) -> Iterator[float]:
    """Seconds that the page's own question takes while nothing changes."""
    path = "/sweeps/" + url.rpartition("/")[2]
    address = url.removesuffix(path)
    callbacks = json.load(urllib.request.urlopen(f"{address}/_dash-dependencies"))
    output = next(each["output"] for each in callbacks if "news.data" in each["output"])
    names = [name.rpartition(".")[::2] for name in output.strip(".").split("...")]
    body: dict[str, Any] = {
        "output": output,
        "outputs": [{"id": element, "property": name} for element, name in names],
        "inputs": [
            {"id": "pulse", "property": "n_intervals", "value": 1},
            {"id": "url", "property": "pathname", "value": path},
        ],
        "changedPropIds": ["pulse.n_intervals"],
        "state": [
            {"id": "news", "property": "data", "value": None},
            {"id": "notice", "property": "children", "value": None},
        ],
    }
    for _ in range(POLLS + 1):
        begun = time.perf_counter()
        request = urllib.request.Request(
            f"{address}/_dash-update-component",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        answer = json.load(urllib.request.urlopen(request))
        if body["state"][0]["value"] is not None:
            assert "news" not in answer["response"], "nothing changes"
            yield time.perf_counter() - begun
        else:
            body["state"][0]["value"] = answer["response"]["news"]["data"]


def kept_open(
    browser: Browser,
    url: str,
    process: psutil.Process,
    led: "Led",
    title: str,
    tabs: list[str],
    seconds: float,
) -> dict[str, float]:
    """What five pages cost that are open on the running sweep, and how late they are."""
    with contextlib.closing(browser.new_context(viewport={"width": 1400, "height": 900})) as context:
        pages = [context.new_page() for _ in [*tabs, "trials"]][: len(tabs)]
        for page, tab in zip(pages, tabs, strict=True):
            page.goto(f"{url}?tab={tab}")
            page.wait_for_selector("#tab section, #tab table")
        pages[0].wait_for_timeout(5_000)
        begun, used = time.perf_counter(), cpu_s(process)
        ages, delays = [], []
        while time.perf_counter() - begun < seconds:
            pages[0].wait_for_timeout(1_000)
            ages.append(age_s(pages[0]))
            if "trials" in tabs:
                delays.append(led.age_of(newest(pages[tabs.index("trials")])))
        share = (cpu_s(process) - used) / (time.perf_counter() - begun) / (psutil.cpu_count() or 1)
        found = {
            f"five pages, {title}: share of the machine, %": 100 * share,
            f"five pages, {title}: age of what is shown, median s": statistics.median(ages),
            f"five pages, {title}: age of what is shown, highest s": max(ages),
        }
        if delays:
            found["newest trial on the page, behind the store's newest, highest s"] = max(delays)
        return found


def age_s(page: Page) -> float:
    """How old the page says that it is."""
    said = re.search(r"data as of (\d\d):(\d\d):(\d\d)", page.locator("#head").inner_text())
    assert said
    hours, minutes, seconds = map(int, said.groups())
    now = datetime.now(UTC)
    then = now.replace(hour=hours, minute=minutes, second=seconds, microsecond=0)
    return (now - then).total_seconds()


def newest(page: Page) -> str:
    """The trial at the top of the page's table."""
    return page.locator("#tab tbody th").first.inner_text()


def cpu_s(process: psutil.Process) -> float:
    """Processor time that the server has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.contextmanager
def served(store: str) -> Iterator[tuple[str, psutil.Process]]:
    """The page in a process of its own: its address, and that process."""
    command = [sys.executable, "-m", "sweeper", "dashboard", "--port", "0", "--store", store]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found
        yield found[0], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate()


def filled(url: str, n_trials: int, n_epochs: int) -> "Led":
    """A store with one large sweep, whose search is not over, led by this process."""
    arms = "".join(f"[optimizers.{name}]\n" for name in ARMS)
    experiment = experiments.loads(
        f'[experiment]\nname = "{NAME}"\n[model]\nname = "lenet"\n[budget]\nepochs = {n_epochs}\n'
        f'trials_per_optimizer = {n_trials // len(ARMS) + 1_000}\n[search]\nsampler = "random"\n{arms}'
    )
    store = Store.open(url, create=True)
    fill(store, NAME, n_trials, n_epochs, experiment, FACTS)
    return Led(store, n_trials // len(ARMS) + 1)


class Led:
    """The sweep as its coordinator writes it."""

    def __init__(self, store: Store, number: int) -> None:
        self._store = store
        self._committer: Committer = store.take_sweep(NAME, 600.0)
        self._number = number
        self._planned: list[tuple[float, str]] = []
        self._running: list[list[Any]] = []
        self._stop = threading.Event()
        self._begin()
        self._begin()

    @contextlib.contextmanager
    def leading(self) -> Iterator[None]:
        """Write as a sweep does, beside what is done in the context."""
        thread = threading.Thread(target=self._lead)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def age_of(self, key: str) -> float:
        """For how long a trial newer than `key` has been in the store."""
        later = [when for when, planned in self._planned]
        keys = [planned for _, planned in self._planned]
        place = keys.index(key) + 1 if key in keys else 0
        return time.monotonic() - later[place] if place < len(later) else 0.0

    def ends(self) -> None:
        """The sweep is complete."""
        self._committer.commit([SweepEnded(SweepState.COMPLETE)])
        self._committer.release()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _lead(self) -> None:
        for second in range(1, 1_000_000):
            if self._stop.wait(1.0):
                return
            for running in self._running:
                running[1] += 1
                self._record(running[0], running[1])
            if second % 4 == 0:
                key, _ = self._running.pop(0)
                self._committer.commit([TrialFinished(key, 1, TrialState.COMPLETE, datetime.now(UTC))])
                self._begin()

    def _begin(self) -> None:
        key = TrialKey(ARMS[self._number % len(ARMS)], Phase.SEARCH, 10_000 + self._number)
        self._number += 1
        params = {"lr": 0.01, "batch_size": 64, "schedule": "constant"}
        trial = Trial(key, 7, params, params, Origin.PROPOSED, True, key.number)
        now = datetime.now(UTC)
        worker = WorkerInfo(f"1/{self._number % 2}", "host", "cpu")
        self._committer.commit([TrialPlanned(trial, now), AttemptStarted(key, 1, worker, now)])
        self._planned.append((time.monotonic(), str(key)))
        self._running.append([key, 0])

    def _record(self, key: TrialKey, epoch: int) -> None:
        losses = {"train_loss": 1.9, "val_loss": 2.0 / epoch, "val_accuracy": 0.3, "lr": 0.01}
        record = EpochRecord(
            epoch=epoch,
            samples=45_000 * epoch,
            steps=704 * epoch,
            grad_evals=704 * epoch,
            train_s=0.9,
            eval_s=0.1,
            recorded_at=datetime.now(UTC),
            **losses,
        )
        seconds = {"setup_s": 0.1, "train_s": 0.9 * epoch, "eval_s": 0.1 * epoch}
        self._committer.commit([EpochsRecorded(key, 1, (record,), **seconds)])


if __name__ == "__main__":
    main()
