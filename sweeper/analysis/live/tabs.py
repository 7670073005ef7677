"""Which parts of the report stand on which tab of a sweep's page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from sweeper.analysis.live.listing import keys
from sweeper.analysis.live.watch import Followed
from sweeper.analysis.report import compared, costs, learning, opening, taking, tuning, workers
from sweeper.analysis.report import one_trial as one_trial_
from sweeper.analysis.report.blocks import Section
from sweeper.analysis.report.content import Report
from sweeper.records import Phase, TrialKey

Parts = tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab: its title, and what makes its parts; a tab without parts of the report has none."""

    title: str
    parts: Callable[[Followed], Parts]


def standing(followed: Followed) -> Section:
    """The summary per optimizer, which stands above all tabs, and waits for none of them."""
    with followed.charged():
        return compared.standing(followed.numbers.results, followed.numbers)


def _compare(followed: Followed) -> Parts:
    numbers, results = followed.numbers, followed.numbers.results
    return (
        opening.verdict(results, numbers),
        compared.finals(results, numbers),
        compared.pairs(results, numbers),
        tuning.tuning(results, numbers),
        opening.experiment_file(results),
    )


def _learning(followed: Followed) -> Parts:
    numbers, results = followed.numbers, followed.numbers.results
    return learning.learning(results, numbers), learning.time_to_target(results, numbers)


def _sensitivity(followed: Followed) -> Parts:
    numbers, results = followed.numbers, followed.numbers.results
    return (
        tuning.sensitivity(results, numbers),
        costs.warnings(numbers),
        costs.spaces(results),
        taking.settings(results, numbers),
    )


def _workers(followed: Followed) -> Parts:
    numbers, results = followed.numbers, followed.numbers.results
    now = pd.Timestamp(followed.as_of) if followed.overview.is_running else None
    return workers.workers(results.attempts, now=now), costs.ledger(numbers), opening.workload(results)


def _lecture(followed: Followed) -> Parts:
    return (costs.lecture(followed.numbers.results, followed.numbers),)


def _nothing(_: Followed) -> Parts:
    return ()


TABS: Mapping[str, Tab] = {
    "compare": Tab("Compare", _compare),
    "learning": Tab("Learning curves", _learning),
    "sensitivity": Tab("Sensitivity", _sensitivity),
    "trials": Tab("Trials", _nothing),
    "workers": Tab("Workers", _workers),
    "lecture": Tab("Lecture", _lecture),
}
"""The tabs of a sweep's page, by the word in its address."""


def one_trial(key: str, followed: Followed) -> Section | None:
    """Everything about the trial that is written `key`, read now; None where there is none such."""
    found = followed.trials[keys(followed.trials) == key]
    if found.empty:
        return None
    overview, row = followed.overview, found.iloc[0]
    trial = TrialKey(str(row["optimizer"]), Phase(row["phase"]), int(row["number"]))
    return one_trial_.one_trial(
        overview.info.name,
        followed.numbers.results.store,
        row,
        followed.epochs(trial),
        followed.attempts(trial),
        overview.experiment,
    )


def epochs(followed: Followed) -> pd.DataFrame:
    """All epochs of the sweep."""
    with followed.computing():
        return followed.numbers.results.epochs


def report(followed: Followed) -> Report:
    """The whole report."""
    with followed.computing():
        return Report(followed.numbers.results, followed.numbers)


def parts(tab: str, followed: Followed) -> Parts:
    """The parts of the report on this tab, computed now unless another page has asked for them."""
    with followed.computing():
        return TABS[tab].parts(followed)
