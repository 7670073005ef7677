"""Removes checkpoint files that no longer count, behind the coordinator's back."""

import queue
import threading
from collections.abc import Callable

from sweeper.checkpoints import CheckpointFiles
from sweeper.records import Checkpoint, TrialKey

PATIENCE_S = 10.0
"""How long the end of a sweep waits for the last files to be gone; what is left then harms nobody."""


class Tidier:
    """Removes files in a daemon thread of its own: remote ones take their time. None: nothing to do."""

    def __init__(self, files: CheckpointFiles | None) -> None:
        self._files = files
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        if files is not None:
            threading.Thread(target=self._run, name="sweeper-tidier", daemon=True).start()

    def forget(self, key: TrialKey, keep: Checkpoint | None) -> None:
        """Remove the trial's checkpoints before `keep`, or all of them, some time soon."""
        if (files := self._files) is not None:
            self._tasks.put(lambda: files.forget(key, keep))

    def forget_all(self) -> None:
        """The sweep is complete: remove what is left, and its directory."""
        if (files := self._files) is None:
            return
        is_done = threading.Event()
        self._tasks.put(files.forget_all)
        self._tasks.put(is_done.set)
        is_done.wait(PATIENCE_S)

    def _run(self) -> None:
        while True:
            self._tasks.get()()
