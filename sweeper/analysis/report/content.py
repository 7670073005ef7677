"""Puts a report together: its numbers, and the parts that show them."""

from dataclasses import dataclass
from typing import Any

from sweeper.analysis.report import compared, costs, learning, opening, record, taking, tuning
from sweeper.analysis.report.blocks import Document
from sweeper.analysis.report.html import page
from sweeper.analysis.report.markdown import text
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.analysis.sentences import counted


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The comparison that a sweep came to: as a page, as Markdown, as plain values, and its numbers."""

    results: Results
    numbers: Numbers

    def document(self) -> Document:
        """The report's parts, whatever they are written as."""
        return document(self.results, self.numbers)

    def html(self) -> str:
        """One page that needs no network."""
        return page(self.document())

    def markdown(self) -> str:
        """The report for a pull request: texts and tables; of figures their answers."""
        return text(self.document())

    def record(self) -> dict[str, Any]:
        """Every number, as plain values for JSON; None where there is none."""
        return record.record(self.results, self.numbers)

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{line}</li>" for line in map(_escaped, self.numbers.verdict.lines))
        return f"<p>Report on sweep {_escaped(self.results.name)}</p><ul>{lines}</ul>"


def report(results: Results) -> Report:
    """The report on these results."""
    return Report(results, Numbers(results))


def document(results: Results, computed: Numbers) -> Document:
    """All parts, in their order."""
    arms = counted(len(results.experiment.arms), "optimizer")
    return Document(
        title=f"Sweep {results.name}",
        subtitle=f"{arms} compared, {counted(len(results.trials), 'trial')}, {results.state}",
        sections=(
            opening.verdict(results, computed),
            compared.summary(results, computed),
            compared.pairs(results, computed),
            tuning.tuning(results, computed),
            learning.learning(results, computed),
            learning.time_to_target(results, computed),
            tuning.sensitivity(results, computed),
            costs.warnings(computed),
            costs.costs(results, computed),
            costs.spaces(results),
            costs.lecture(results, computed),
            taking.settings(results, computed),
            opening.workload(results),
            taking.again(results),
        ),
    )


def _escaped(line: str) -> str:
    import html

    return html.escape(line)
