"""The experiment of a sweep that is in a store, whichever kind it is of."""

from sweeper.experiment import imported
from sweeper.experiment.model import Experiment
from sweeper.experiment.reading import from_document
from sweeper.records import SweepInfo


def of_sweep(info: SweepInfo) -> Experiment:
    """What the sweep compares, with every default resolved.

    Raises ExperimentError where the stored document is damaged.
    """
    if imported.KEY in info.experiment:
        return imported.from_stored(info.experiment)
    return from_document(
        info.experiment, source=f"sweep {info.name}", text=info.experiment_text, is_resolved=True
    )
