"""Ray's Jobs API, with every failure told in a line."""

import asyncio
import contextlib
import logging
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from sweeper.cluster.reading import SweepJob, next_id, sweep_jobs
from sweeper.errors import ClusterError, NotFoundError, UsageError
from sweeper.workers.blame import first_line
from sweeper.workers.ray.reach import require_listener

ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""What Ray would let win over the address that a user gives."""

CHATTY = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Ray's loggers that tell every upload and every end of a connection."""

RECONNECTIONS = 5
"""So many times in a row a log that broke off is taken up again."""

RECONNECT_S = 1.0

Result = TypeVar("Result")


class Jobs:
    """The jobs of the cluster whose dashboard is at `address`; None: at RAY_API_SERVER_ADDRESS.

    Every call raises ClusterError where the cluster can't be reached, or refuses its client.
    """

    def __init__(self, address: str | None = None) -> None:
        for chatty in CHATTY:
            logging.getLogger(chatty).setLevel(logging.WARNING)
        self.address = _checked(address or os.environ.get(ADDRESS_VARIABLES[0]))
        self._client: JobSubmissionClient = self._told(lambda: _client(self.address))

    def all(self) -> list[SweepJob]:
        """Every job that runs or ran a sweep, oldest first."""
        return sweep_jobs(self._told(self._client.list_jobs))

    def of(self, sweep: str) -> list[SweepJob]:
        """The jobs of one sweep, oldest first."""
        return [job for job in self.all() if job.sweep == sweep]

    def latest(self, sweep: str) -> SweepJob:
        """The sweep's newest job. Raises NotFoundError where it has none."""
        jobs = self.of(sweep)
        if not jobs:
            raise NotFoundError(f"no job at {self.address} runs or ran a sweep {sweep!r}; see `sweeper jobs`")
        return jobs[-1]

    def submit(self, sweep: str, command: Sequence[str], files: Path, metadata: Mapping[str, str]) -> str:
        """Let the cluster run `command` in a copy of the directory `files`; gives the job's id.

        `metadata` is shown to everyone who sees the dashboard. Raises UsageError while another job runs the
        sweep.
        """
        jobs = self.of(sweep)
        if running := [job for job in jobs if not job.state.is_over]:
            raise UsageError(
                f"sweep {sweep!r} is being run by job {running[-1].id} ({running[-1].state}): "
                f"`sweeper logs {sweep} -f` follows it, `sweeper stop {sweep}` ends it"
            )
        job = next_id(sweep, jobs)
        self._told(
            lambda: self._client.submit_job(
                entrypoint=shlex.join(command),
                submission_id=job,
                metadata=dict(metadata),
                runtime_env={"working_dir": str(files)},
            )
        )
        return job

    def job(self, job: str) -> SweepJob:
        """What is known of a job now."""
        [found] = sweep_jobs([self._told(lambda: self._client.get_job_info(job))])
        return found

    def log(self, job: str) -> str:
        """All that the job has written so far."""
        return str(self._told(lambda: self._client.get_job_logs(job)))

    def follow(self, job: str) -> Iterator[str]:
        """What the job has written, and then what it writes, until it ends."""
        n_seen = n_failures = 0
        while True:
            try:
                n_read = 0
                for text in _tail(self._client, job):
                    fresh = text[max(n_seen - n_read, 0) :]
                    n_read += len(text)
                    n_seen, n_failures = max(n_seen, n_read), 0
                    if fresh:
                        yield fresh
            except (RuntimeError, OSError, aiohttp.ClientError) as error:
                n_failures += 1
                if n_failures > RECONNECTIONS:
                    raise ClusterError(
                        f"the log of job {job} broke off: {first_line(error)}; the job itself may go on"
                    ) from error
                time.sleep(RECONNECT_S)
                continue
            if self.job(job).state.is_over:
                return
            time.sleep(RECONNECT_S)

    def ended(self, job: str, within_s: float) -> SweepJob:
        """The job once it is over, or as it is after `within_s`: Ray tells a moment after its last line."""
        deadline = time.monotonic() + within_s
        while not (found := self.job(job)).state.is_over and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def stop(self, job: str) -> None:
        """Ask Ray to end the job's processes: by SIGTERM first."""
        self._told(lambda: self._client.stop_job(job))

    def _told(self, call: Callable[[], Result]) -> Result:
        """What `call` gives, its failure as a ClusterError."""
        try:
            return call()
        except AuthenticationError as error:
            raise ClusterError(f"the Ray cluster at {self.address} {_refusal(error)}") from error
        except (RuntimeError, OSError, ValueError, requests.RequestException) as error:
            raise ClusterError(f"the Ray cluster at {self.address}: {first_line(error)}") from error


def _checked(address: str | None) -> str:
    """The address, if it may be that of a dashboard with somebody who listens."""
    if not address:
        raise UsageError(
            "--address is missing: the cluster's dashboard, such as http://127.0.0.1:8265; "
            "RAY_API_SERVER_ADDRESS may hold it"
        )
    parts = urlsplit(address)
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        port = None
    if port is None or parts.hostname is None or parts.path.strip("/"):
        raise UsageError(
            f"--address {address}: must be that of the cluster's dashboard, such as http://HOST:8265"
        )
    require_listener(address, parts.hostname, port)
    return address.rstrip("/")


def _client(address: str) -> JobSubmissionClient:
    with _without(*ADDRESS_VARIABLES):
        return JobSubmissionClient(address)


@contextlib.contextmanager
def _without(*names: str) -> Iterator[None]:
    """Without these variables of the environment."""
    taken = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def _refusal(error: AuthenticationError) -> str:
    """Why the cluster refuses this client."""
    variables = "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return f"demands a token: set {variables} to it"
    text = str(error).lower()
    if "invalid" in text or "403" in text:
        return f"refuses the token: it is not the one that the cluster began with; set {variables}"
    return f"demands a token, and {variables} holds none: {first_line(error)}"


def _tail(client: JobSubmissionClient, job: str) -> Iterator[str]:
    """The chunks of a job's log, from its beginning, until the connection ends."""
    chunks: Any = client.tail_job_logs(job)
    loop = asyncio.new_event_loop()
    try:
        while True:
            try:
                yield loop.run_until_complete(anext(chunks))
            except StopAsyncIteration:
                return
    finally:
        with contextlib.suppress(RuntimeError):
            loop.run_until_complete(chunks.aclose())
        loop.close()
