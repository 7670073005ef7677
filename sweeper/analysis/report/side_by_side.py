"""Two sweeps side by side: first what differs between them, then what may be compared all the same."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from sweeper import experiment as experiments
from sweeper import scoring
from sweeper.analysis import shown
from sweeper.analysis.comparison import compare_each
from sweeper.analysis.report.blocks import Document, Missing, Points, Section, Text, section, table
from sweeper.analysis.report.content import Report
from sweeper.analysis.report.html import page
from sweeper.analysis.report.markdown import text
from sweeper.analysis.sentences import OBJECTIVES

WHAT_COUNTS = ("data", "split", "loss", "objective", "epochs")


@dataclass(frozen=True, slots=True)
class Common:
    """What two sweeps have in common: `differ` are those of `WHAT_COUNTS` that do.

    `judged` is what their finals may be judged by: the objective's test counterpart where nothing differs,
    the test accuracy where the images are the same, else None.
    """

    differ: tuple[str, ...]
    judged: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Two reports side by side."""

    left: Report
    right: Report

    @property
    def names(self) -> tuple[str, str]:
        """The two sweeps' names."""
        return self.left.results.name, self.right.results.name

    def common(self) -> Common:
        """What may be compared."""
        return _common(self.left, self.right)

    def differences(self) -> list[str]:
        """A line for each key of the experiments, version and machine that differs."""
        return _differences(self.left, self.right)

    def decisions(self) -> pd.DataFrame:
        """For each optimizer with finals in both: P(left better than right), with interval, p and decision.

        Frame `optimizer, estimate, low, high, p, decision`, p adjusted by Holm; empty where the finals can't
        be compared.
        """
        judged = self.common().judged
        if judged is None:
            return compare_each({}, {}, higher_is_better=True)
        column = "accuracy" if judged == "test_accuracy" else "value"
        sides = [_scores(report, column) for report in (self.left, self.right)]
        return compare_each(*sides, higher_is_better=scoring.higher_is_better(judged))

    def document(self) -> Document:
        """The comparison's parts."""
        return Document(
            title=f"Sweeps {self.names[0]} and {self.names[1]}",
            subtitle="side by side",
            sections=(_what_differs(self), _optimizers(self), _judged(self), _verdicts(self)),
        )

    def html(self) -> str:
        """One page that needs no network."""
        return page(self.document())

    def markdown(self) -> str:
        """The comparison for a pull request."""
        return text(self.document())

    def record(self) -> dict[str, Any]:
        """Every number, as plain values for JSON."""
        return {
            "differences": self.differences(),
            "common": asdict(self.common()),
            "decisions": shown.rows(self.decisions()),
            "sweeps": [self.left.record(), self.right.record()],
        }


def side_by_side(left: Report, right: Report) -> Sides:
    """The two reports side by side."""
    return Sides(left, right)


def _scores(report: Report, column: str) -> dict[str, Any]:
    points = report.numbers.points
    tuned = points[points["kind"] == "tuned"]
    return {str(name): group[column].to_numpy() for name, group in tuned.groupby("optimizer", sort=False)}


def _common(left: Report, right: Report) -> Common:
    terms = [_terms(report) for report in (left, right)]
    differ = tuple(what for what in WHAT_COUNTS if terms[0][what] != terms[1][what])
    if any(report.results.experiment.imported for report in (left, right)):
        return Common((*differ, "origin"), None)
    if not differ:
        judged = left.results.experiment.objective.replace("val_", "test_").replace("train_", "test_")
        return Common(differ, judged)
    return Common(differ, None if {"data", "split"} & set(differ) else "test_accuracy")


def _terms(report: Report) -> dict[str, Any]:
    experiment, facts = report.results.experiment, report.results.facts
    data = experiment.data
    return {
        "data": (data.name, facts.get("data", {}).get("sha256"), experiment.model.input_size),
        "split": (data.train_size, data.val_size, data.test_size, experiment.seed),
        "loss": experiment.loss.name,
        "objective": experiment.objective,
        "epochs": experiment.budget.epochs,
    }


