"""The validated experiment, whole, and the document that the store keeps of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeper import optimizers, pruning, scoring
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
)
from sweeper.space import Dimension, Space


@dataclass(frozen=True, slots=True)
class ArmSpace:
    """One optimizer's search space: its `own` dimensions, and those `shared` with every other arm.

    `steps` is a budget of its own, in steps, whatever they cost. `torch_class` names the class of an arm that
    is not in the registry.
    """

    name: str
    own: Space
    shared: Space
    steps: int | None = None
    torch_class: str | None = None

    @property
    def space(self) -> dict[str, Dimension]:
        """All dimensions, the shared ones last."""
        return {**self.own, **self.shared}

    @property
    def arm(self) -> optimizers.Arm:
        """The optimizer's entry in the registry, or one made of its class, which takes torch to look up."""
        if self.torch_class is None:
            return optimizers.ARMS[self.name]
        return optimizers.custom.arm(self.name, self.torch_class, self.own)

    def table(self) -> dict[str, Any]:
        """The arm's own table of the experiment file."""
        extra = {"class": self.torch_class, "steps": self.steps}
        return {**{key: value for key, value in extra.items() if value is not None}, **_notation(self.own)}


@dataclass(frozen=True, slots=True)
class Imported:
    """Where results come from that Sweeper did not produce.

    `source` names the files; `independent`: their settings were drawn without looking at other trials.
    """

    source: str
    independent: bool = False


@dataclass(frozen=True, slots=True)
class Experiment:
    """What to compare: one experiment file, validated whole, with every default resolved.

    `notices` are lines for the user about what the file asks for and this version leaves out. `imported` says
    where results come from that were not made by this experiment: then sizes are 0, and names of data, model
    and loss say nothing.
    """

    header: Header
    data: Data
    model: Model
    loss: Loss
    budget: Budget
    search: Search
    final: Final
    resources: Resources
    checkpoint: Checkpoint
    report: Report
    space: Space
    arms: tuple[ArmSpace, ...]
    text: str = ""
    notices: tuple[str, ...] = ()
    imported: Imported | None = None

    @property
    def n_classes(self) -> int | None:
        """How many classes the data set has; None where nobody knows, and then not what chance level is."""
        return None if self.imported else self.data.n_classes

    @property
    def name(self) -> str:
        """The experiment's name, and a sweep's unless it is given another."""
        return self.header.name

    @property
    def seed(self) -> int:
        """Where every random number of the sweep comes from."""
        return self.header.seed

    @property
    def objective(self) -> str:
        """What settings are judged by: `val_loss`, `val_accuracy` or `train_loss`."""
        return self.header.objective

    @property
    def startup_trials(self) -> int:
        """The last trial number that TPE's model has no say in: numbers 1 to this are independent."""
        startup = self.search.startup_trials
        assert startup != "half", "resolved when the file was read"
        return startup

    @property
    def pruning(self) -> pruning.Rules:
        """By which rules trials of the search are given up."""
        min_epochs = self.search.min_epochs
        assert min_epochs != "quarter", "resolved when the file was read"
        return pruning.Rules(
            pruner=self.search.pruner,
            epochs=self.budget.epochs,
            min_epochs=min_epochs,
            reduction_factor=self.search.reduction_factor,
            eval_every=self.budget.eval_every,
            higher_is_better=scoring.higher_is_better(self.objective),
        )

    @property
    def n_trials(self) -> int:
        """How many trials the search has, over all arms."""
        return self.budget.trials_per_optimizer * len(self.arms)

    @property
    def n_finals_each(self) -> int:
        """How many finals an arm has, if all its trials get a score.

        `repeats` spread the seeds over the picks of the searches; a search has no more picks than trials
        besides the untuned one.
        """
        final, repeats = self.final, self.search.repeats
        if not final.top_k:
            return 0
        is_joint = self.search.mode == "joint"  # there one arm may get every trial but the others' untuned
        most = self.n_trials - len(self.arms) + 1 if is_joint else self.budget.trials_per_optimizer
        # Search p has the numbers p, p + repeats, ...: a share of them, and one more for 1 <= p <= n_longer.
        share, n_longer = divmod(most - 1, repeats)
        fewest, picks = min(final.top_k, share), min(final.top_k, share + 1)
        turns, rest = divmod(final.seeds, repeats)
        n_seeds_of_longer = turns * n_longer + max(min(n_longer, rest - 1), 0)
        return final.seeds * (fewest + final.untuned) + n_seeds_of_longer * (picks - fewest)

    @property
    def n_finals(self) -> int:
        """How many finals there are at most, over all arms: fewer where an arm has too few scored trials."""
        return len(self.arms) * self.n_finals_each

    def arm(self, name: str) -> ArmSpace:
        """The arm called `name`."""
        return next(arm for arm in self.arms if arm.name == name)

    def score(self, value: float | None) -> float:
        """The score of a trial whose objective came out as `value`; see `scoring.scores`."""
        return scoring.score(value, self.objective, self.loss.name, self.n_classes)

    def document(self) -> dict[str, Any]:
        """The whole experiment as a legal experiment file that leaves nothing to a default.

        Reading it back as resolved gives an equal experiment whatever the defaults are by then. The store
        keeps this.
        """
        sections = {
            key: getattr(self, "header" if key == "experiment" else key).model_dump(mode="json")
            for key in (
                "experiment",
                "data",
                "model",
                "loss",
                "budget",
                "search",
                "final",
                "resources",
                "checkpoint",
                "report",
            )
        }
        return {
            **sections,
            "space": _notation(self.space),
            "optimizers": {arm.name: arm.table() for arm in self.arms},
        }


def resolved(search: Search, budget: Budget) -> Search:
    """`search` with "half" and "quarter" as the numbers they stand for, by the budget at the first run."""
    update: dict[str, int] = {}
    if search.startup_trials == "half":
        update["startup_trials"] = budget.trials_per_optimizer // 2
    if search.min_epochs == "quarter":
        update["min_epochs"] = pruning.quarter(budget.epochs)
    return search.model_copy(update=update)


def _notation(space: Mapping[str, Dimension]) -> dict[str, Any]:
    return {name: dimension.notation() for name, dimension in space.items()}
