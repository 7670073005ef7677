"""What is put aside while Ray starts, and that it comes back; no process is started here."""

import signal
from typing import Any

import pytest
import ray
from ray.exceptions import RaySystemError

from sweeper.workers.ray import starting
from sweeper.workers.ray.starting import node_seen_at_once, own_handler_of_sigterm


class Cluster:
    """Stands for Ray's global state: what it knows of nodes, look by look; the last look lasts."""

    def __init__(self, *looks: list[str] | Exception) -> None:
        self.looks = list(looks)
        self.n_looks = 0

    def _initialize_global_state(self, options: Any) -> None:
        self.options = options

    def node_table(self) -> list[dict[str, str]]:
        found = self.looks[min(self.n_looks, len(self.looks) - 1)]
        self.n_looks += 1
        if isinstance(found, Exception):
            raise found
        return [{"NodeID": name} for name in found]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What Ray's own way to ask for a node, which takes a second a look, is asked."""
    calls: list[tuple[str, str]] = []

    def get_node(address: str, node_id: str) -> str:
        calls.append((address, node_id))
        return "found"

    monkeypatch.setattr(ray._private.services, "get_node", get_node)
    monkeypatch.setattr(starting, "LOOK_S", 0.0)
    return calls


def ask() -> Any:
    return ray._private.services.get_node("127.0.0.1:1", "ours")


@pytest.mark.parametrize(
    ("looks", "n_looks"),
    [
        ([["ours"]], 1),
        ([[], ["other"], ["other", "ours"]], 3),
        ([RaySystemError("no cluster yet")], 1),  # then Ray's own way tells what is wrong
    ],
)
def test_ray_is_asked_for_its_node_once_it_is_there(
    asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, looks: list[Any], n_looks: int
) -> None:
    cluster = Cluster(*looks)
    monkeypatch.setattr(ray._private.state, "GlobalState", lambda: cluster)
    before = ray._private.services.get_node
    with node_seen_at_once():
        assert ask() == "found"
    assert cluster.n_looks == n_looks
    assert asked == [("127.0.0.1:1", "ours")]
    assert ray._private.services.get_node is before


def test_a_node_that_does_not_come_is_left_to_ray(
    asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(["other"])
    monkeypatch.setattr(ray._private.state, "GlobalState", lambda: cluster)
    monkeypatch.setattr(starting, "NODE_S", 0.01)
    with node_seen_at_once():
        assert ask() == "found"
    assert cluster.n_looks > 1
    assert asked == [("127.0.0.1:1", "ours")]


def test_a_ray_that_has_neither_name_starts_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ray._private.services, "get_node")
    monkeypatch.delattr(ray._private.utils, "set_sigterm_handler")
    with own_handler_of_sigterm(), node_seen_at_once():
        pass
    assert not hasattr(ray._private.services, "get_node")
    assert not hasattr(ray._private.utils, "set_sigterm_handler")


def test_a_ray_whose_state_has_another_form_is_asked_at_once(
    asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray._private.state, "GlobalState", object)
    with node_seen_at_once():
        assert ask() == "found"
    assert asked == [("127.0.0.1:1", "ours")]


def test_rays_handler_of_sigterm_is_not_set_while_it_starts() -> None:
    theirs = ray._private.utils.set_sigterm_handler
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        own = signal.getsignal(signal.SIGTERM)
        with own_handler_of_sigterm():
            ray._private.utils.set_sigterm_handler(lambda number, frame: None)
        assert signal.getsignal(signal.SIGTERM) is own
        signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM]
        assert ray._private.utils.set_sigterm_handler is theirs
    finally:
        signal.signal(signal.SIGTERM, before)
