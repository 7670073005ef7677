"""What does the live page cost, and how soon does it show what is new?

A SQLite store is filled with a generated sweep of six optimizers, search and finals, which this process then
leads as a coordinator does, through the store's own writer: one commit a second with an epoch of each of two
trials, and every four seconds a trial's end and the next one's plan and start. The page is `sweeper
dashboard` in a process of its own, looked at with Chromium on the same machine. Every first view is that of a
browser that keeps nothing. Polls are what the page itself asked, asked again while nothing is written. The
processor time is the server's alone, of all its threads; "late" is the time from the moment that the page
says its data are of, which it rounds down to a second, to the moment that it says so.

2 cores (AMD EPYC, virtual, shared), Python 3.11.7, pandas 3.1.1, dash 4.4.1, Chromium 156, SQLite,
2026-11-24, one run, while another test run kept both cores busy, so seconds are to be taken again on a
quiet machine. First view while running: summary 1.54 s (later ones 0.77 s), all figures 3.94 s (3.17 s);
complete: summary 0.82 s (0.76 s), all figures 3.28 s (2.93 s). Unchanged poll 2.4 ms, 95th percentile 7.8
ms. Five pages for a minute, all tabs: 2.05 % of both cores, new data 8.6 times, 12 s apart at most, a
planned trial listed after 7.6 s (13.6 s at most); Compare alone: 1.25 %, new data 7.8 times, 9.8 s apart at
most. Memory 232 MB at first, 501 MB at the end.

    python benchmarks/live_page.py --trials 10000 --epochs 20 --seconds 60
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from generated import fill
from led import Led
from playwright.sync_api import Browser, Page, sync_playwright

from sweeper.store import Store

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
VIEWPORT: Any = {"width": 1400, "height": 900}
NAME = "large"
DRAWN = """
() => document.querySelector("#tab section")
  && [...document.querySelectorAll("#tab figure")].every((figure) => figure.querySelector("svg.main-svg"))
"""
WATCHED = """
window.watched = { moments: [], trials: {} };
setInterval(() => {
  const { moments, trials } = window.watched;
  const said = document.querySelector("#head")?.textContent.match(/data as of ([\\d:]+)/)?.[1];
  if (said && said !== moments.at(-1)?.[1]) moments.push([Date.now() / 1000, said]);
  for (const each of document.querySelectorAll("#trials-table tbody th")) {
    trials[each.textContent] ??= Date.now() / 1000;
  }
}, 200);
"""
"""Keeps when the page first said each moment and each trial."""

VIEWS = 6
POLLS = 200
WRITTEN_S = 10.0
"""Trials planned in the last seconds may be shown after the measurement."""

TABS = ("compare", "learning", "sensitivity", "trials", "workers")
PAGES = {"all tabs": TABS, "Compare alone": ("compare",) * 5}
Figures = dict[str, float]


def main() -> None:
    """Fill a store, lead its sweep, open the page, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="for which five pages are kept open")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    given = parser.parse_args()
    load = {"processes that were running before, mean of a minute": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'live.db'}"
        store = Store.open(url, create=True)
        fill(store, NAME, given.trials, given.epochs)
        with contextlib.closing(store), contextlib.closing(Led(store, NAME, given.trials)) as led:
            figures = measured(url, led, given.seconds)
    figures = load | figures
    for what, value in figures.items():
        sys.stdout.write(f"{what:<62} {value:>8.3g}\n")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measured(store: str, led: Led, seconds: float) -> Figures:
    """All figures, by what they are of."""
    with served(store) as (address, server), sync_playwright() as playwright:
        url = f"{address}/sweeps/{NAME}"
        figures = {"memory before the first view, MB": memory_mb(server)}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with led.leading():
            figures |= first_views(browser, url, "running")
        figures |= unchanged_polls(browser, url)
        for title, tabs in PAGES.items():
            with led.leading(), watching(browser, url, tabs) as pages:
                figures |= kept_open(pages, f"five pages, {title}", server, led, seconds)
        led.ends()
        figures |= first_views(browser, url, "complete")
        browser.close()
        return figures | {"memory at the end, MB": memory_mb(server)}


@contextlib.contextmanager
def served(store: str) -> Iterator[tuple[str, psutil.Process]]:
    """The page in a process of its own: its address, and that process."""
    command = [sys.executable, "-m", "sweeper", "dashboard", "--port", "0", "--store", store]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise SystemExit(line + process.stderr.read())
        yield found[0], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate()


def first_views(browser: Browser, url: str, state: str) -> Figures:
    """Seconds until the summary is there, and until every figure of the first tab is drawn."""
    views = [_first_view(browser, url) for _ in range(VIEWS)]
    figures = {}
    for k, name in enumerate(("summary", "all figures")):
        figures[f"{state}: first view, {name}, the very first time, s"] = views[0][k]
        later = statistics.median(view[k] for view in views[1:])
        figures[f"{state}: first view, {name}, median of {VIEWS - 1} later ones, s"] = later
    return figures


