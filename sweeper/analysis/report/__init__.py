"""The report: one set of numbers (`numbers`), shown by one set of parts (`blocks`), written in three ways.

`content` puts it together; `opening`, `compared`, `tuning`, `learning`, `costs` and `taking` are its parts;
`html`, `markdown` and `record` write it. `side_by_side` holds two sweeps against each other. `workers` and
`one_trial` are parts of a page that shows a running sweep.
"""

from sweeper.analysis.report.content import Report, report
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.analysis.report.side_by_side import Sides, side_by_side

__all__ = ["Numbers", "Report", "Results", "Sides", "report", "side_by_side"]
