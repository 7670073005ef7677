"""A Ray cluster of several nodes on this machine, in a process of its own: a second `ray.init` would not do.

Prints its address; then takes a line at a time: `add` (a node with one processor), `kill` (the newest node
dies), `drain` (the newest node is told that it will be taken away in a minute), `end`.
"""

import os
import sys
import time

os.environ.update(
    RAY_AUTH_MODE="disabled",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_health_check_initial_delay_ms="0",
    RAY_health_check_period_ms="1000",
    RAY_health_check_timeout_ms="1000",
    RAY_health_check_failure_threshold="5",
)

from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

MEMORY = 100 * 2**20


def main() -> None:
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False},
    )
    nodes = []
    say(cluster.address)
    for line in sys.stdin:
        if line == "add\n":
            nodes.append(cluster.add_node(num_cpus=1, object_store_memory=MEMORY))
        elif line == "kill\n":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        elif line == "drain\n":
            drain(cluster.address, nodes[-1].node_id)
        else:
            break
        say("done")
    cluster.shutdown()


def drain(address: str, node_id: str) -> None:
    """What a cloud does before it takes a node away, by way of Ray's autoscaler."""
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    deadline_ms = time.time_ns() // 1_000_000 + 60_000
    accepted, why = GcsClient(address=address).drain_node(node_id, reason, "taken away", deadline_ms)
    assert accepted, why


def say(word: str) -> None:
    print(f"cluster: {word}", flush=True)


main()
