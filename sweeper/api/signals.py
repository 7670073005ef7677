"""Ctrl-C and SIGTERM: the first asks a sweep to stop, the second ends the process at once."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

SAME_S = 0.2
"""A second signal that comes sooner is the first once more: launchers pass on what a terminal sent to all."""

INTERRUPTED = 130
"""The exit status of a sweep that was interrupted."""

_AT_ONCE = (
    b"sweeper: ended at once; what was not yet stored is lost, `sweeper resume` goes on from the rest\n"
)
_SHOW_CURSOR = b"\x1b[?25h"


class Signals:
    """What the signals have asked for so far."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        """Set by the first signal."""
        self.on_stop: Callable[[], None] = lambda: None
        """Called then, within the handler, in the main thread; it may raise, to leave what is under way."""
        self._first_at: float | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self._first_at is None:
            self._first_at = time.monotonic()  # first of all: setting an event takes a lock
            self.stop.set()
            self.on_stop()
        elif time.monotonic() - self._first_at > SAME_S:
            _end_at_once()


def _end_at_once() -> None:
    """Leave without a word to anyone but the user: the main thread may be stuck in whatever it waits for."""
    os.write(2, (_SHOW_CURSOR if sys.__stderr__ and sys.__stderr__.isatty() else b"") + _AT_ONCE)
    os._exit(INTERRUPTED)


@contextlib.contextmanager
def received() -> Iterator[Signals]:
    """Receives SIGINT and SIGTERM as long as this lasts; only the main thread may."""
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    previous = {number: signal.signal(number, signals.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
