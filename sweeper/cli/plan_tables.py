"""A plan as people read it: what is spent, what is searched, what it can decide."""

from collections.abc import Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table

from sweeper.api.plan import ArmPlan, Cost, Plan
from sweeper.cli.progress import duration
from sweeper.cli.registry import SCALES
from sweeper.experiment.searched import Searched
from sweeper.lab.forecast import Span

PIPE_WIDTH = 140
"""Columns of a table that is not printed on a terminal."""


def print_plan(plan: Plan) -> None:
    """Print all of it."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    parts: list[RenderableType] = [_heading(plan), "", _costs(plan), *_cost_notes(plan), "", _spaces(plan)]
    parts += [*_space_notes(plan), *_paragraph(_pruning(plan)), *_paragraph(_decidable(plan))]
    parts += _paragraph(_seconds(plan))
    console.print(Group(*parts), markup=False, highlight=False)


def _paragraph(lines: Iterator[str]) -> list[RenderableType]:
    return ["", *found] if (found := list(lines)) else []


def _heading(plan: Plan) -> str:
    e = plan.experiment
    return (
        f"{e.name}: {e.model.name} on {e.data.name}, {e.data.train_size:,} training images, "
        f"{e.budget.epochs} epochs; {e.search.mode} search by {e.search.sampler}, seed {e.seed}"
    )


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, justify in columns:
        table.add_column(heading, justify="right" if justify == "right" else "left", overflow="fold")
    return table


def _costs(plan: Plan) -> Table:
    has_pace = plan.calibration is not None
    table = _table(
        "What is spent" + (", at most" if plan.pruning else ""),
        ("optimizer", "left"),
        *((f"{phase}\n{what}", "right") for phase in ("search", "final") for what in ("trials", "epochs")),
        ("all\ntrials", "right"),
        ("all\nepochs", "right"),
        ("all\nsamples", "right"),
        *([("seconds\nan epoch", "right")] if has_pace else []),
    )
    for arm in plan.arms:
        pace = [] if arm.epoch_s is None else [f"{arm.epoch_s:.3g}"]
        table.add_row(arm.optimizer, *_cells(arm.search, arm.finals), *pace)
    table.add_section()
    table.add_row("in all", *_cells(plan.search, plan.finals), *([""] if has_pace else []))
    return table


def _cells(search: Cost, finals: Cost) -> list[str]:
    total = search + finals
    each = [f"{n:,}" for cost in (search, finals) for n in (cost.trials, round(cost.epochs))]
    return [*each, f"{total.trials:,}", f"{round(total.epochs):,}", f"{total.samples:,}"]


def _cost_notes(plan: Plan) -> Iterator[str]:
    e = plan.experiment
    if not e.final.top_k:
        yield "No finals (final.top_k = 0): the report will have no verdict."
    elif e.search.repeats > 1:
        yield f"The {e.final.seeds} final seeds are spread over the picks of {e.search.repeats} searches."
    for arm in plan.arms:
        if arm.steps is not None:
            steps = "1 step" if arm.steps == 1 else f"{arm.steps} steps"
            cost = arm.search.epochs / arm.search.trials
            yield (
                f"{arm.optimizer} has a budget of its own, {steps} a trial, at least {cost:,.0f} epochs "
                f"where the others have {e.budget.epochs}: shown beside them, not against them."
            )
    if e.search.mode == "joint":
        yield (
            f"One search over all optimizers: {plan.search.trials:,} trials in all; how many each gets is up "
            "to it, the rows are the average."
        )


def _spaces(plan: Plan) -> Table:
    table = _table(
        "What is searched",
        ("optimizer", "left"),
        ("dimensions", "left"),
        ("number", "right"),
        ("decades", "right"),
        ("trials per\ndimension", "right"),
        ("independent\ntrials", "right"),
    )
    for arm in plan.arms:
        per = "-" if arm.trials_per_dimension is None else f"{arm.trials_per_dimension:.3g}"
        decades = sum(d.decades or 0 for d in arm.space)
        table.add_row(
            arm.optimizer,
            "; ".join(map(_dimension, arm.space)) or "nothing: only the seed changes",
            str(len(arm.space)),
            f"{decades:.3g}",
            per,
            _independent(arm),
        )
    return table


def _independent(arm: ArmPlan) -> str:
    return f"{arm.independent} of {arm.search.trials - 1}"


def _dimension(d: Searched) -> str:
    name = f"{d.name}*" if d.shared else d.name
    if d.values is not None:
        return f"{name} {', '.join(_value(value) for value in d.values)}"
    decades = "" if d.decades is None else f", {d.decades:.3g} decades"
    return f"{name} {d.low:g} to {d.high:g} ({SCALES[d.scale or 'linear']}{decades})"


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _space_notes(plan: Plan) -> Iterator[str]:
    notes = ["trial 0 of each optimizer is its untuned setting and searches nothing"]
    if any(d.shared for arm in plan.arms for d in arm.space):
        notes.insert(0, "*: shared, trial n of every optimizer draws the same values")
    if plan.experiment.search.sampler == "tpe":
        notes.append("trials that are not independent are proposed by TPE's model of those before")
    text = "; ".join(notes)
    yield f"{text[0].upper()}{text[1:]}."


def _pruning(plan: Plan) -> Iterator[str]:
    if plan.pruning is None:
        return
    brackets = [" and ".join(map(str, rungs)) or "none" for rungs in plan.pruning.brackets]
    if len(brackets) > 1:
        rungs = "rungs by bracket, after epoch: " + "; ".join(brackets)
    elif plan.pruning.brackets[0]:
        rungs = f"rungs after epoch {brackets[0]}"
    else:
        rungs = "no rung before the last epoch: nothing is ever pruned"
    saved = plan.pruning.saved
    yield (
        f"Pruner {plan.pruning.pruner}: {rungs}; saves about {saved.low:.0%} to {saved.high:.0%} of the "
        "search's epochs, trial 0 apart."
    )
    yield (
        "Warning: pruning favours settings that start fast, and does so unequally between optimizers; the "
        'report leaves out every statistic that needs whole trials. search.pruner = "none" compares.'
    )


def _decidable(plan: Plan) -> Iterator[str]:
    if (d := plan.decidable) is None:
        return
    others = f"the {d.n_others} others" if d.n_others > 1 else "the other"
    if d.n_seeds < d.fewest_seeds:
        yield (
            f"These seeds cannot decide: with final.seeds = {d.n_seeds} no difference against {others} can "
            f"be named, however large; the fewest that can are {d.fewest_seeds}."
        )
        return
    yield (
        f"What {d.n_seeds} final seeds can decide: an optimizer better than {others} by 2 standard "
        f"deviations is named {round(100 * d.power_2sd)} times in 100, by 1 standard deviation "
        f"{round(100 * d.power_1sd)} times in 100."
    )


def _seconds(plan: Plan) -> Iterator[str]:
    c, limit = plan.calibration, plan.experiment.budget.max_seconds
    if c is None:
        yield "Seconds: not measured (--no-calibrate)."
        if limit:
            yield f"Nothing is handed out after budget.max_seconds = {limit:g}."
        return
    workers = "1 worker" if c.n_workers == 1 else f"{c.n_workers} workers"
    total, search, finals = (_span(cost.seconds) for cost in (plan.total, plan.search, plan.finals))
    yield f"Expected time: {total} (search {search}, finals {finals}, the rest is starting and ending)"
    yield f"with {workers} on this machine ({c.device}), from a calibration of a few seconds."
    if plan.is_capped:
        yield (
            f"budget.max_seconds = {limit:g} ends it before: nothing is handed out from then on, and what "
            "runs is finished; `sweeper resume` with a larger one goes on."
        )


def _span(span: Span | None) -> str:
    if span is None:
        return "-"
    low, high = duration(span.low), duration(span.high)
    return f"about {low}" if low == high else f"{low} to {high}"
