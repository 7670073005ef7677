"""What a sweep needs besides its workers, made ready while Ray starts, which takes seconds."""

import threading
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path

from sweeper.experiment import Experiment
from sweeper.training import data
from sweeper.training.data import Dataset


class Loading:
    """The data set of `experiment`, read in a thread of its own from `begin` on.

    Its files are looked for at once, and downloaded if need be: raises DataError where they are missing.
    """

    def __init__(self, experiment: Experiment, data_dir: Path | None) -> None:
        self.nbytes = data.nbytes(experiment)
        """How many bytes the images will take, known before they are read."""
        self._experiment = experiment
        self._source = data.find(experiment, data_dir)
        self._read: Future[Dataset] = Future()
        self._has_begun = False

    def begin(self) -> None:
        """Begin to read: not before Ray is imported, for the two would take turns at Python's lock."""
        if not self._has_begun:
            self._has_begun = True
            # A daemon: nobody waits for images of a sweep that could not begin.
            threading.Thread(target=self._run, name="sweeper-images", daemon=True).start()

    def images(self) -> Dataset:
        """The images, as soon as they are read. Raises DataError where they are damaged."""
        self.begin()
        return self._read.result()

    def _run(self) -> None:
        try:
            self._read.set_result(data.read(self._experiment, self._source))
        except BaseException as error:
            self._read.set_exception(error)
        # Half a second, which would be the workers' later; and what Ray imports before it sends anything.
        for module in ("sweeper.search", "pyarrow"):
            import_module(module)
