"""What a program calls: `run`, `resume` and `load`. Composes the layers below and computes nothing itself."""

from sweeper.api.display import Display, Silent
from sweeper.api.exchange import import_trials
from sweeper.api.execution import resume, run
from sweeper.api.job import WorkerCount
from sweeper.api.plan import Plan, plan
from sweeper.api.sweep import StoreLocation, Sweep, load, open_store

__all__ = [
    "Display",
    "Plan",
    "Silent",
    "StoreLocation",
    "Sweep",
    "WorkerCount",
    "import_trials",
    "load",
    "open_store",
    "plan",
    "resume",
    "run",
]
