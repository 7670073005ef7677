"""From the store to tidy frames, and from frames to the numbers that a user reads.

Every number is computed here, once; terminal, report and pages only show it.
"""

from sweeper.analysis.repetition import compare_epochs
from sweeper.analysis.statistics import behind_untuned, summary

__all__ = ["behind_untuned", "compare_epochs", "summary"]
