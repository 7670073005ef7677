"""From the store to tidy frames, and from frames to the numbers that a user reads.

Every number is computed here, once; terminal, report and pages only show it.
"""

from sweeper.analysis.comparison import compare, probability_of_improvement
from sweeper.analysis.decision import Decision, Improvement, fewest_seeds
from sweeper.analysis.power import power
from sweeper.analysis.resampling import bootstrap_interval, iqm
from sweeper.analysis.statistics import behind_untuned, summary

__all__ = [
    "Decision",
    "Improvement",
    "behind_untuned",
    "bootstrap_interval",
    "compare",
    "fewest_seeds",
    "iqm",
    "power",
    "probability_of_improvement",
    "summary",
]
