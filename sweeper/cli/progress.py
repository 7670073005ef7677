"""Shows a running sweep on stderr: a bar per optimizer, or plain lines where there is no terminal."""

import contextlib
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from sweeper.api import Display
from sweeper.experiment import Experiment
from sweeper.printable import one_line
from sweeper.records import EpochRecord, FinalScore, Phase, StoredTrial, Trial, TrialKey, TrialState
from sweeper.tally import Tally


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

    def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
        self._tally.advanced(trial, records[-1])

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

    def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
        self._tally.advanced(trial, records[-1])
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
