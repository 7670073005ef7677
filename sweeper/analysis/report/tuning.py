"""How hard each optimizer is to tune: tries, luck, learning rates, importances."""

from sweeper import scoring
from sweeper.analysis import figures, shown
from sweeper.analysis.report.blocks import Block, Drawing, Folded, Missing, Section, Text, section, table
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.analysis.sentences import OBJECTIVES


def tuning(results: Results, numbers: Numbers) -> Section:
    """Expected best and win probability against the number of trials, or why they can't be given."""
    experiment, independent = results.experiment, numbers.independent
    blocks: list[Block | None] = []
    if independent.reason is None:
        blocks += [
            Drawing("expected-best", figures.expected_best(numbers.expected, objective=experiment.objective)),
            _expected(numbers),
            Drawing("win-probability", figures.win_probability(numbers.wins)) if len(numbers.wins) else None,
            Text((independent.note,)) if independent.note else None,
        ]
    else:
        blocks += [
            Missing(f"No expected best, and no win probability: {independent.reason}"),
            Drawing("incumbents", figures.incumbents(numbers.incumbents, objective=experiment.objective))
            if len(numbers.incumbents)
            else None,
        ]
    return section("tuning", "How hard each is to tune", *blocks)


def _expected(numbers: Numbers) -> Block:
    """The expected best at a few numbers of trials."""
    most = max(len(curve) for curve in numbers.expected.values())
    budgets = [k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024) if k < most] + [most]
    rows = []
    for name, curve in numbers.expected.items():
        by_k = curve.set_index("k")
        cells = [
            f"{shown.measured(by_k.at[k, 'mean'])} ({shown.interval(by_k.at[k, 'low'], by_k.at[k, 'high'])})"
            if k in by_k.index
            else shown.NOTHING
            for k in budgets
        ]
        rows.append((name, *cells))
    headings = ("optimizer", *(f"{k} tried" for k in budgets))
    return Folded("The same as a table", (table("Expected best score, 95 % band", headings, rows),))


def sensitivity(results: Results, numbers: Numbers) -> Section:
    """Learning rate against score, the width of the good range, importances, and the settings tried."""
    experiment = results.experiment
    chance = scoring.chance_level(experiment.objective, experiment.loss.name, experiment.n_classes)
    has_lr = len(numbers.lr) > 0
    known = {name: shares for name, shares in numbers.importances.items() if shares}
    return section(
        "sensitivity",
        "Sensitivity",
        Drawing(
            "lr-sensitivity",
            figures.lr_sensitivity(
                numbers.lr, numbers.lr_bins, objective=experiment.objective, chance=chance
            ),
        )
        if has_lr
        else Missing("No learning rates: no scored trial has one."),
        _widths(numbers, experiment.objective) if has_lr else None,
        Drawing("importances", figures.importances(known))
        if known
        else Missing(
            "No importances: they take ten scored trials and two searched hyperparameters of an optimizer."
        ),
    )


def _widths(numbers: Numbers, objective: str) -> Block:
    rows = [
        (
            row["optimizer"],
            str(row["n"]),
            shown.number(row["best_lr"]),
            shown.measured(row["best"]),
            shown.number(row["width"]),
            shown.share(row["dead"]),
        )
        for _, row in numbers.sensitivity.iterrows()
    ]
    within = "2 accuracy points" if scoring.higher_is_better(objective) else "5 % of the loss"
    return table(
        f"The good range of lr (effective lr for momentum and nesterov): decades within {within} of the "
        "best, from 12 scored trials on",
        ("optimizer", "n", "best lr", f"best {OBJECTIVES[objective]}", "width, decades", "dead"),
        rows,
    )
