"""Whether anybody listens at an address: Ray itself would try for minutes."""

import socket

from sweeper.errors import ClusterError
from sweeper.workers.blame import first_line

CONNECT_S = 5.0
"""How long a cluster's head may take to answer."""


def require_listener(address: str, host: str, port: int | str) -> None:
    """Raises ClusterError where nobody listens at `host`:`port`, which a user wrote as `address`."""
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, OverflowError, ValueError) as error:  # ValueError: no name of a host, or no number
        raise ClusterError(f"the Ray cluster at {address} can't be reached: {first_line(error)}") from None
