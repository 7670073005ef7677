"""The experiment behind results that Sweeper did not produce: what is known of it, and nothing made up."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from sweeper.experiment.model import ArmSpace, Experiment, Imported
from sweeper.experiment.sections import (
    Budget,
    Checkpoint,
    Data,
    Final,
    Header,
    Loss,
    Model,
    Report,
    Resources,
    Search,
    Section,
)

SomeSection = TypeVar("SomeSection", bound=Section)

KEY = "imported"
"""The table of a stored document that tells results from elsewhere; no experiment file has it."""


def imported(
    name: str,
    objective: str,
    optimizers: Sequence[str],
    origin: Imported,
    *,
    trials_per_optimizer: int = 0,
    epochs: int = 0,
    top_k: int = 0,
    seeds: int = 0,
) -> Experiment:
    """An experiment with what a table of results tells of it.

    `trials_per_optimizer` is the most that an optimizer has in the search, `epochs` the longest trial's, 0
    where that is not known; `top_k` is 1 where there are finals, `seeds` of them at most per setting. Data,
    model, loss and spaces are unknown: their sections hold no size and no name.
    """
    return Experiment(
        header=_unchecked(Header, name=name, seed=0, objective=objective),
        data=_unchecked(Data, name=KEY, train_size=0, val_size=0, test_size=0),
        model=_unchecked(Model, name=KEY),
        loss=_unchecked(Loss, name=KEY),
        budget=_unchecked(Budget, trials_per_optimizer=trials_per_optimizer, epochs=epochs),
        search=_unchecked(
            Search, sampler="random" if origin.independent else "unknown", startup_trials=0, min_epochs=1
        ),
        final=_unchecked(Final, top_k=top_k, seeds=seeds, untuned=False),
        resources=Resources(),
        checkpoint=Checkpoint(),
        report=Report(),
        space={},
        arms=tuple(ArmSpace(optimizer, {}, {}) for optimizer in optimizers),
        imported=origin,
    )


def document(experiment: Experiment) -> dict[str, Any]:
    """What the store keeps of an imported experiment; `from_stored` reads it back."""
    assert experiment.imported is not None
    return {
        "experiment": {"name": experiment.name, "objective": experiment.objective},
        "budget": {
            "trials_per_optimizer": experiment.budget.trials_per_optimizer,
            "epochs": experiment.budget.epochs,
        },
        "final": {"top_k": experiment.final.top_k, "seeds": experiment.final.seeds},
        "optimizers": {arm.name: {} for arm in experiment.arms},
        KEY: asdict(experiment.imported),
    }


def from_stored(stored: Mapping[str, Any]) -> Experiment:
    """The imported experiment that `document` wrote."""
    header, budget, final = stored["experiment"], stored["budget"], stored["final"]
    return imported(
        header["name"],
        header["objective"],
        list(stored["optimizers"]),
        Imported(**stored[KEY]),
        trials_per_optimizer=budget["trials_per_optimizer"],
        epochs=budget["epochs"],
        top_k=final["top_k"],
        seeds=final["seeds"],
    )


def _unchecked(section: type[SomeSection], **values: Any) -> SomeSection:
    """A section with values that no file may give, and defaults for the rest."""
    made: SomeSection = section.model_construct(**values)  # type: ignore[assignment]
    return made