def _first_view(browser: Browser, url: str) -> tuple[float, float]:
    with contextlib.closing(browser.new_context(viewport=VIEWPORT)) as context:
        page = context.new_page()
        begun = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("table")
        summary = time.perf_counter() - begun
        page.wait_for_function(DRAWN)
        return summary, time.perf_counter() - begun


def unchanged_polls(browser: Browser, url: str) -> Figures:
    """Milliseconds that the page's own question takes while nothing changes."""
    address, body = _asked(browser, url)
    seconds: list[float] = []
    while len(seconds) < POLLS:
        begun = time.perf_counter()
        request = urllib.request.Request(
            address, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answered:
            answer = json.load(answered)
        taken = time.perf_counter() - begun
        if (news := answer["response"].get("news")) is None:
            seconds.append(taken)
        else:  # the lease was prolonged
            next(each for each in body["state"] if each["id"] == "news")["value"] = news["data"]
    return {
        "unchanged poll, median, ms": 1000 * statistics.median(seconds),
        "unchanged poll, 95th percentile, ms": 1000 * _percentile(seconds, 0.95),
    }


def _asked(browser: Browser, url: str) -> tuple[str, dict[str, Any]]:
    """Where and what a page asks at its pulse."""
    with contextlib.closing(browser.new_context(viewport=VIEWPORT)) as context:
        page = context.new_page()
        page.goto(url)
        page.wait_for_function(DRAWN)
        with page.expect_request(lambda asked: "pulse.n_intervals" in (asked.post_data or "")) as pulse:
            pass
        return pulse.value.url, json.loads(pulse.value.post_data or "")


@contextlib.contextmanager
def watching(browser: Browser, url: str, tabs: Sequence[str]) -> Iterator[list[Page]]:
    """Pages that note when they show what, one on each of `tabs`."""
    with contextlib.closing(browser.new_context(viewport=VIEWPORT)) as context:
        context.add_init_script(WATCHED)
        pages = [context.new_page() for _ in tabs]
        for page, tab in zip(pages, tabs, strict=True):
            page.goto(f"{url}?tab={tab}")
            page.wait_for_selector("#trials-table" if tab == "trials" else "#tab section")
        yield pages


def kept_open(pages: list[Page], title: str, server: psutil.Process, led: Led, seconds: float) -> Figures:
    """What `pages` cost that are open on the running sweep, and how late they are."""
    begun_at, begun, used = time.time(), time.perf_counter(), processor_s(server)
    pages[0].wait_for_timeout(1000 * seconds)
    share = (processor_s(server) - used) / (time.perf_counter() - begun) / (os.cpu_count() or 1)
    ended_at = time.time()
    moves, lates, gaps = [], [], []
    for page in pages:
        moments = [(at, said) for at, said in page.evaluate("watched.moments") if at > begun_at]
        moves.append(len(moments))
        lates += [_late_s(at, said) for at, said in moments]
        gaps += [late - early for early, late in pairwise([begun_at, *(at for at, _ in moments), ended_at])]
    figures = {
        f"{title}: processor time of all cores, %": 100 * share,
        f"{title}: new data a minute and page": statistics.mean(moves) * 60 / seconds,
        f"{title}: longest without new data, s": max(gaps),
        **_spread(f"{title}: late", lates),
    }
    listed = [page for page in pages if "tab=trials" in page.url]
    if listed:
        shown = listed[0].evaluate("watched.trials")
        planned = {k: at for k, at in led.planned.items() if begun_at < at < ended_at - WRITTEN_S}
        waited = [shown.get(key, ended_at) - at for key, at in planned.items()]
        figures |= _spread(f"{title}: until a planned trial is listed", waited)
    return figures


def _late_s(at: float, said: str) -> float:
    """How long before `at` (Unix time) it was `said` o'clock, UTC."""
    hours, minutes, seconds = map(int, said.split(":"))
    now = datetime.fromtimestamp(at, UTC)
    return (now - now.replace(hour=hours, minute=minutes, second=seconds, microsecond=0)).total_seconds()


def _spread(what: str, values: Sequence[float]) -> Figures:
    of: dict[str, Callable[[Sequence[float]], float]] = {"median": statistics.median, "longest": max}
    return {
        f"{what}, {name}, s": function(values) if values else float("nan") for name, function in of.items()
    }


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(share * len(values))]


def processor_s(process: psutil.Process) -> float:
    """Processor time that all threads of a process have used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def memory_mb(process: psutil.Process) -> float:
    """Resident memory."""
    return float(process.memory_info().rss / 1e6)


if __name__ == "__main__":
    main()
