"""One life of a coordinator, which ends where it is told to: at the n-th time it reaches a crash point.

python coordinator.py POINT NTH SIGNAL COMMAND...   runs `sweeper COMMAND...`
"""

import signal
import sys
import threading
from collections.abc import Sequence

from sweeper import crashpoints, pacing
from sweeper.crashpoints import Point


def end_at(point: str, nth: int, number: int) -> None:
    """Send this process the signal `number` when it reaches `point` for the `nth` time."""
    left = nth

    def hook(reached: Point) -> None:
        nonlocal left
        if reached.value == point:
            left -= 1
            if left == 0:
                # To this very thread: sent to the process, another thread may take it, and this one go on.
                signal.pthread_kill(threading.get_ident(), number)

    crashpoints.arm(hook)


def live(command: Sequence[str], point: str | None = None, nth: int = 1, number: int = signal.SIGKILL) -> int:
    """Run `sweeper COMMAND...` in this process; gives its exit status."""
    from sweeper.cli import app

    pacing.STRETCH_S = 1e-4  # every epoch is reported, as if it took long: more to be interrupted in
    if point is not None:
        end_at(point, nth, number)
    return int(app(list(command), standalone_mode=False) or 0)


if __name__ == "__main__":
    sys.exit(live(sys.argv[4:], sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
