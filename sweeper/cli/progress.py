"""Shows a running sweep on stderr: a bar per optimizer, or plain lines where there is no terminal."""

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from sweeper import scoring
from sweeper.api import Display
from sweeper.experiment import Experiment
from sweeper.printable import one_line
from sweeper.records import (
    EpochRecord,
    FinalScore,
    Origin,
    Phase,
    StoredTrial,
    Trial,
    TrialKey,
    TrialState,
)


class Tally:
    """What has been reached so far, from what the coordinator tells: per optimizer, and in all."""

    def __init__(self, experiment: Experiment, known: Sequence[StoredTrial]) -> None:
        self._experiment = experiment
        self._higher = scoring.higher_is_better(experiment.objective)
        self._began: tuple[float, int] | None = None
        self._seen: dict[TrialKey, int] = {}
        self.finished = {arm.name: 0 for arm in experiment.arms}
        self.scored = {arm.name: 0 for arm in experiment.arms}
        self.best: dict[str, float] = {}
        self.failed = 0
        self.n_finals = experiment.n_finals
        self.n_finals_done = 0
        for stored in known:
            if stored.state.is_finished and stored.trial.origin is not Origin.SUPERSEDED:
                value = getattr(stored, experiment.objective)
                self._count(stored.trial, stored.state, value)
        self._epochs_done = self.n_done * experiment.budget.epochs

    @property
    def n_finished(self) -> int:
        """Trials of the search that ended, over all optimizers."""
        return sum(self.finished.values())

    @property
    def n_done(self) -> int:
        """Trials and finals that ended."""
        return self.n_finished + self.n_finals_done

    @property
    def n_planned(self) -> int:
        """Trials and finals that there will be."""
        return self._experiment.n_trials + self.n_finals

    def advanced(self, trial: Trial, record: EpochRecord) -> None:
        """Count epochs."""
        # A rule with a budget of its own may pass the epochs that the bar counts.
        epoch = min(record.epoch, self._experiment.budget.epochs)
        self._epochs_done += epoch - self._seen.get(trial.key, 0)
        self._seen[trial.key] = epoch
        if self._began is None:  # from here on workers are warm: their start says nothing of the pace
            self._began = (time.monotonic(), self._epochs_done)

    def finals_chosen(self, n_finals: int, n_left: int) -> None:
        """Count what the end of the search has shown to be left."""
        self.n_finals, self.n_finals_done = n_finals, n_finals - n_left
        self._epochs_done = self.n_done * self._experiment.budget.epochs

    def lost(self, key: TrialKey) -> None:
        """Take back the epochs of a lost attempt."""
        self._epochs_done -= self._seen.pop(key, 0)

    def ended(self, trial: Trial, state: TrialState, last: EpochRecord | None) -> None:
        """Count a trial, with the epochs that it didn't need."""
        self._epochs_done += self._experiment.budget.epochs - self._seen.pop(trial.key, 0)
        self._count(trial, state, getattr(last, self._experiment.objective) if last else None)

    def _count(self, trial: Trial, state: TrialState, value: float | None) -> None:
        name = trial.key.optimizer
        self.failed += state is TrialState.FAILED
        if trial.key.phase is Phase.FINAL:
            self.n_finals_done += 1
            return
        self.finished[name] += 1
        if state.has_score and trial.origin is not Origin.DEFAULT:
            self.scored[name] += 1
            score = self._experiment.score(None if state is TrialState.DIVERGED else value)
            best = self.best.get(name, score)
            self.best[name] = max(best, score) if self._higher else min(best, score)

    def best_of(self, name: str) -> str:
        """`best 1.402 of 3 tried`, or nothing before the first."""
        if name not in self.best:
            return ""
        return f"best {self.best[name]:.3f} of {self.scored[name]} tried"

    def left_s(self) -> float | None:
        """Seconds to go at the pace so far, or None before there is one."""
        if self._began is None:
            return None
        since, before = self._began
        done = self._epochs_done - before
        left = self.n_planned * self._experiment.budget.epochs - self._epochs_done
        return (time.monotonic() - since) / done * left if done > 0 else None


