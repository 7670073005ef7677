"""How the summary and the verdict look in a notebook: short tables and lines, with every text escaped."""

import html
from collections.abc import Sequence
from typing import ClassVar

import pandas as pd

from sweeper import scoring
from sweeper.analysis import shown
from sweeper.analysis.sentences import OBJECTIVES, counted
from sweeper.experiment import Experiment

LEFT, RIGHT = "text-align: left", "text-align: right"


class SummaryFrame(pd.DataFrame):
    """A summary that a notebook shows as a short table; in everything else an ordinary frame.

    What is computed from it is a plain `DataFrame`, and a terminal shows it as pandas does.
    """

    _metadata: ClassVar[list[str]] = ["_page"]
    _page: str | None = None

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_html_(self) -> str:
        return self._page or self.to_html()


def summary_frame(summary: pd.DataFrame, experiment: Experiment, sweep: str) -> SummaryFrame:
    """`summary`, with all its columns, that a notebook shows as a table of the sweep called `sweep`.

    `summary` is that of `sweeper.analysis.summary_of`, under the terms of `experiment`.
    """
    frame = SummaryFrame(summary)
    frame._page = page(summary, experiment, sweep)
    return frame


def page(summary: pd.DataFrame, experiment: Experiment, sweep: str) -> str:
    """The summary as an HTML table: a row per optimizer, in the experiment's order, which is no ranking."""
    names = shown.searched_names(experiment, summary)
    counterpart = "test accuracy" if scoring.higher_is_better(experiment.objective) else "test loss"
    headings = (
        "optimizer",
        "tried",
        f"best {OBJECTIVES[experiment.objective]}",
        f"finals: {counterpart}, mean ± sd [95 %]",
        "finals, untuned",
        f"untuned {OBJECTIVES[experiment.objective]}",
        "dead",
        "best setting",
    )
    rows = [
        (
            str(row["optimizer"]),
            _tried(row, experiment),
            f"{shown.measured(row['best'])} (best of {row['scored']})" if row["scored"] else shown.NOTHING,
            _finals(row),
            _moments(row["untuned_final_mean"], row["untuned_final_sd"], int(row["untuned_final_n"])),
            shown.measured(row["untuned"]),
            shown.share(row["dead"]),
            shown.setting(row, names[str(row["optimizer"])]) or shown.NOTHING,
        )
        for _, row in summary.iterrows()
    ]
    return _table(_caption(experiment, sweep), headings, rows)


def lines(texts: Sequence[str]) -> str:
    """Lines of text as HTML, the first one set off."""
    first, *rest = (html.escape(text) for text in texts)
    items = "".join(f"<li>{text}</li>" for text in rest)
    return f"<div><p><strong>{first}</strong></p>" + (f"<ul>{items}</ul>" if rest else "") + "</div>"


def _caption(experiment: Experiment, sweep: str) -> str:
    if experiment.imported:
        return f"{sweep}, imported from {experiment.imported.source}: in its own order, no ranking"
    epochs = counted(experiment.budget.epochs, "epoch")
    return (
        f"{sweep}: {experiment.model.name} on {experiment.data.name}, {epochs}; in the experiment's order, "
        f"no ranking. The best of n was chosen among n, which flatters it; finals are fresh seeds."
    )


def _tried(row: "pd.Series[str]", experiment: Experiment) -> str:
    """`12 of 15 (2 pruned, 1 failed)`: settings with a score, of how many; the untuned one isn't counted."""
    lost = [f"{row[state]} {state}" for state in ("pruned", "failed") if row[state]]
    more = f" ({', '.join(lost)})" if lost else ""
    if experiment.imported or experiment.search.mode == "joint":
        return f"{row['scored']}{more}"
    return f"{row['scored']} of {experiment.budget.trials_per_optimizer - 1}{more}"


def _finals(row: "pd.Series[str]") -> str:
    if not row["final_n"]:
        return shown.NOTHING
    interval = "" if shown.is_missing(row["final_low"]) else f" [{_interval(row)}]"
    diverged = f", {row['final_diverged']} diverged" if row["final_diverged"] else ""
    mean = shown.spread(float(row["final_mean"]), float(row["final_sd"]))
    return f"{mean}{interval} (n {row['final_n']}{diverged})"


def _interval(row: "pd.Series[str]") -> str:
    return shown.interval(float(row["final_low"]), float(row["final_high"]))


def _moments(mean: float, sd: float, n: int) -> str:
    return f"{shown.spread(mean, sd)} (n {n})" if n else shown.NOTHING


def _table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    aligned = [LEFT, *[RIGHT] * (len(headings) - 2), LEFT]
    head = "".join(
        f'<th scope="col" style="{style}">{html.escape(text)}</th>'
        for style, text in zip(aligned, headings, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{style}">{html.escape(cell)}</td>' for style, cell in zip(aligned, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<table><caption style="caption-side: top; {LEFT}">{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
