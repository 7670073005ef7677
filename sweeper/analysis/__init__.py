"""From the store to tidy frames, and from frames to the numbers that a user reads.

Every number is computed here, once; terminal, report and pages only show it.
"""

from sweeper.analysis.answers import Best, best
from sweeper.analysis.checks import border_check, inclusion_check
from sweeper.analysis.comparison import compare, compare_each, probability_of_improvement
from sweeper.analysis.crew import crew
from sweeper.analysis.curves import curves, searched_curves
from sweeper.analysis.decision import Decision, Improvement, fewest_seeds
from sweeper.analysis.finals import finals_scores
from sweeper.analysis.ledger import cost_ledger
from sweeper.analysis.power import power
from sweeper.analysis.repetition import compare_epochs
from sweeper.analysis.resampling import bootstrap_interval, iqm
from sweeper.analysis.searching import expected_best, incumbents, independent_scores, win_probability
from sweeper.analysis.sensitivity import lr_sensitivity
from sweeper.analysis.statistics import behind_untuned, summary, summary_of
from sweeper.analysis.targets import time_to_target
from sweeper.analysis.verdict import Verdict, leader, verdict

__all__ = [
    "Best",
    "Decision",
    "Improvement",
    "Verdict",
    "behind_untuned",
    "best",
    "bootstrap_interval",
    "border_check",
    "compare",
    "compare_each",
    "compare_epochs",
    "cost_ledger",
    "crew",
    "curves",
    "expected_best",
    "fewest_seeds",
    "finals_scores",
    "inclusion_check",
    "incumbents",
    "independent_scores",
    "iqm",
    "leader",
    "lr_sensitivity",
    "power",
    "probability_of_improvement",
    "searched_curves",
    "summary",
    "summary_of",
    "time_to_target",
    "verdict",
    "win_probability",
]
