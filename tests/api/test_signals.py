"""What the handler of signals may do while it is itself interrupted."""

import os
import signal
import threading

from sweeper.api.signals import received


def test_a_signal_within_the_handling_of_another_does_not_wait_for_a_lock_for_ever() -> None:
    class Interrupted(threading.Event):
        def set(self) -> None:
            if not self.is_set() and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
                signal.raise_signal(signal.SIGTERM)
            super().set()

    n_stops = 0

    def stop() -> None:
        nonlocal n_stops
        n_stops += 1

    with received() as signals:
        signals.stop, signals.on_stop = Interrupted(), stop
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.stop.is_set()
        assert n_stops == 1
