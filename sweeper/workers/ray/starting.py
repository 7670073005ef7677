"""What `ray.init` does otherwise than a sweep wants, and has no option for.

A function of Ray's is put aside for as long as Ray starts; a Ray without one of that name starts as it likes.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import ray
from ray.exceptions import RayError

NODE_S = 5.0
"""Ray itself goes on waiting for its node after so long, and says what is wrong."""

LOOK_S = 0.02


@contextlib.contextmanager
def own_handler_of_sigterm() -> Iterator[None]:
    """Keeps the program's handler of SIGTERM, if it has set one.

    `ray.init` puts its own in its place, first in Python, and then below it, where it prints a stack.
    """
    own = signal.getsignal(signal.SIGTERM)
    is_main = threading.current_thread() is threading.main_thread()
    utils = ray._private.utils
    theirs = getattr(utils, "set_sigterm_handler", None)
    if theirs is None or not callable(own) or not is_main:
        yield
        return
    utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = theirs
        signal.signal(signal.SIGTERM, own)


@contextlib.contextmanager
def node_seen_at_once() -> Iterator[None]:
    """Goes on as soon as the node that Ray starts is there: Ray itself looks for it once a second."""
    services = ray._private.services
    theirs = getattr(services, "get_node", None)
    if theirs is None:
        yield
        return

    def get_node(gcs_address: str, node_id: str) -> Any:
        with contextlib.suppress(AttributeError, RuntimeError, RayError):
            _await_node(services._get_gcs_client_options(gcs_address), node_id)
        return theirs(gcs_address, node_id)

    services.get_node = get_node
    try:
        yield
    finally:
        services.get_node = theirs


def _await_node(gcs_options: Any, node_id: str) -> None:
    """Wait until the cluster knows the node, at most `NODE_S`."""
    cluster = ray._private.state.GlobalState()
    cluster._initialize_global_state(gcs_options)
    deadline = time.monotonic() + NODE_S
    while time.monotonic() < deadline and all(node["NodeID"] != node_id for node in cluster.node_table()):
        time.sleep(LOOK_S)
