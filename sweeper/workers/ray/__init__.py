"""Warm workers on Ray: each an actor that imports torch once and trains trial after trial.

`connection` joins or starts a cluster, `actor` is what runs in a worker process, `pool` keeps the workers'
contract with many of them, `placement` counts how many fit. Nothing else in Sweeper imports ray.
"""

import os

# Read by Ray when it is imported or started; both are what later versions of Ray do anyway.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

from sweeper.workers.ray.connection import cluster
from sweeper.workers.ray.placement import Placement, capacity, gpu_share, place
from sweeper.workers.ray.pool import RayWorkers

__all__ = ["Placement", "RayWorkers", "capacity", "cluster", "gpu_share", "place"]
