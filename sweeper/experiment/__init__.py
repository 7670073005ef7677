"""The experiment file: read and validated whole, with every mistake reported at once.

`sections` declares the keys, `arms` reads the search spaces, `reading` puts them together into an
`Experiment` (`model`), `imported` makes one of results from elsewhere, `storing` takes one from a
stored sweep, and `extending` says what of a stored
one may grow.
"""

from sweeper.experiment import imported
from sweeper.experiment.extending import MAY_GROW, differences, differing, extended, growth
from sweeper.experiment.model import ArmSpace, Experiment, Imported
from sweeper.experiment.reading import checked_name, from_document, loads, read
from sweeper.experiment.storing import of_sweep

__all__ = [
    "MAY_GROW",
    "ArmSpace",
    "Experiment",
    "Imported",
    "checked_name",
    "differences",
    "differing",
    "extended",
    "from_document",
    "growth",
    "imported",
    "loads",
    "of_sweep",
    "read",
]
