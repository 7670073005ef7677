"""The experiment file: read and validated whole, with every mistake reported at once.

`sections` declares the keys, `arms` reads the search spaces, `reading` puts them together into an
`Experiment` (`model`).
"""

from sweeper.experiment.model import ArmSpace, Experiment
from sweeper.experiment.reading import checked_name, from_document, loads, read

__all__ = ["ArmSpace", "Experiment", "checked_name", "from_document", "loads", "read"]