def _differences(left: Report, right: Report) -> list[str]:
    a, b = left.results, right.results
    changed: list[tuple[str, str, str]] = []
    if a.experiment.imported is None and b.experiment.imported is None:
        changed += experiments.differing(a.experiment, b.experiment)
    for group in ("data", "versions", "machine"):
        there, here = a.facts.get(group, {}), b.facts.get(group, {})
        changed += [
            (f"{group} {key}", str(there.get(key, "not known")), str(here.get(key, "not known")))
            for key in {**there, **here}
            if there.get(key) != here.get(key)
        ]
    for mine, other in ((a, b), (b, a)):
        if mine.experiment.imported and not other.experiment.imported:
            changed.append(("origin", *_origins(a.experiment, b.experiment)))
    return [f"{key}: {one} in {a.name}, {two} in {b.name}" for key, one, two in changed]


def _origins(*sides: experiments.Experiment) -> tuple[str, str]:
    first, second = (f"imported from {e.imported.source}" if e.imported else "run by Sweeper" for e in sides)
    return first, second


def _what_differs(sides: Sides) -> Section:
    common, lines = sides.common(), sides.differences()
    if common.differ:
        what = ", ".join(common.differ)
        judged = (
            "So only accuracies are compared, which have one scale."
            if common.judged
            else "So their numbers stand beside each other and are not judged: the images are not the same."
        )
        opening = f"These sweeps differ in {what}. {judged}"
    else:
        opening = "The same data, split, loss, objective and epochs: losses and accuracies compare."
    return section(
        "differences",
        "What differs",
        Text((opening,)),
        Points(tuple(lines)) if lines else Text(("Nothing else differs.",)),
    )


def _optimizers(sides: Sides) -> Section:
    summaries = [report.numbers.summary.set_index("optimizer") for report in (sides.left, sides.right)]
    has_losses = not sides.common().differ
    names = list(dict.fromkeys([*summaries[0].index, *summaries[1].index]))
    rows = [
        (str(name), *(cell for summary in summaries for cell in _cells(summary, name, has_losses=has_losses)))
        for name in names
    ]
    headings = ["optimizer"]
    for name in sides.names:
        headings += [f"{name}: scored", "best of them, accuracy"]
        headings += ["finals", *(["test loss"] if has_losses else []), "test accuracy"]
    objective = sides.left.results.experiment.objective
    note = (
        f"Scores are {OBJECTIVES[objective]}." if has_losses else "Losses are left out: they don't compare."
    )
    return section("optimizers", "Per optimizer", table("", headings, rows), Text((note,)))


def _cells(summary: pd.DataFrame, name: str, *, has_losses: bool) -> list[str]:
    if name not in summary.index:
        return [shown.NOTHING] * (4 + has_losses)
    row = summary.loc[name]
    return [
        str(row["scored"]),
        shown.measured(row["best_accuracy"]),
        str(row["final_n"]),
        *([shown.spread(row["final_mean"], row["final_sd"])] if has_losses else []),
        shown.spread(row["final_accuracy"], row["final_accuracy_sd"]),
    ]


def _judged(sides: Sides) -> Section:
    decisions, judged = sides.decisions(), sides.common().judged
    if judged is None or decisions.empty:
        why = (
            "no optimizer has finals in both."
            if judged
            else f"the sweeps differ in {', '.join(sides.common().differ)}."
        )
        return section("decisions", "The same optimizer in both", Missing(f"Not judged: {why}"))
    rows = [
        (
            str(row["optimizer"]),
            shown.measured(row["estimate"]),
            shown.interval(row["low"], row["high"]),
            shown.number(float(row["p"])),
            str(row["decision"]),
        )
        for _, row in decisions.iterrows()
    ]
    left, right = sides.names
    headings = ("optimizer", f"P({left} better)", "95 % interval", "adjusted p", f"{left} against {right}")
    return section(
        "decisions",
        "The same optimizer in both",
        table(f"By {judged.replace('_', ' ')}, over the finals", headings, rows, words=(0, 4)),
    )


def _verdicts(sides: Sides) -> Section:
    return section(
        "verdicts",
        "The verdict of each",
        *(
            Points(
                (
                    f"{report.results.name}: {report.numbers.verdict.lines[0]}",
                    *report.numbers.verdict.lines[1:],
                )
            )
            for report in (sides.left, sides.right)
        ),
    )
