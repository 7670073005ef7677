"""Which nodes shall have how many workers: pure functions on what is known of the cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sweeper.workers.memory import SHARES

UNLIMITED = 1_000_000
"""How many workers fit that need nothing."""


@dataclass(frozen=True, slots=True)
class Node:
    """A living node: what it has, and what of that nobody holds just now."""

    id: str
    host: str
    cpus: float
    gpus: float
    free_cpus: float
    free_gpus: float
    is_draining: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """What each worker gets."""

    cpus: int
    gpus: float

    def fits(self, cpus: float, gpus: float) -> int:
        """How many workers so many processors and GPUs are enough for."""
        times = [int(has / wants + 1e-9) for has, wants in ((cpus, self.cpus), (gpus, self.gpus)) if wants]
        return max(min(times, default=UNLIMITED), 0)


def room(nodes: Sequence[Node], need: Need) -> int:
    """How many workers fit on the nodes that stay, whoever holds them now."""
    return sum(need.fits(node.cpus, node.gpus) for node in nodes if not node.is_draining)


def changes(nodes: Sequence[Node], need: Need, have: Mapping[str, int], most: int | None) -> dict[str, int]:
    """How many workers more (or fewer: below 0) each node shall have, by node id.

    `have` counts those there are, which stay while they fit; `most` limits all of them together. A node gets
    no more than nobody else's work leaves it room for; what is scarce goes to the nodes with the fewest.
    """
    fits = {node.id: 0 if node.is_draining else need.fits(node.cpus, node.gpus) for node in nodes}
    kept = {node.id: min(have.get(node.id, 0), fits[node.id]) for node in nodes}
    free = {
        node.id: min(fits[node.id] - kept[node.id], need.fits(node.free_cpus, node.free_gpus))
        for node in nodes
    }
    wanted = dict(kept)
    left = UNLIMITED if most is None else most - sum(kept.values())
    if left >= sum(free.values()):
        wanted = {name: kept[name] + free[name] for name in kept}
        left = 0
    while left > 0:
        open_ = [name for name in wanted if wanted[name] < kept[name] + free[name]]
        wanted[min(open_, key=lambda name: wanted[name])] += 1
        left -= 1
    while left < 0:
        wanted[max(wanted, key=lambda name: wanted[name])] -= 1
        left += 1
    return {name: wanted[name] - have.get(name, 0) for name in wanted if wanted[name] != have.get(name, 0)}


def share(nodes: Sequence[Node], cpus: int, *, present: float, least: float, most: int | None) -> float:
    """The share of a GPU that workers shall have, where `least` is the smallest that memory allows.

    The largest one with which as many workers fit as can be had or are wanted: processors may be what is
    scarce, and memory that is left over does no harm. `present` stays while it is as good.
    """
    can = {each: room(nodes, Need(cpus, each)) for each in SHARES if each >= least}
    wanted = max(can.values())
    if most is not None:
        wanted = min(wanted, most)
    if can.get(present, -1) >= wanted:
        return present
    return max(each for each, fitting in can.items() if fitting >= wanted)


def without(node: Node, need: Need, n_alone: int, n_waiting: int) -> Node:
    """What a node has left while `n_alone` workers have a whole GPU each, `n_waiting` of them not yet."""
    return replace(
        node,
        cpus=node.cpus - n_alone * need.cpus,
        gpus=node.gpus - n_alone,
        free_cpus=node.free_cpus - n_waiting * need.cpus,
        free_gpus=node.free_gpus - n_waiting,
    )
