"""Which nodes shall have how many workers, and what share of a GPU each gets."""

from dataclasses import replace

import pytest

from sweeper.workers import memory
from sweeper.workers.memory import CONTEXT_BYTES, gpu_share, has_grown
from sweeper.workers.ray import plan
from sweeper.workers.ray.plan import Need, Node

GIB = 2**30
MIB = 2**20

CPU = Need(1, 0)


def node(name: str, cpus: float, gpus: float = 0, *, taken: float = 0, is_draining: bool = False) -> Node:
    """A node of which `taken` processors are somebody else's."""
    return Node(name, f"host-{name}", cpus, gpus, cpus - taken, gpus, is_draining)


@pytest.mark.parametrize(
    ("peak", "total", "share"),
    [
        (0, 16 * GIB, 1 / 8),
        (1 * GIB, 16 * GIB, 1 / 8),
        (int(1.2 * GIB), 16 * GIB, 1 / 8),
        (int(1.3 * GIB), 16 * GIB, 1 / 4),
        (3 * GIB, 16 * GIB, 1 / 2),
        (6 * GIB, 16 * GIB, 1 / 2),
        (7 * GIB, 16 * GIB, 1),
        (20 * GIB, 16 * GIB, 1),
        (1 * GIB, 80 * GIB, 1 / 8),
        (100 * MIB, 2 * GIB, 1 / 2),
        (0, 512 * MIB, 1),
    ],
)
def test_a_worker_gets_the_least_share_that_is_enough(peak: int, total: int, share: float) -> None:
    assert gpu_share(peak, total) == share


@pytest.mark.parametrize("total", [4 * GIB, 16 * GIB, 80 * GIB])
@pytest.mark.parametrize("share", [0.5, 0.25, 0.125])
def test_sharers_leave_room_for_each_others_contexts(share: float, total: int) -> None:
    each = memory.fraction(share, total) * total
    assert share / 2 * total <= each < share * total
    if share * total >= 2 * CONTEXT_BYTES:
        assert (each + CONTEXT_BYTES) / share <= total * (1 + 1e-9)


@pytest.mark.parametrize(
    ("first", "now", "grown"),
    [
        (200 * MIB, 200 * MIB, False),
        (200 * MIB, 400 * MIB, False),  # twice as much, but no amount
        (200 * MIB, 457 * MIB, True),
        (4 * GIB, 5 * GIB, False),  # an amount, but no half more
        (4 * GIB, 7 * GIB, True),
        (0, 257 * MIB, True),
        (GIB, 0, False),
    ],
)
def test_a_worker_whose_memory_grows_is_renewed(first: int, now: int, grown: bool) -> None:
    assert has_grown(first, now) is grown


A, B = node("a", 2), node("b", 4)
G = node("g", 8, 2)


@pytest.mark.parametrize(
    ("nodes", "need", "have", "most", "expected"),
    [
        ([], CPU, {}, None, {}),
        ([A, B], CPU, {}, None, {"a": 2, "b": 4}),
        ([A, B], Need(2, 0), {}, None, {"a": 1, "b": 2}),
        ([A, B], Need(3, 0), {}, None, {"b": 1}),
        ([A, B], CPU, {"a": 2, "b": 4}, None, {}),
        ([A, B], CPU, {"a": 2}, None, {"b": 4}),  # b has joined
        ([A], CPU, {"a": 2, "b": 4}, None, {}),  # b is gone, and its workers with it
        ([A, B], CPU, {}, 4, {"a": 2, "b": 2}),  # spread
        ([A, B], CPU, {}, 1_000_000, {"a": 2, "b": 4}),  # no more than fit
        ([A, B], CPU, {"b": 4}, 4, {}),  # who is there stays
        ([A, B], CPU, {"b": 3}, 4, {"a": 1}),
        ([A, B], CPU, {"a": 2, "b": 4}, 3, {"a": -1, "b": -2}),
        ([replace(A, is_draining=True), B], CPU, {"a": 2, "b": 4}, None, {"a": -2}),
        ([replace(A, is_draining=True), B], CPU, {"a": 2, "b": 1}, 3, {"a": -2, "b": 2}),
        ([node("a", 2, taken=2), B], CPU, {}, 2, {"b": 2}),  # another sweep is on a
        ([node("a", 2, taken=2), node("b", 4, taken=3)], CPU, {}, None, {"b": 1}),
        ([A, G], Need(1, 1), {}, None, {"g": 2}),  # a mixed cluster
        ([A, G], Need(1, 0.25), {}, None, {"g": 8}),
        ([A, G], Need(3, 0.25), {}, None, {"g": 2}),  # processors are scarce
        ([A, G], Need(1, 0.25), {"g": 8}, 3, {"g": -5}),
        ([A, G], CPU, {}, None, {"a": 2, "g": 8}),
        ([node("head", 0), A], CPU, {}, None, {"a": 2}),
    ],
)
def test_each_node_gets_what_fits_and_is_wanted(
    nodes: list[Node], need: Need, have: dict[str, int], most: int | None, expected: dict[str, int]
) -> None:
    busy = [
        replace(
            each,
            free_cpus=each.free_cpus - have.get(each.id, 0) * need.cpus,
            free_gpus=each.free_gpus - have.get(each.id, 0) * need.gpus,
        )
        for each in nodes
    ]
    assert plan.changes(busy, need, have, most) == expected


@pytest.mark.parametrize(
    ("nodes", "present", "least", "most", "expected"),
    [
        ([G], 1, 1 / 8, None, 1 / 4),  # eight processors for two GPUs
        ([G], 1, 1 / 2, None, 1 / 2),
        ([G], 1, 1, None, 1),
        ([node("g", 64, 2)], 1, 1 / 8, None, 1 / 8),
        ([node("g", 64, 2)], 1, 1 / 8, 2, 1),  # two are all that is wanted
        ([node("g", 64, 2)], 1, 1 / 8, 5, 1 / 4),
        ([node("g", 3, 1)], 1, 1 / 8, None, 1 / 4),
        ([node("g", 1, 1)], 1, 1 / 8, None, 1),
        ([G], 1 / 8, 1 / 2, None, 1 / 2),  # a trial needed more than the first ones
        ([G, node("h", 8, 2)], 1 / 4, 1 / 8, 4, 1 / 4),  # nobody is disturbed for less than more workers
        ([A], 1, 1 / 8, None, 1),  # no GPU is left
    ],
)
def test_a_share_is_as_large_as_the_number_of_workers_allows(
    nodes: list[Node], present: float, least: float, most: int | None, expected: float
) -> None:
    assert plan.share(nodes, 1, present=present, least=least, most=most) == expected
