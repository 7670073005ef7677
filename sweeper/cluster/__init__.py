"""Sweeps as Ray jobs: submitted, listed, followed and stopped through the address of a cluster's dashboard.

`jobs` speaks Ray's Jobs API, `reading` turns what it tells into records. What the job itself does is
composed in `sweeper.api.remote`.
"""

import sweeper.workers.ray  # noqa: F401 - first: it sets what Ray reads when it is imported
from sweeper.cluster.jobs import Jobs
from sweeper.cluster.reading import JobState, SweepJob

__all__ = ["JobState", "Jobs", "SweepJob"]
