"""Workers of coordinators that were replaced: a successor ends them before it makes its own.

A coordinator that is frozen, or cut off from the store, keeps its workers, and with them the cluster's
processors. All coordinators of a sweep name theirs in one namespace, which no other sweep shares, not even
one of the same name in another store.
"""

import hashlib
from datetime import UTC, datetime

import ray


def namespace(sweep: str, created_at: datetime) -> str:
    """The Ray namespace of a sweep's workers, from what no other sweep in any store has in common with it."""
    identity = f"{sweep} {created_at.astimezone(UTC).isoformat()}"
    return f"sweeper-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def actor_name(sweep: str, token: int, serial: int) -> str:
    """What a worker is called."""
    return f"sweeper/{sweep}/{token}/{serial}"


def end_older(space: str, sweep: str, token: int) -> int:
    """Kill the sweep's workers whose token is older than `token`, and tell how many those were.

    Those with a newer token belong to whoever took the sweep over from this coordinator.
    """
    n_ended = 0
    for entry in ray.util.list_named_actors(all_namespaces=True):
        if entry["namespace"] == space and _token(entry["name"], sweep) < token:
            try:
                ray.kill(ray.get_actor(entry["name"], namespace=space))
            except ValueError:  # it died meanwhile
                continue
            n_ended += 1
    return n_ended


def _token(name: str, sweep: str) -> float:
    """The token in a worker's name; infinite where it is no worker of this sweep."""
    first, _, rest = name.partition(f"sweeper/{sweep}/")
    number = rest.split("/")[0]
    return int(number) if not first and number.isdecimal() else float("inf")
