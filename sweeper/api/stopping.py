"""Stops a sweep that somebody runs, here or on a cluster, so that it can be resumed."""

import time
from typing import TYPE_CHECKING

from sweeper.api.display import Display
from sweeper.api.sweep import StoreLocation, open_store
from sweeper.errors import LeaseHeldError, NotFoundError, StoreError
from sweeper.store import Store

if TYPE_CHECKING:
    from sweeper.cluster import Jobs

WAIT_S = 30.0
"""How long a coordinator that was asked to stop may take; it writes about every second."""

JOB_S = 60.0
"""How long a cluster may take to end a job."""


def stop(name: str, store: StoreLocation, jobs: "Jobs | None", display: Display) -> str:
    """Ask the sweep's coordinator to stop, through the store; a line that says how that went.

    Where that can't be, for the store is out of reach or the coordinator doesn't listen, the sweep's job on
    the cluster of `jobs` is stopped. Raises NotFoundError, StoreError, LeaseHeldError and ClusterError.
    """
    try:
        return _by_flag(name, open_store(store), display)
    except (StoreError, NotFoundError) as error:
        if jobs is None:
            raise
        display.note(f"{error}; looking for its job at {jobs.address}")
        return _by_job(name, jobs)


def _by_flag(name: str, store: Store, display: Display) -> str:
    asked = store.ask_to_stop(name)
    if asked is None:
        return f"sweep {name} is {store.sweep(name).state}: nobody runs it"
    display.note(f"asked {asked} to stop")
    deadline = time.monotonic() + WAIT_S
    while (info := store.sweep(name)).holder == asked:
        if time.monotonic() >= deadline:
            raise LeaseHeldError(
                f"sweep {name!r} is still being run by {asked}: it was asked to stop {WAIT_S:.0f} s ago, and "
                f"will at its next write"
            )
        time.sleep(0.1)
    return f"sweep {name} is {info.state}; `sweeper resume {name}` goes on"


def _by_job(name: str, jobs: "Jobs") -> str:
    job = jobs.latest(name)
    if job.state.is_over:
        return f"job {job.id} is over ({job.state}): nobody runs sweep {name} there"
    jobs.stop(job.id)
    ended = jobs.ended(job.id, JOB_S)
    return f"job {job.id} is {ended.state}; `sweeper resume {name} --address {jobs.address}` goes on"
