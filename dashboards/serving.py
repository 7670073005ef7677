"""Serves the live page until it is told to end."""

import os
import socket
from collections.abc import Callable

import flask
import waitress

from dashboards import guard
from sweeper.errors import UsageError

THREADS = 8
"""A page that computes must not keep the others from asking for news."""


def serve(server: flask.Flask, host: str, port: int, listening: Callable[[str], None]) -> None:
    """Listen on `host` and `port` (0: any free one), say where to `listening`, and answer until interrupted.

    Raises UsageError where nobody can listen there.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        # Python adds the address to the system's words, which are told with it already.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise UsageError(f"--host {host} --port {port}: can't listen there: {reason}") from None
    with listener:
        named = f"[{host}]" if ":" in host else host
        made = waitress.create_server(
            server, sockets=[listener], threads=THREADS, ident=None, max_request_body_size=guard.MOST_BYTES
        )
        listening(f"http://{named}:{listener.getsockname()[1]}")
        made.run()
