"""Warm workers on Ray: each an actor that imports torch once and trains trial after trial.

`connection` joins or starts a cluster, `actor` is what runs in a worker process, `pool` keeps the workers'
contract with many of them, `worker` being one of them as the driver sees it. `placement` says what each gets,
`nodes` what the cluster has, `plan` how many workers each node shall have, `crew` sees to it, and `agency`
makes them. `deaths` says why one was lost, `patience` whether it was silent or nobody listened,
`predecessors` ends those of earlier coordinators, `privacy` keeps passwords from Ray.
Nothing else in Sweeper imports ray.
"""

import os

# Read by Ray when it is imported or started; both are what later versions of Ray do anyway.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
if os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
    # With an address given, Ray sends no token by itself, not even one that it was given.
    os.environ.setdefault("RAY_AUTH_MODE", "token")

from sweeper.workers.ray.connection import cluster
from sweeper.workers.ray.metrics import RaySink
from sweeper.workers.ray.placement import Placement, capacity, place
from sweeper.workers.ray.pool import RayWorkers
from sweeper.workers.ray.predecessors import namespace

__all__ = ["Placement", "RaySink", "RayWorkers", "capacity", "cluster", "namespace", "place"]
