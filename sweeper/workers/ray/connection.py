"""Joins a Ray cluster, or starts a private one on this machine."""

import contextlib
import io
import logging
import os
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import ray

from sweeper.errors import ClusterError
from sweeper.workers.blame import first_line
from sweeper.workers.ray.privacy import hide_passwords
from sweeper.workers.ray.reach import require_listener
from sweeper.workers.ray.starting import node_seen_at_once, own_handler_of_sigterm

NAMESPACE = "sweeper"
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
    if address is not None:
        _require_listener(address)
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
    hide_passwords()
    with _environment(environment), _silenced_stdout():
        try:
            with own_handler_of_sigterm(), node_seen_at_once():
                context = ray.init(
                    namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR, **options
                )
        except Exception as error:  # a raylet that doesn't start in time is a plain Exception of Ray's
            what = f"the Ray cluster at {address} can't be joined" if address else "Ray can't be started"
            raise ClusterError(f"{what}: {first_line(error).split(' To fix this')[0]}") from error
        try:
            yield _way_in(context.dashboard_url) if dashboard else None
        finally:
            ray.shutdown()


def _require_listener(address: str) -> None:
    """Raises ClusterError where nobody listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return  # `auto`, or a form that Ray judges itself
    if not host:  # Ray would write its own traceback
        raise ClusterError(f"the Ray cluster at {address} can't be joined: must be HOST:PORT, or auto")
    require_listener(address, host, port)


def _way_in(url: str | None) -> str:
    token = os.environ.get("RAY_AUTH_TOKEN")
    return f"Ray dashboard: http://{url}" + (f" (token {token})" if token else "")


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets variables that the user did not set; takes them away again, and those that Ray added to them."""
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
