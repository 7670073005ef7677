"""Placement on GPUs, with Ray's logical ones: no device is there, so the workers train on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

PROGRAM = """
import time
import ray
from conftest import TINY, brightness_images
from sweeper import experiment as experiments
from sweeper.workers.ray import RayWorkers, capacity, gpu_share, place

ray.init(address="local", num_cpus=8, num_gpus=2, log_to_driver=False, include_dashboard=False)
assert gpu_share("auto") == 1.0
assert capacity(cpus=1, gpus=1.0) == 2
assert capacity(cpus=1, gpus=0.5) == 4
assert capacity(cpus=4, gpus=0.1) == 2, "processors are the limit"

experiment = experiments.loads('[experiment]\\nname = "gpu"', TINY)
placement = place(experiment.resources, "auto")
workers = RayWorkers(experiment, brightness_images(), sweep="gpu", token=1, placement=placement)
deadline = time.monotonic() + 90
while len(workers.slots()) < 2:
    assert time.monotonic() < deadline
    workers.wait(0.1)
assert ray.available_resources().get("GPU", 0) == 0, "each worker holds a whole GPU"
assert ray.available_resources()["CPU"] == 6
workers.close()
ray.shutdown()
print("placed")
"""


def test_auto_gives_each_worker_a_gpu_where_the_cluster_has_some() -> None:
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "disabled",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "placed" in done.stdout