def duration(seconds: float | None) -> str:
    """`2 min 10 s`, for people."""
    if seconds is None:
        return "..."
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class _Lines:
    """Plain lines, one per finished trial: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begins(
        self, sweep: str, experiment: Experiment, known: Sequence[StoredTrial], notes: Sequence[str]
    ) -> None:
        self._experiment = experiment
        self._tally = Tally(experiment, known)
        for line in _opening(sweep, experiment, self._tally, notes):
            self.note(line)

    def note(self, line: str) -> None:
        self._console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)

    def advanced(self, trial: Trial, record: EpochRecord) -> None:
        self._tally.advanced(trial, record)

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        self._tally.ended(trial, state, last)
        if trial.key.phase is Phase.FINAL:
            score = f": test_loss {test.loss:.3f}, test accuracy {test.accuracy:.3f}" if test else ""
            count = f"{self._tally.n_finals_done} of {self._tally.n_finals} finals"
            self.note(f"{trial.key} {state}{score} ({count}, {duration(self._tally.left_s())} left)")
            return
        accuracy = f", accuracy {last.val_accuracy:.3f}" if last and last.val_accuracy is not None else ""
        loss = f": val_loss {last.val_loss:.3f}{accuracy}" if last and last.val_loss is not None else ""
        count = f"{self._tally.n_finished} of {self._experiment.n_trials} trials"
        self.note(f"{trial.key} {state}{loss} ({count}, {duration(self._tally.left_s())} left)")

    def finals_chosen(self, n_finals: int, n_left: int) -> None:
        self._tally.finals_chosen(n_finals, n_left)
        if n_left:
            self.note(f"the search is over: {n_left} finals on fresh seeds")

    def lost(self, key: TrialKey, attempt: int, cause: str) -> None:
        self._tally.lost(key)
        self.note(f"{key} attempt {attempt} lost: {cause}")


class _Bars:
    """A bar per optimizer, redrawn in place."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def begins(
        self, sweep: str, experiment: Experiment, known: Sequence[StoredTrial], notes: Sequence[str]
    ) -> None:
        self._tally = Tally(experiment, known)
        for line in _opening(sweep, experiment, self._tally, notes):
            self.note(line)
        for arm in experiment.arms:
            self._tasks[arm.name] = self._progress.add_task(
                arm.name,
                total=experiment.budget.trials_per_optimizer,
                completed=self._tally.finished[arm.name],
                best=self._tally.best_of(arm.name),
            )
        self._finals = self._progress.add_task(
            "finals", total=self._tally.n_finals, best="", visible=bool(self._tally.n_finals)
        )
        self._total = self._progress.add_task("all", total=self._tally.n_planned, best="starting")
        self._redraw_total()

    def note(self, line: str) -> None:
        self._console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)

    def advanced(self, trial: Trial, record: EpochRecord) -> None:
        self._tally.advanced(trial, record)
        self._redraw_total()

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        self._tally.ended(trial, state, last)
        name = trial.key.optimizer
        self._progress.update(
            self._tasks[name], completed=self._tally.finished[name], best=self._tally.best_of(name)
        )
        self._redraw_total()

    def finals_chosen(self, n_finals: int, n_left: int) -> None:
        self._tally.finals_chosen(n_finals, n_left)
        self._redraw_total()

    def lost(self, key: TrialKey, attempt: int, cause: str) -> None:
        self._tally.lost(key)
        self.note(f"{key} attempt {attempt} lost: {cause}")

    def _redraw_total(self) -> None:
        left = self._tally.left_s()
        text = "starting" if left is None else f"{duration(left)} left" if left else "done"
        failed = f", {self._tally.failed} failed" if self._tally.failed else ""
        finals, done = self._tally.n_finals, self._tally.n_finals_done
        self._progress.update(self._finals, total=finals, completed=done)
        total, done = self._tally.n_planned, self._tally.n_done
        self._progress.update(self._total, total=total, completed=done, best=text + failed)


def _opening(sweep: str, experiment: Experiment, tally: Tally, notes: Sequence[str]) -> list[str]:
    per_arm = experiment.budget.trials_per_optimizer
    already = f", {tally.n_finished} of them done" if tally.n_finished else ""
    finals = f", then {experiment.n_finals} finals" if experiment.n_finals else ""
    return [
        f"sweep {sweep}: {experiment.model.name}, {len(experiment.arms)} optimizers, "
        f"{per_arm} trials each{already}, {experiment.budget.epochs} epochs a trial{finals}",
        *notes,
    ]


@contextlib.contextmanager
def display() -> Iterator[Display]:
    """Bars on a terminal, plain lines elsewhere."""
    console = Console(stderr=True, emoji=False)
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[best]}", markup=False),
    )
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress:
        yield _Bars(console, progress)
