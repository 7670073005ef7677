"""What a page says of a sweep's progress, in words: the same in the list and above the tabs."""

from collections.abc import Sequence
from datetime import timedelta

from sweeper.analysis import shown
from sweeper.analysis.live.overview import ArmProgress, Overview
from sweeper.analysis.live.watch import Followed
from sweeper.analysis.sentences import DATA, OBJECTIVES, counted

LATE = timedelta(seconds=20)
"""Statistics that are so much older than the trials are said to be."""

Bar = tuple[str, str, int, int | None]
"""A bar's name, its count in words, how many are done, of how many."""


def named(overviews: Sequence[Overview], find: str) -> list[Overview]:
    """The sweeps whose names hold `find`, whatever its case."""
    return [one for one in overviews if find.strip().casefold() in one.info.name.casefold()]


def counted_trials(arm: ArmProgress) -> str:
    """`7 of 16`, and how many run."""
    count = f"{arm.done:,}" if arm.total is None else f"{arm.done:,} of {arm.total:,}"
    return f"{count}, {arm.running} running" if arm.running else count


def counted_finals(overview: Overview) -> str:
    """`24 of 60`; while the search goes on nobody knows how many there will be."""
    most = "" if overview.is_over or overview.n_done >= overview.n_trials else "up to "
    return f"{overview.n_finals_done:,} of {most}{overview.n_finals:,}"


def bars(overview: Overview) -> list[Bar]:
    """The bars of a sweep's progress.

    One for each optimizer, or for all together once they are done, and one for the finals.
    """
    found: list[Bar]
    arms = overview.arms
    if len(arms) > 1 and all(arm.done == arm.total for arm in arms):
        words = f"{overview.n_done:,} trials" + (f", {arms[0].done:,} each" if overview.is_equal else "")
        name = counted(len(arms), "optimizer")
        found = [(name, words, overview.n_done, overview.n_trials)]
    else:
        found = [(arm.optimizer, counted_trials(arm), arm.done, arm.total) for arm in arms]
    if overview.n_finals:
        found.append(("finals", counted_finals(overview), overview.n_finals_done, overview.n_finals))
    return found


def told(overview: Overview) -> tuple[str, str, str, str, str]:
    """A sweep's best so far, workers, time left, holder and begin, for a table."""
    best = f"{shown.measured(overview.best)} (of {overview.n_tried:,})" if overview.n_tried else shown.NOTHING
    workers = str(overview.workers) if overview.is_running else shown.NOTHING
    return best, workers, _left(overview), _holder(overview), f"{overview.info.created_at:%Y-%m-%d %H:%M} UTC"


def _left(overview: Overview) -> str:
    return shown.NOTHING if overview.left_s is None else shown.duration(overview.left_s)


def _holder(overview: Overview) -> str:
    return overview.info.holder or shown.NOTHING


def subject(overview: Overview) -> str:
    """What the sweep trains on what, and what it is judged by."""
    experiment = overview.experiment
    objective = OBJECTIVES[experiment.objective]
    if experiment.imported:
        return f"Imported from {experiment.imported.source}; objective {objective}."
    return (
        f"{experiment.model.name} on {DATA[experiment.data.name]}, {experiment.data.train_size:,} training "
        f"images, {counted(experiment.budget.epochs, 'epoch')}; objective {objective}"
        + (f", best so far {told(overview)[0]}." if overview.n_tried else ".")
    )


def facts(followed: Followed) -> list[str]:
    """Who runs the sweep, what it has cost, what is to come, and of when this is."""
    overview, info = followed.overview, followed.overview.info
    lines = []
    if overview.is_running:
        since = f" since {info.held_since:%H:%M:%S} UTC" if info.held_since else ""
        lines.append(f"{counted(overview.workers, 'worker')} at work, led by {info.holder}{since}")
        lines.append(
            "time left not known yet" if overview.left_s is None else f"about {_left(overview)} left"
        )
    if overview.epochs:
        time = f" in {shown.duration(overview.busy_s)} of worker time" if overview.busy_s else ""
        lines.append(counted(overview.epochs, "epoch") + time)
    lines.append(f"begun {info.created_at:%Y-%m-%d %H:%M} UTC")
    lines.append(f"data as of {followed.as_of:%H:%M:%S} UTC")
    if followed.as_of - followed.numbers_as_of > LATE:
        lines.append(f"statistics as of {followed.numbers_as_of:%H:%M:%S} UTC")
    return lines
