"""A sweep's job as a record, read from what Ray tells of its jobs."""

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SWEEP, EXPERIMENT, OPTIMIZERS = "sweep", "experiment", "optimizers"
"""The keys of a job's metadata that tell what it runs."""


class JobState(enum.StrEnum):
    """How far a job is, in Ray's words."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of the job."""
        return self not in (JobState.PENDING, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class SweepJob:
    """A job that runs a sweep. `message` is what Ray says of it, `exit_status` that of its coordinator."""

    id: str
    sweep: str
    state: JobState
    submitted_at: datetime | None
    ended_at: datetime | None
    metadata: Mapping[str, str]
    message: str
    exit_status: int | None


def sweep_jobs(told: Iterable[Any]) -> list[SweepJob]:
    """The jobs among all that Ray tells of which carry a sweep in their metadata, oldest first."""
    jobs = [_job(one) for one in told if one.submission_id and (one.metadata or {}).get(SWEEP)]
    return sorted(jobs, key=lambda job: (job.submitted_at or datetime.min.replace(tzinfo=UTC), job.id))


def next_id(sweep: str, jobs: Iterable[SweepJob]) -> str:
    """`sweeper-NAME-K`, K being one more than the sweep's jobs so far, or than the highest of theirs."""
    ids = [job.id for job in jobs if job.sweep == sweep]
    numbers = [re.fullmatch(rf"sweeper-{re.escape(sweep)}-(\d+)", each) for each in ids]
    highest = max((int(found[1]) for found in numbers if found), default=0)
    return f"sweeper-{sweep}-{max(len(ids), highest) + 1}"


def _job(told: Any) -> SweepJob:
    return SweepJob(
        id=told.submission_id,
        sweep=told.metadata[SWEEP],
        state=JobState(told.status),
        submitted_at=_moment(told.start_time),
        ended_at=_moment(told.end_time),
        metadata=dict(told.metadata),
        message=told.message or "",
        exit_status=told.driver_exit_code,
    )


def _moment(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
