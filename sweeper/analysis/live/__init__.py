"""A running sweep, followed: read as cheaply as it can be, and shown with the report's own numbers.

`watch` looks at the store for all pages together, within a `budget` of processor time; `followed` reads only
the trials that may have changed; `overview` counts how far sweeps are and `words` says it; `listing` sorts,
filters and cuts the table of trials; `tabs` says which parts of the report stand where.
"""

from sweeper.analysis.live.listing import Listing, Wanted, listing
from sweeper.analysis.live.overview import ArmProgress, Overview
from sweeper.analysis.live.tabs import TABS
from sweeper.analysis.live.watch import Followed, Watch
from sweeper.analysis.live.words import bars, facts, named, subject, told

__all__ = [
    "TABS",
    "ArmProgress",
    "Followed",
    "Listing",
    "Overview",
    "Wanted",
    "Watch",
    "bars",
    "facts",
    "listing",
    "named",
    "subject",
    "told",
]
