"""Warm workers on Ray: each an actor that imports torch once and trains trial after trial.

One call per stretch of epochs, so nothing has to be cancelled. Ray restarts and retries nothing: a dead actor
is reported as `Lost` and replaced here. The images lie in the object store once per node, and every worker
reads them without a copy.
"""

import contextlib
import io
import itertools
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

# Read by Ray when it is imported or started; both are what later versions of Ray do anyway.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayError, RayTaskError

from sweeper.errors import ClusterError
from sweeper.experiment import Experiment
from sweeper.records import Trial, WorkerInfo
from sweeper.training.data import Dataset
from sweeper.workers.blame import blame
from sweeper.workers.protocol import Advanced, Lost, Slot

NAMESPACE = "sweeper"
START_FAILURES = 3
"""So many workers in a row that die before they are ready end the sweep."""

NODE_DEATH_S = 5.0
"""How long a node may take to be known as dead after its actors can't be reached."""

_TOKEN = secrets.token_hex(32)
"""What a private cluster demands of its clients. Ray reads it once per process, so each has one."""

OBJECT_STORE_SPARE = 128 * 2**20
"""Bytes of a local object store beyond the images."""


@contextlib.contextmanager
def cluster(
    address: str | None, *, n_cpus: int | None, image_bytes: int, dashboard: bool = False
) -> Iterator[str | None]:
    """A connection to the Ray cluster at `address`, or, where that is None, to a private one here.

    A private cluster has `n_cpus` processors (None: all), needs a token that only this process knows, and
    ends with the connection. Gives the line that tells how to open Ray's dashboard, or None without
    `dashboard`. Raises ClusterError where Ray can't be reached or started.
    """
    environment: dict[str, str] = {}
    options: dict[str, Any] = {"address": address}
    if address is None:
        # Ray turns token authentication on by itself for a new local cluster; without a token given here it
        # would write one into the user's home, and demand that of every cluster started later.
        environment = {"RAY_AUTH_TOKEN": _TOKEN}
        options = {
            "address": "local",
            "num_cpus": n_cpus,
            "include_dashboard": dashboard,
            "object_store_memory": image_bytes + OBJECT_STORE_SPARE,
        }
    with _environment(environment), _silenced_stdout():
        try:
            context = ray.init(
                namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR, **options
            )
        except (RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ClusterError(f"Ray {address or 'on this machine'}: can't be reached: {reason}") from error
        try:
            yield _way_in(context.dashboard_url, environment) if dashboard else None
        finally:
            ray.shutdown()


def _way_in(url: str | None, environment: dict[str, str]) -> str:
    token = environment.get("RAY_AUTH_TOKEN")
    return f"Ray dashboard: http://{url}" + (f" (token {token})" if token else "")


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets variables that the user did not set, and undoes every change, Ray's own included."""
    before = dict(os.environ)
    os.environ.update({key: value for key, value in values.items() if key not in before})
    try:
        yield
    finally:
        for key in os.environ.keys() - before.keys():
            if key.startswith("RAY_"):
                del os.environ[key]


class _Chatter(io.TextIOBase):
    """Where Ray's own prints go: the debug log."""

    def write(self, text: str) -> int:
        if text.strip():
            logging.getLogger("sweeper.ray").debug(text.rstrip())
        return len(text)


@contextlib.contextmanager
def _silenced_stdout() -> Iterator[None]:
    """Ray prints the raylet's messages on the driver's stdout, which belongs to the sweep's result."""
    stdout = sys.stdout
    sys.stdout = _Chatter()
    try:
        yield
    finally:
        sys.stdout = stdout


class _Actor:
    """What runs in a worker process. torch is imported here, once."""

    def __init__(self, experiment: Experiment, dataset: Dataset, use_gpu: bool) -> None:
        from sweeper.workers.trainer import Trainer

        self._trainer = Trainer(experiment, dataset, use_gpu=use_gpu)

    def hello(self) -> tuple[str, str, str]:
        """The worker's node id, host and device, once it is ready."""
        return ray.get_runtime_context().get_node_id(), socket.gethostname(), self._trainer.device

    def advance(self, trial: Trial | None, until_epoch: int) -> Any:
        """Train up to and including `until_epoch`; `trial` is given with its first stretch."""
        if trial is not None:
            self._trainer.begin(trial)
        return self._trainer.advance(until_epoch)


@dataclass(slots=True)
class _Worker:
    """One actor as the driver sees it: `slot` is None until it is ready, `call` while it is idle."""

    serial: int
    actor: Any
    call: Any
    slot: Slot | None = None
    node_id: str = ""
    trial: Trial | None = None
    attempt: int = 0
    is_begun: bool = False

    @property
    def is_free(self) -> bool:
        return self.slot is not None and self.call is None and self.trial is None


class RayWorkers:
    """Keeps the contract of `Workers` with actors on the connected cluster.

    `token` is the sweep's lease token: it makes the actors' names unique to this coordinator.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        *,
        sweep: str,
        token: int,
        n_workers: int | Literal["auto"] = "auto",
    ) -> None:
        resources = experiment.resources
        self._cpus = resources.cpus_per_trial
        self._gpus = gpu_share(resources.gpus_per_trial)
        fitting = capacity(self._cpus, self._gpus)
        if not fitting:
            needs = f"{self._cpus} CPU and {self._gpus:g} GPU"
            raise ClusterError(f"no node of the Ray cluster has the {needs} that a worker needs")
        self._sweep = sweep
        self._token = token
        self._serials = itertools.count()
        self._start_failures = 0
        self._experiment = ray.put(experiment)
        self._dataset = ray.put(dataset)
        self._workers = [self._spawn() for _ in range(fitting if n_workers == "auto" else n_workers)]

    def _spawn(self) -> _Worker:
        serial = next(self._serials)
        name = f"sweeper/{self._sweep}/{self._token}/{serial}"
        # num_cpus is what Ray schedules by; without it an actor is placed by one CPU and then runs on none.
        actor_class = ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=1)(_Actor)
        actor = actor_class.options(name=name, num_cpus=self._cpus, num_gpus=self._gpus).remote(
            self._experiment, self._dataset, self._gpus > 0
        )
        return _Worker(serial, actor, actor.hello.options(name="start").remote())

    def slots(self) -> list[Slot]:
        """The workers that are ready and have no trial."""
        return [worker.slot for worker in self._workers if worker.is_free and worker.slot]

    def start(self, trial: Trial, attempt: int) -> Slot:
        """Give `trial` to a free worker."""
        worker = next(worker for worker in self._workers if worker.is_free)
        assert worker.slot is not None
        worker.trial, worker.attempt, worker.is_begun = trial, attempt, False
        return worker.slot

    def advance(self, slot: Slot, until_epoch: int) -> None:
        """Send the worker on; the first call carries the trial."""
        worker = self._at(slot)
        assert worker.trial is not None
        name = f"train[{worker.trial.key.optimizer}]"
        trial = None if worker.is_begun else worker.trial
        worker.call = worker.actor.advance.options(name=name).remote(trial, until_epoch)
        worker.is_begun = True

    def discard(self, slot: Slot) -> None:
        """Take the trial away. A call under way is let run; what it gives is dropped."""
        self._at(slot).trial = None

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """Collect what workers report; replace those that died."""
        calls = {worker.call: worker for worker in self._workers if worker.call is not None}
        if not calls:
            time.sleep(timeout_s)
            return []
        ready, _ = ray.wait(list(calls), num_returns=1, timeout=timeout_s, fetch_local=False)
        if ready and len(calls) > 1:
            ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0, fetch_local=False)
        events = (self._collect(calls[call]) for call in ready)
        return [event for event in events if event is not None]

    def close(self) -> None:
        """Kill every worker."""
        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers = []

    def _at(self, slot: Slot) -> _Worker:
        return next(worker for worker in self._workers if worker.slot == slot)

    def _collect(self, worker: _Worker) -> Advanced | Lost | None:
        call, worker.call = worker.call, None
        trial, slot, attempt = worker.trial, worker.slot, worker.attempt
        try:
            result = ray.get(call)
        except RayTaskError as error:  # the trial raised; the process lives on
            worker.trial = None
            cause, strike = blame(error.cause), True
        except RayError as error:
            cause, strike = self._replace(worker, error)
        else:
            if slot is None:
                self._welcome(worker, *result)
                return None
            if trial is None:
                return None
            return Advanced(slot, trial.key, attempt, result.records, result.has_diverged, result.setup_s)
        if slot is None or trial is None:
            return None
        return Lost(slot, trial.key, attempt, cause, strike)

    def _welcome(self, worker: _Worker, node_id: str, host: str, device: str) -> None:
        self._start_failures = 0
        worker.node_id = node_id
        worker.slot = WorkerInfo(worker=f"{self._token}/{worker.serial}", node=host, device=device)

    def _replace(self, worker: _Worker, error: RayError) -> tuple[str, bool]:
        """Put a new actor in the place of a dead one; why it died, and whether its trial may be at fault."""
        ray.kill(worker.actor)
        if worker.slot is None:
            self._start_failures += 1
            if self._start_failures >= START_FAILURES:
                raise ClusterError(f"Ray workers can't start: {_last_line(error)}") from error
        node_lives = self._node_lives(worker, patient=isinstance(error, ActorUnavailableError))
        self._workers[self._workers.index(worker)] = self._spawn()
        if not node_lives:
            return f"its node {worker.slot.node if worker.slot else ''} died", False
        if isinstance(error, OutOfMemoryError):
            return "its process ran out of memory", True
        return "its process died", True

    def _node_lives(self, worker: _Worker, *, patient: bool) -> bool:
        """Whether the worker's node is up; `patient` gives a node that died just now time to be known."""
        deadline = time.monotonic() + (NODE_DEATH_S if patient else 0)
        while True:
            alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
            if worker.node_id not in alive or time.monotonic() >= deadline:
                return worker.node_id in alive
            time.sleep(0.1)


def gpu_share(wanted: float | Literal["auto"]) -> float:
    """The share of a GPU that each worker gets: `auto` is a whole one where the cluster has any."""
    if wanted != "auto":
        return wanted
    return 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0


def capacity(cpus: int, gpus: float) -> int:
    """How many workers with that share of processors and GPUs fit on the cluster's living nodes."""
    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            fits = int(has.get("CPU", 0) // cpus)
            total += min(fits, int(has.get("GPU", 0) / gpus + 1e-9)) if gpus else fits
    return total


def _last_line(error: BaseException) -> str:
    """A remote traceback's last line: the error itself."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
